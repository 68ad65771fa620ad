//! Why a standby does not follow.

use std::io;
use std::path::PathBuf;

use crate::status::Problem;

use super::super::{OpenError, StorageError};

/// Why a standby does not follow; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the directory `{}` for the standby is not there", path.display())]
    NoDirectory { path: PathBuf },
    #[error("`{}` is damaged or no database of this program, expected a standby or nothing", path.display())]
    Unreadable { path: PathBuf },
    #[error("`{}` is a database for itself, expected a standby of the primary or nothing", path.display())]
    NoStandby { path: PathBuf },
    #[error("`{}` is the standby of another database", path.display())]
    Stranger { path: PathBuf },
    #[error("the standby `{}` followed a later primary", path.display())]
    Later { path: PathBuf },
    #[error("`{}` took over from this storage: it is the primary in epoch {}, this one was in epoch {}; writes are refused", path.display(), epochs[0], epochs[1])]
    TakenOver { path: PathBuf, epochs: [u64; 2] },
    #[error("the standby cannot be opened")]
    Open(#[source] OpenError),
    #[error("the standby cannot be written")]
    Write(#[source] StorageError),
    #[error("the primary cannot be read for its standby")]
    Read(#[source] StorageError),
    #[error("cannot {action} `{}` for the standby", path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error(
        "the standby is too far behind: changes of {waiting} bytes wait to be written, expected at most {most}"
    )]
    Behind { waiting: u64, most: u64 },
    #[error("the standby is too far behind: it has to be copied again")]
    Missed,
    #[error("the kernel stops")]
    Finished,
}

impl Broken {
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }

    /// Whether it is the end, and nobody's fault.
    pub(super) fn is_end(&self) -> bool {
        matches!(self, Self::Read(StorageError::Closed) | Self::Finished)
    }

    pub(super) fn problem(&self) -> Problem {
        Problem::from_error("unavailable", self, self.hint())
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoDirectory { .. } => {
                "attach the disk, or make the directory; it is tried again by itself"
            }
            Self::Unreadable { .. } | Self::NoStandby { .. } | Self::Stranger { .. } => {
                "if it is not needed, move it away: a new standby is made then"
            }
            Self::Later { .. } => {
                "stop, and go on with the standby: `octa storage takeover`; \
                 or, if that is the wrong one, move it away: a new standby is made then"
            }
            Self::TakenOver { .. } => {
                "stop and start again: the later one leads, and this one is kept aside"
            }
            Self::Open(error) => return error.hint(),
            Self::Write(error) | Self::Read(error) => return error.hint(),
            Self::File { .. } => {
                "let this user write in its directory, and see that its disk is not full"
            }
            Self::Behind { .. } => {
                "its disk is slower than what is written: give it a faster one, or write less; \
                 it is copied again by itself"
            }
            Self::Missed | Self::Finished => return None,
        };
        Some(hint.to_owned())
    }
}
