//! Opens the primary of the two files that a configuration names, and knows where its standby belongs.

use std::io;
use std::path::{Path, PathBuf};

use super::super::sqlite::{Lock, SqliteOptions};
use super::super::{OpenError, Sqlite, StorageError};
use super::files;
use super::roles::{Decision, Doubt, Other, Seen, Slot, Unclear, decide};
use super::site::Site;

/// Why the primary was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairError {
    /// A file cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is not clear which file is the primary.
    #[error(transparent)]
    Unclear(#[from] Unclear),
    /// Both names are of one file.
    #[error("`{}` is the storage and its standby at once, expected two files", path.display())]
    Same {
        /// The file.
        path: PathBuf,
    },
    /// The only file that is named is a standby.
    #[error("storage `{}` is a standby, expected its primary", path.display())]
    Standby {
        /// The file.
        path: PathBuf,
    },
    /// It was taken over, or made, while it was opened.
    #[error("storage `{}` changed while it was opened", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// What it says of itself cannot be read.
    #[error("cannot read what storage `{}` says of itself", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StorageError,
    },
    /// The former primary cannot be set aside.
    #[error("cannot set the former primary `{}` aside", path.display())]
    SetAside {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
}

impl PairError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Open(error) => return error.hint(),
            Self::Unclear(unclear) => return Some(unclear.hint()),
            Self::Same { .. } => "name another file in `storage.standby`, best on another disk",
            Self::Standby { .. } => {
                "name its primary in `storage.path` and this one in `storage.standby`, \
                 or go on with it: `octa storage takeover`"
            }
            Self::Changed { .. } => "start again",
            Self::Header { source, .. } => return source.hint(),
            Self::SetAside { .. } => "move it away",
        };
        Some(hint.to_owned())
    }
}

/// Opens the file at `path`, or the one at `standby` where a takeover has made it the primary; answers with it
/// where its standby belongs.
///
/// A former primary that is still at its place is set aside under another name.
///
/// # Errors
///
/// If it is not clear which is the primary, or it cannot be opened: nothing is made where there was data.
pub(crate) fn open(
    path: &Path,
    standby: Option<&Path>,
    options: SqliteOptions,
) -> Result<(Sqlite, Option<Site>), PairError> {
    let Some(standby) = standby else {
        return Ok((open_alone(path, options)?, None));
    };
    let [path, standby] = [files::resolve(path), files::resolve(standby)];
    if path == standby {
        return Err(PairError::Same { path });
    }
    // Who takes over needs both locks: one of them is held until the primary is open. Its own one is taken by
    // opening it. Where no directory is, none is made for a standby.
    let mut guard = lock(&standby)?;
    let seen = [see(&path)?, see(&standby)?];
    let (slot, other) = match decide(&seen[0].seen, &seen[1].seen) {
        Ok(Decision::New) => (Slot::Path, Other::Absent),
        Ok(Decision::Lead(slot, other)) => (slot, other),
        Err(doubt) => return Err(unclear([path, standby], seen, doubt).into()),
    };
    let (lead, follower) = match slot {
        Slot::Path => (path, standby),
        Slot::Standby => {
            guard = lock(&path)?;
            (standby, path)
        }
    };
    let [of_path, of_standby] = seen;
    let expected = match slot {
        Slot::Path => of_path.seen,
        Slot::Standby => of_standby.seen,
    };
    let (primary, site) = open_lead(&lead, &follower, expected, options)?;
    if other == Other::Former {
        let aside = set_aside(&follower)?;
        log::warn!(
            "storage `{}` is the primary since a takeover; the former one is set aside as `{}`",
            lead.display(),
            aside.display()
        );
    }
    drop(guard);
    Ok((primary, Some(site)))
}

fn open_alone(path: &Path, options: SqliteOptions) -> Result<Sqlite, PairError> {
    if let Ok(Some(header)) = Sqlite::header(path)
        && header.following
    {
        let path = path.to_owned();
        return Err(PairError::Standby { path });
    }
    Ok(options.open(path)?)
}

fn open_lead(
    lead: &Path,
    follower: &Path,
    expected: Seen,
    options: SqliteOptions,
) -> Result<(Sqlite, Site), PairError> {
    let path = || lead.to_owned();
    let primary = options.open(lead)?;
    let header = primary.own_header();
    let header = header.map_err(|source| PairError::Header {
        path: path(),
        source,
    })?;
    let is_expected = match expected {
        // One of an older format gets its name by being opened.
        Seen::There(before) => before.id.is_empty() || before.id == header.id,
        _ => true,
    };
    if header.following || !is_expected {
        return Err(PairError::Changed { path: path() });
    }
    let site = Site::new(follower.to_owned(), path(), &header);
    Ok((primary, site))
}

/// What is at a place, and why it is unreadable, if it is.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) seen: Seen,
    pub(super) trouble: Option<OpenError>,
}

/// Looks at a place without changing anything there.
pub(super) fn see(path: &Path) -> Result<Sight, OpenError> {
    let of = |seen| Sight {
        seen,
        trouble: None,
    };
    if !files::directory(path).is_dir() {
        return Ok(of(Seen::Away));
    }
    match Sqlite::header(path) {
        Ok(Some(header)) => Ok(of(Seen::There(header))),
        Ok(None) => Ok(of(Seen::Missing {
            traces: files::has_traces(path),
        })),
        Err(
            trouble @ (OpenError::NotAFile { .. }
            | OpenError::NotADatabase { .. }
            | OpenError::Foreign { .. }
            | OpenError::Damaged { .. }),
        ) => Ok(Sight {
            seen: Seen::Unreadable,
            trouble: Some(trouble),
        }),
        Err(error) => Err(error),
    }
}

pub(super) fn unclear(files: [PathBuf; 2], seen: [Sight; 2], doubt: Doubt) -> Unclear {
    let [path, standby] = files;
    let [of_path, of_standby] = seen;
    Unclear {
        path,
        standby,
        doubt,
        source: of_path.trouble.or(of_standby.trouble).map(Box::new),
    }
}

/// The lock of a file whose directory is there.
pub(super) fn lock(path: &Path) -> Result<Option<Lock>, OpenError> {
    let is_there = files::directory(path).is_dir();
    is_there.then(|| Lock::take(path)).transpose()
}

/// Renames a former primary; its lock is held. What was in its log came into its file when it was looked at.
fn set_aside(path: &Path) -> Result<PathBuf, PairError> {
    let epoch = Sqlite::header(path).ok().flatten();
    let aside = files::set_aside(path, epoch.map(|header| header.epoch));
    aside.map_err(|source| PairError::SetAside {
        path: path.to_owned(),
        source,
    })
}
