//! What can be wrong with a connection.

use std::{fmt, io};

use octa_wire::FRAME_BYTES_MAX;

use super::QUEUE_BYTES_MAX;

/// Why nothing can be sent or received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The other end closed, or this one was.
    #[error("the connection to the other process is closed")]
    Closed,
    /// The other end broke the protocol; nothing is sent or received any more.
    #[error("the other process broke the protocol: {what}")]
    Malformed {
        /// How.
        what: Violation,
    },
    /// The other end does not take what it is sent. The frame was not sent, others can be.
    #[error(
        "`{queued}` bytes wait for the other process to take them, with `{refused}` more they \
         would be over `{QUEUE_BYTES_MAX}`"
    )]
    Overrun {
        /// The bytes that wait.
        queued: usize,
        /// Those of the frame.
        refused: usize,
    },
    /// No receiver would take the frame. It was not sent, others can be.
    #[error("a message of `{bytes}` bytes is over `{FRAME_BYTES_MAX}`")]
    TooLong {
        /// The bytes of the frame, those of its length aside.
        bytes: usize,
    },
    /// The system refused to go on.
    #[error("the connection to the other process failed: {0}")]
    Failed(io::ErrorKind),
}

/// How the other end broke the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// A frame begins with a length that none has.
    Length(u32),
    /// The ring that it writes: it says that so many bytes are in it.
    Tail(u64),
    /// The ring that it reads: it says that so many bytes are still in it.
    Head(u64),
    /// It agreed to use the rings before it read what it was sent over the socket.
    Unread(usize),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(found) => write!(
                f,
                "a frame of `{found}` bytes, where 1 to {FRAME_BYTES_MAX} were expected"
            ),
            Self::Tail(found) => write!(
                f,
                "`{found}` bytes in the ring that it writes, where words up to the ring's size \
                 were expected"
            ),
            Self::Head(found) => write!(
                f,
                "`{found}` bytes in the ring that it reads, where words up to the ring's size \
                 were expected"
            ),
            Self::Unread(bytes) => write!(
                f,
                "it changed to the rings while `{bytes}` bytes waited for it in the socket"
            ),
        }
    }
}
