//! Worker processes, which carry plugins that may crash: their instances are used like those that
//! live here.

mod exit;
#[cfg(not(target_os = "linux"))]
mod nowhere;
#[cfg(target_os = "linux")]
mod pending;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod proxy;
#[cfg(target_os = "linux")]
mod seat;
#[cfg(target_os = "linux")]
mod session;
#[cfg(target_os = "linux")]
mod worker;

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use octa_wire::{Limits, ProtocolVersion, Sandbox};
use thiserror::Error;

pub use exit::{CallUnderWay, Exit, ExitCause};
#[cfg(not(target_os = "linux"))]
pub use nowhere::Worker;
#[cfg(target_os = "linux")]
pub use worker::Worker;

/// How a worker process is started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// The program: `octa-worker`, or one that calls its entry function first of all.
    pub program: PathBuf,
    /// What it is called: the name of its plugin or group.
    pub name: String,
    /// The whole environment that it gets.
    pub environment: Vec<(OsString, OsString)>,
    /// What it may use.
    pub limits: Limits,
    /// What its plugins may reach of the system.
    pub sandbox: Sandbox,
    /// Directories that its libraries are opened from.
    pub libraries: Vec<PathBuf>,
    /// How long starting it, and opening a library in it, may take.
    pub start_deadline: Duration,
    /// How long it may owe an answer and say nothing at all before it is killed.
    pub unresponsive_after: Duration,
}

impl WorkerOptions {
    /// A process of this program and name, unlimited and in a closed sandbox.
    pub fn new(program: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            name: name.into(),
            environment: Vec::new(),
            limits: Limits::default(),
            sandbox: Sandbox::default(),
            libraries: Vec::new(),
            start_deadline: Duration::from_secs(10),
            unresponsive_after: Duration::from_secs(10),
        }
    }
}

/// Why a plugin cannot live in a worker process.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// There are no worker processes on this system.
    #[error("worker processes are not offered on {}", std::env::consts::OS)]
    Unsupported,
    /// The program cannot be started.
    #[error("cannot start the worker program `{}`: {why}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// What is wrong with it.
        why: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The system does not give what a process needs.
    #[error("cannot set up a worker process: {what}")]
    System {
        /// What is missing.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The process ended before it was ready.
    #[error("the worker program `{}` {exit} before it was ready", program.display())]
    Ended {
        /// The program.
        program: PathBuf,
        /// How.
        exit: Exit,
    },
    /// The process speaks another protocol.
    #[error("the worker program `{}` speaks protocol {found}, this kernel {expected}", program.display())]
    Protocol {
        /// The program.
        program: PathBuf,
        /// What it speaks.
        found: ProtocolVersion,
        /// What is spoken here.
        expected: ProtocolVersion,
    },
    /// The process hosts another plugin ABI.
    #[error("the worker program `{}` hosts plugins of ABI {found}, this kernel of {expected}", program.display())]
    Abi {
        /// The program.
        program: PathBuf,
        /// What it hosts.
        found: String,
        /// What is hosted here.
        expected: String,
    },
    /// The process does not speak the protocol.
    #[error("the worker program `{}` does not speak the worker protocol: {what}", program.display())]
    Garbage {
        /// The program.
        program: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The library could not be opened there.
    #[error("{}", error.message())]
    Open {
        /// What the worker says.
        error: octa_plugin_api::Error,
    },
}

impl WorkerError {
    /// The way out.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Unsupported => "use `placement = \"in-process\"`",
            Self::Program { .. } => {
                "install `octa-worker` beside the program, or say where it is: `worker` in `[kernel]`"
            }
            Self::System { .. } => return None,
            Self::Ended { exit, .. } => match &exit.cause {
                ExitCause::Code(0 | 2) => {
                    "is it `octa-worker`? `worker` in `[kernel]` says which program is started"
                }
                _ => return None,
            },
            Self::Protocol { .. } | Self::Abi { .. } => {
                "install the `octa-worker` that was built with this program"
            }
            Self::Garbage { .. } => {
                "is it `octa-worker`? `worker` in `[kernel]` says which program is started"
            }
            Self::Open { error } => return error.hint().map(str::to_owned),
        };
        Some(hint.to_owned())
    }

    /// How the process went, if it did.
    pub fn exit(&self) -> Option<&Exit> {
        match self {
            Self::Ended { exit, .. } => Some(exit),
            _ => None,
        }
    }
}

#[cfg(target_os = "linux")]
impl WorkerError {
    fn start(program: &Path, source: io::Error) -> Self {
        match process::cannot_start(program, &source) {
            Some(why) => Self::Program {
                program: program.to_owned(),
                why,
                source,
            },
            None => Self::System {
                what: "the program does not start",
                source,
            },
        }
    }

    fn connection(source: io::Error) -> Self {
        let what = "no connection";
        Self::System { what, source }
    }

    fn thread(source: io::Error) -> Self {
        let what = "no thread to mind it";
        Self::System { what, source }
    }

    /// To be told how.
    fn ended(program: &Path) -> Self {
        Self::Ended {
            program: program.to_owned(),
            exit: Exit::of(ExitCause::Asked, Vec::new()),
        }
    }

    fn with_exit(self, exit: Exit) -> Self {
        match self {
            Self::Ended { program, .. } => Self::Ended { program, exit },
            other => other,
        }
    }
}
