//! Says what became of the code of a retired generation: unmapped, or kept, and why.
//!
//! How that is found out is the job of `unload/`, on platforms where it can be.

use std::fmt;

use crate::sys;

/// What became of a generation's code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unload {
    /// The code is not there any more, and its file may be removed.
    Unmapped,
    /// The code stays, because it cannot be shown that nothing returns to it.
    Kept(Vec<KeptCause>),
}

/// Why a generation's code stays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeptCause {
    /// It belongs to the host's own program.
    PartOfProgram,
    /// Nothing is known here of what a plugin leaves behind.
    Unsupported,
    /// What plugins leave behind is not seen in this program.
    NotInForce,
    /// It is not retired, or has instances.
    InUse,
    /// The host is inside its code.
    Entered(usize),
    /// Threads that it started have not ended.
    Threads(usize),
    /// A thread has values of it whose destructors did not run yet.
    Destructors {
        /// The name of the thread.
        thread: String,
    },
    /// It handles a signal.
    SignalHandler {
        /// The number of the signal.
        signal: i32,
    },
    /// It asks for functions whose effects are not seen.
    Unseen {
        /// The first such function.
        function: String,
    },
    /// It was linked so that it is never unmapped.
    NoDelete,
    /// It was closed, and something else holds it.
    StillMapped,
    /// It stays in a worker process that goes on; as that says.
    InWorker(String),
}

impl KeptCause {
    /// Whether asking again cannot help.
    pub fn is_final(&self) -> bool {
        match self {
            Self::PartOfProgram
            | Self::Unsupported
            | Self::NotInForce
            | Self::Unseen { .. }
            | Self::NoDelete
            | Self::StillMapped => true,
            Self::InUse
            | Self::Entered(_)
            | Self::Threads(_)
            | Self::Destructors { .. }
            | Self::SignalHandler { .. }
            | Self::InWorker(_) => false,
        }
    }

    /// The way out.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::PartOfProgram
            | Self::Unsupported
            | Self::InUse
            | Self::Entered(_)
            | Self::InWorker(_) => {
                return None;
            }
            Self::NotInForce => {
                "link the kernel into the executable itself, with its feature `unload`, on Linux with glibc"
            }
            Self::Threads(_) => "end the plugin's own threads in its `stop`",
            Self::Destructors { .. } => {
                "end the thread, or call `tidy_thread` on it before it parks"
            }
            Self::SignalHandler { .. } => "restore the signal's handler in the plugin's `stop`",
            Self::Unseen { .. } => {
                "do without it: threads and thread-locals of the standard library are seen"
            }
            Self::NoDelete => "build the plugin without `-z nodelete`",
            Self::StillMapped => {
                "look for C++ libraries with unique symbols, or for who else opened the library"
            }
        };
        Some(hint.to_owned())
    }
}

impl fmt::Display for KeptCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PartOfProgram => f.write_str("part of the program"),
            Self::Unsupported => {
                write!(
                    f,
                    "this platform ({}) does not tell what code leaves behind",
                    std::env::consts::OS
                )
            }
            Self::NotInForce => f.write_str("this program does not see what plugins leave behind"),
            Self::InUse => f.write_str("still in use"),
            Self::Entered(1) => f.write_str("1 entry of the host still running"),
            Self::Entered(count) => write!(f, "{count} entries of the host still running"),
            Self::Threads(1) => f.write_str("1 thread still running"),
            Self::Threads(count) => write!(f, "{count} threads still running"),
            Self::Destructors { thread } => write!(f, "destructor pending on thread `{thread}`"),
            Self::SignalHandler { signal } => write!(f, "handles signal {signal}"),
            Self::Unseen { function } => write!(f, "uses `{function}`, whose effects are not seen"),
            Self::NoDelete => f.write_str("linked with `-z nodelete`"),
            Self::StillMapped => f.write_str("closed, but still mapped"),
            Self::InWorker(why) => write!(f, "stays in its process: {why}"),
        }
    }
}

/// Runs what retired generations left on this thread; for threads that are about to park.
pub fn tidy_thread() {
    sys::after_plugin();
}
