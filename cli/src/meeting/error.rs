//! Why a kernel and those who talk to it do not meet.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::{NAME_BYTES_MAX, Record};
use crate::failure::Explain;

/// Why a kernel and those who talk to it do not meet.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum MeetingError {
    /// A name that cannot be part of a file's name.
    #[error(
        "`{name}` is no name for a kernel, expected 1 to {NAME_BYTES_MAX} of the characters \
         `A-Z a-z 0-9 - _`"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// Somebody else could listen or talk there.
    #[error(
        "`{path}` is not private: found {} of user {owner} with mode {mode:04o}, expected a \
         directory of user {user} with mode 0700",
        if *is_directory { "a directory" } else { "a file" }
    )]
    NotPrivate {
        /// The directory of sockets.
        path: PathBuf,
        /// Whether it is one.
        is_directory: bool,
        /// The user id that it belongs to.
        owner: u32,
        /// Its permission bits.
        mode: u32,
        /// The user id that it should belong to.
        user: u32,
    },
    /// The system does not let us use the directory.
    #[error("cannot use `{path}` for the admin socket")]
    Unusable {
        /// The directory or the file in it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The name is taken.
    #[error("kernel `{name}` is running already{}", who(record))]
    Running {
        /// Its name.
        name: String,
        /// What it says of itself.
        record: Option<Box<Record>>,
    },
    /// Nobody to talk to.
    #[error("no kernel is running")]
    NoKernel,
    /// Somebody else is running.
    #[error("kernel `{wanted}` is not running{}", others(running))]
    NotRunning {
        /// Who was asked for.
        wanted: String,
        /// Who runs.
        running: Vec<Record>,
    },
    /// Which one?
    #[error("{} kernels are running{}", running.len(), others(running))]
    Several {
        /// Who runs.
        running: Vec<Record>,
    },
}

fn who(record: &Option<Box<Record>>) -> String {
    let told = record.as_ref();
    told.map(|record| format!(", as process {} on `{}`", record.pid, record.data))
        .unwrap_or_default()
}

fn others(running: &[Record]) -> String {
    let lines = running.iter().map(
        |Record {
             name, pid, data, ..
         }| format!("\n  `{name}`, process {pid}, data `{data}`"),
    );
    match lines.collect::<String>() {
        lines if lines.is_empty() => lines,
        lines => format!("; running:{lines}"),
    }
}

impl Explain for MeetingError {
    fn kind(&self) -> &'static str {
        match self {
            Self::BadName { .. } | Self::Several { .. } => "invalid-input",
            Self::NotPrivate { .. } => "denied",
            Self::Unusable { .. } => "unavailable",
            Self::Running { .. } => "already-running",
            Self::NoKernel | Self::NotRunning { .. } => "no-kernel",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::BadName { .. } => "try `--name home`".to_owned(),
            Self::NotPrivate { path, .. } => format!(
                "remove `{}`, or point XDG_RUNTIME_DIR at a directory of your own",
                path.display()
            ),
            Self::Unusable { .. } => {
                "point XDG_RUNTIME_DIR at a directory that you may write".to_owned()
            }
            Self::Running { .. } => {
                "stop it, or give this one another data directory with `--data` or another name \
                 with `--name`"
                    .to_owned()
            }
            Self::NoKernel => "start one with `octa run --plugins DIR`".to_owned(),
            Self::NotRunning { running, .. } if running.is_empty() => {
                "start one with `octa run --plugins DIR`".to_owned()
            }
            Self::NotRunning { .. } | Self::Several { .. } => {
                "choose one with `--kernel NAME`".to_owned()
            }
        })
    }
}
