//! Opens the primary of the two files that a configuration names, and knows where its standby belongs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::sqlite::{Lock, SqliteOptions, files};
use super::super::{OpenError, Sqlite, StorageError};
use super::names;
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
    /// There is no file, but a takeover left something beside its place.
    #[error("storage `{}` is not there, but `{}` shows that it was: it was taken over", path.display(), trace.display())]
    TakenOver {
        /// Where the file was.
        path: PathBuf,
        /// What shows it.
        trace: PathBuf,
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
            Self::TakenOver { .. } => {
                "name the file that leads now, its former standby, in `storage.path`; \
                 or, to begin anew, move those files away"
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
    let mut guard = match lock(&standby) {
        Err(error @ OpenError::InUse { .. }) => return Err(error.into()),
        guard => guard,
    };
    let seen = see_both(&path, &standby)?;
    let (slot, other) = match decide(&seen[0].seen, &seen[1].seen) {
        Ok(Decision::New) => {
            guard = Ok(guard?);
            (Slot::Path, Other::Absent)
        }
        Ok(Decision::Lead(slot, other)) => (slot, other),
        Err(doubt) => return Err(unclear([path, standby], seen, doubt).into()),
    };
    let (lead, follower) = match slot {
        Slot::Path => (path, standby),
        Slot::Standby => {
            guard = match lock(&path) {
                Err(error @ OpenError::InUse { .. }) => return Err(error.into()),
                guard => guard,
            };
            (standby, path)
        }
    };
    let [of_path, of_standby] = seen;
    let expected = match slot {
        Slot::Path => of_path.seen,
        Slot::Standby => of_standby.seen,
    };
    let is_new = matches!(expected, Seen::Away | Seen::Missing { .. });
    let (primary, site) = open_lead(&lead, &follower, expected, options)?;
    if is_new {
        tell_made(&primary);
    }
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
    let header = Sqlite::header(path);
    if matches!(&header, Ok(Some(header)) if header.following) {
        let path = path.to_owned();
        return Err(PairError::Standby { path });
    }
    let path = &files::resolve(path);
    if fs::symlink_metadata(path).is_err()
        && let Some(trace) = names::trace(path)
    {
        let path = path.clone();
        return Err(PairError::TakenOver { path, trace });
    }
    let storage = options.open(path)?;
    if matches!(header, Ok(None)) {
        tell_made(&storage);
    }
    Ok(storage)
}

/// An empty database where somebody expects theirs is to be seen.
fn tell_made(storage: &Sqlite) {
    log::info!("storage `{}` is new and empty", storage.path().display());
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
    let site = Site::new(follower.to_owned(), &primary, &header);
    Ok((primary, site))
}

/// What is at a place, and why it is unreadable, if it is.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) seen: Seen,
    pub(super) trouble: Option<OpenError>,
}

/// Looks at both places. One that cannot be looked at does not keep a primary from starting that says that it is one:
/// what is wrong there is told by who follows it.
fn see_both(path: &Path, standby: &Path) -> Result<[Sight; 2], OpenError> {
    let leads = |sight: &Sight| matches!(&sight.seen, Seen::There(header) if !header.following);
    let unreadable = |error| Sight {
        seen: Seen::Unreadable,
        trouble: Some(error),
    };
    let is_place =
        |error: &OpenError| matches!(error, OpenError::Io { .. } | OpenError::Sqlite { .. });
    Ok(match (see(path), see(standby)) {
        (Ok(path), Err(error)) if leads(&path) && is_place(&error) => [path, unreadable(error)],
        (Err(error), Ok(standby)) if leads(&standby) && is_place(&error) => {
            [unreadable(error), standby]
        }
        (path, standby) => [path?, standby?],
    })
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
            traces: names::trace(path).is_some(),
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

/// The lock of a file; `None` where there is no directory, or none can be made: then nobody holds it.
///
/// # Errors
///
/// If somebody holds it, or this cannot be told.
pub(super) fn lock(path: &Path) -> Result<Option<Lock>, OpenError> {
    let directory = files::directory(path);
    match fs::metadata(directory) {
        Err(error) if files::is_absent(&error) => return Ok(None),
        Err(source) => {
            let (action, path) = ("find", directory.to_owned());
            return Err(OpenError::Io {
                action,
                path,
                source,
            });
        }
        Ok(there) if !there.is_dir() => return Ok(None),
        Ok(_) => {}
    }
    match Lock::take(path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error @ OpenError::InUse { .. }) => Err(error),
        // A kernel may still live where nothing can be written any more.
        Err(_) => Lock::take_as_it_is(path),
    }
}

/// Renames a former primary; its lock is held. What was in its log came into its file when it was looked at.
fn set_aside(path: &Path) -> Result<PathBuf, PairError> {
    let epoch = Sqlite::header(path).ok().flatten();
    let aside = names::set_aside(path, epoch.map(|header| header.epoch));
    aside.map_err(|source| PairError::SetAside {
        path: path.to_owned(),
        source,
    })
}
