//! Why there is no backup, or why it was not restored, and what a user can do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::super::{CopyError, OpenError, StorageError};

/// What is tried with a backup that is to be restored.
pub(super) const READ: &str = "read";

/// Why there is no backup, or why it was not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// Something is there already.
    #[error("`{}` is there already, expected a new file", path.display())]
    Exists {
        /// The file to be made.
        path: PathBuf,
    },
    /// Something else than a file is there, or is asked for.
    #[error("`{}` is no file, expected the name of one", path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// A file or directory cannot be used.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The file cannot be made.
    #[error("cannot make the backup `{}`", path.display())]
    Make {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// The records cannot be brought into the file.
    #[error("cannot back up into `{}`", path.display())]
    Copy {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: CopyError,
    },
    /// The file is none that was made by a backup.
    #[error("`{}` is no backup that can be restored", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// The file is a database that was not closed.
    #[error(
        "`{}` is no backup but a database in use: `{}` beside it holds a part of it",
        path.display(), log.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
        /// The file beside it.
        log: PathBuf,
    },
    /// What the backup holds cannot be read, or not be brought back.
    #[error("cannot restore `{}`", path.display())]
    Restore {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: CopyError,
    },
    /// There is something where the backup is to be restored.
    #[error(
        "`{place}` is not empty (records: {records}), expected an empty storage to restore into"
    )]
    NotEmpty {
        /// The storage.
        place: String,
        /// How many records it has.
        records: u64,
    },
    /// The storage to restore into cannot be had.
    #[error("cannot restore into the storage that is there")]
    Unreadable(#[source] OpenError),
    /// Files have made place for one that then did not come.
    #[error("nothing took the place of what is kept as {}", listed(aside))]
    Kept {
        /// Where they are.
        aside: Vec<PathBuf>,
        /// Why.
        source: Box<BackupError>,
    },
    /// A database was emptied and not filled again.
    #[error("not all of it was restored; what was there before is kept as `{}`", aside.display())]
    Half {
        /// A backup of what was there.
        aside: PathBuf,
        /// Why.
        source: Box<BackupError>,
    },
}

impl BackupError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Exists { .. } => "name another file, or replace it with `--force`",
            Self::NotAFile { .. } => "name a file, such as `/mnt/backup/home.db`",
            Self::Io {
                action,
                path,
                source,
            } => return io_hint(action, path, source),
            Self::Make {
                source: OpenError::InUse { .. },
                ..
            } => "name another file: that one is the storage of a kernel, or is being made",
            Self::Make { source, .. } => return source.hint(),
            Self::Copy { path, source } | Self::Restore { path, source } => {
                return match source {
                    CopyError::Write(StorageError::Unavailable { trouble, .. }) => {
                        trouble.hint(&path.to_string_lossy())
                    }
                    error => error.hint(),
                };
            }
            Self::Unfit { source, .. } => match source {
                OpenError::NewerFormat { .. } => "restore it with the newer program that made it",
                OpenError::Damaged { .. } => "take an earlier backup",
                _ => "name a file that `octa storage backup` made",
            },
            Self::InUse { .. } => {
                "back up from it: `octa storage migrate --from sqlite:PATH --to sqlite:NEW`"
            }
            Self::NotEmpty { .. } => "`--force` keeps what is there aside under another name",
            Self::Unreadable(OpenError::InUse { .. }) => "stop that kernel first",
            Self::Unreadable(_) => "`--force` keeps the file aside under another name",
            Self::Kept { .. } => "see to the cause and try again, or give it its old name back",
            Self::Half { aside, .. } => {
                let aside = aside.display();
                return Some(format!(
                    "bring it back: `octa storage restore {aside} --force`, with the `--config` of the storage"
                ));
            }
        };
        Some(hint.to_owned())
    }

    /// The same, with where files are that were set aside before.
    pub(super) fn kept(self, aside: &[PathBuf]) -> Self {
        match aside {
            [] => self,
            _ => Self::Kept {
                aside: aside.into(),
                source: Box::new(self),
            },
        }
    }
}

/// Paths in the words of a message.
pub(super) fn listed(paths: &[PathBuf]) -> String {
    let quoted = paths.iter().map(|path| format!("`{}`", path.display()));
    quoted.collect::<Vec<_>>().join(" and ")
}

fn io_hint(action: &str, path: &Path, source: &io::Error) -> Option<String> {
    let path = path.display();
    Some(match source.kind() {
        io::ErrorKind::NotFound if action == READ => "check the name".to_owned(),
        io::ErrorKind::NotFound => format!("check the name, or make `{path}` first"),
        io::ErrorKind::NotADirectory => "name a directory".to_owned(),
        io::ErrorKind::PermissionDenied if action == READ => {
            format!("let this user read `{path}`")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("let this user write to `{path}`, or name another place")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("free some space on the disk that holds `{path}`")
        }
        _ => return None,
    })
}

/// The error of the operating system about a path.
pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io {
        action,
        path,
        source,
    }
}

/// The same error about another path: that which its user knows.
pub(super) fn about(error: OpenError, path: &Path) -> OpenError {
    let path = path.to_owned();
    match error {
        OpenError::NotADatabase { .. } => OpenError::NotADatabase { path },
        OpenError::Foreign { found, .. } => OpenError::Foreign { path, found },
        OpenError::NewerFormat { found, .. } => OpenError::NewerFormat { path, found },
        OpenError::Damaged { damage, .. } => OpenError::Damaged { path, damage },
        OpenError::Sqlite { source, .. } => OpenError::Sqlite { path, source },
        other => other,
    }
}
