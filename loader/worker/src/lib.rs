//! The process that carries plugins apart from the kernel.
//!
//! The kernel starts it with a connection, tells it which libraries to open and which instances to
//! make, and calls them through it; what they ask of their host is told to the kernel. What this
//! process may reach of the system is settled before anything of a plugin runs.
//!
//! # How it ends
//!
//! With the code 0 when the kernel says so or is gone; else after one line on the standard error
//! output that says why:
//!
//! | code | why |
//! |---|---|
//! | 64 | it was not started by a kernel |
//! | 65 | the kernel said something that makes no sense |
//! | 69 | it cannot do its work on this system |
//! | 70 | it panicked |
//! | 71 | the system refused something that it needs |
//! | 74 | the connection failed |
//! | 76 | the kernel speaks another version of the protocol |
//! | 77 | it cannot be confined as the kernel demands |

#[cfg(unix)]
mod confine;
#[cfg(unix)]
mod delivery;
#[cfg(unix)]
mod failure;
#[cfg(unix)]
mod forward;
#[cfg(unix)]
mod handle;
#[cfg(unix)]
mod jobs;
#[cfg(unix)]
mod lead;
#[cfg(unix)]
mod life;
#[cfg(unix)]
mod listening;
#[cfg(unix)]
mod seat;
#[cfg(unix)]
mod spare;
#[cfg(unix)]
mod start;
#[cfg(unix)]
mod tasks;
#[cfg(unix)]
mod turn;
#[cfg(unix)]
mod worker;

use std::{env, process::ExitCode};

/// The first argument of a process that is a worker.
pub const ARGUMENT: &str = "--octa-worker";

/// Is a worker to its end, if this process was started as one; else answers `None` at once.
///
/// To be called first of all, while the process has one thread and has opened nothing: what is open
/// is the kernel's, and is closed. The table of exit codes is that of the [crate].
#[must_use]
pub fn entry() -> Option<ExitCode> {
    let is_worker = env::args_os().nth(1).is_some_and(|first| first == ARGUMENT);
    is_worker.then(be_worker)
}

/// Is a worker to its end, whatever the process was started as: for fuzzing, which forks.
#[cfg(all(fuzzing, unix))]
pub fn serve() -> ! {
    start::start().end()
}

#[cfg(unix)]
fn be_worker() -> ExitCode {
    start::start().end()
}

#[cfg(not(unix))]
fn be_worker() -> ExitCode {
    eprintln!(
        "plugins have processes of their own only on Unix, and this is {}",
        env::consts::OS
    );
    ExitCode::from(69)
}
