//! What ends the process before its time, and with which code.

use std::{
    io::{self, Write as _},
    thread,
};

use octa_loader::LinkError;
use octa_wire::{DecodeError, PROTOCOL, ProtocolVersion};
use thiserror::Error;

use crate::confine::ConfineError;

/// Why the process ends.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("this program is started by the Octamillia kernel, with a connection as its input")]
    NotStartedByKernel,
    #[error("the kernel said something that makes no sense: {0}")]
    Message(#[from] DecodeError),
    #[error("the kernel said something that makes no sense: {0}")]
    Document(#[from] serde_json::Error),
    #[error("the kernel spoke out of turn: `{0}`")]
    OutOfTurn(&'static str),
    #[error("the kernel speaks of {kind} {number}, which is not there")]
    Unknown { kind: &'static str, number: u32 },
    #[error("the kernel uses the number {number} of {kind} twice")]
    Twice { kind: &'static str, number: u32 },
    #[error("cannot {what}: {source}")]
    System {
        what: &'static str,
        source: io::Error,
    },
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error("the kernel cannot be told what it has to know: {0}")]
    NotHeard(String),
    #[error("the kernel speaks protocol {0}, this worker {PROTOCOL}")]
    OtherProtocol(ProtocolVersion),
    #[error("cannot be confined: {0}")]
    Confinement(#[from] ConfineError),
}

impl Failure {
    pub(crate) fn system(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// The code the process ends with; the documentation of the crate lists them.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::NotStartedByKernel => 64,
            // The kernel is gone: nobody is there to be told.
            Self::Link(LinkError::Closed) => 0,
            Self::Message(_)
            | Self::Document(_)
            | Self::OutOfTurn(_)
            | Self::Unknown { .. }
            | Self::Twice { .. } => 65,
            Self::System { .. } => 71,
            Self::Link(_) | Self::NotHeard(_) => 74,
            Self::OtherProtocol(_) => 76,
            Self::Confinement(_) => 77,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Confinement(error) => error.hint(),
            Self::OtherProtocol(_) => Some("install both from one release".to_owned()),
            _ => None,
        }
    }

    /// Ends the process.
    pub(crate) fn end(&self) -> ! {
        let code = self.code();
        if code != 0 {
            match self.hint() {
                None => say(&self.to_string()),
                Some(hint) => say(&format!("{self} (hint: {hint})")),
            }
        }
        exit_now(code)
    }
}

/// Writes a line for the kernel's log. If nobody reads it, nobody misses it.
pub(crate) fn say(line: &str) {
    drop(io::stderr().write_all(format!("{line}\n").as_bytes()));
}

/// Ends the process where it stands: no destructor of a plugin runs, whose threads go on meanwhile.
#[expect(unsafe_code, reason = "the C library's function has no safe wrapper")]
pub(crate) fn exit_now(code: u8) -> ! {
    // SAFETY: may be called at any time, from any thread.
    unsafe { libc::_exit(code.into()) }
}

/// Ends the process if the thread that holds this panics: nobody would do its work.
pub(crate) struct EndOnPanic;

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            exit_now(70);
        }
    }
}
