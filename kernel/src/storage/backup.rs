//! Backups: everything in one SQLite file, whatever adapter it comes from, and the way back.
//!
//! What is read and written in between is the job of `copy`.

mod error;
mod made;
mod salvage;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use self::error::{io, listed};
use self::made::{Made, Target, Unpacked};
use super::copy::{self, Contents, CopyError, Progress};
use super::sqlite::{Lock, files};
use super::standby::noted_beside;
use super::{OpenError, Sqlite, StorageAdapter, half};
pub use error::BackupError;
pub use salvage::{Missing, SalvageError, Salvaged, salvage};

/// Copies everything, as it is at one moment, into a new SQLite file at `path`.
///
/// The file appears there only when it is complete, synced and compared; until then nothing there is touched, and
/// nothing is left behind by a failure or by dropping the future. It can be read and written by its owner only.
/// With `force` it takes the place of a file that is there, but not of a database that somebody has open; one with
/// a log beside it is kept under another name. Waits for the disk on the caller's thread.
///
/// # Errors
///
/// If there is a file already, its directory or disk does not take it, or the storage cannot be read.
pub async fn backup(
    from: &dyn StorageAdapter,
    path: &Path,
    force: bool,
    progress: impl FnMut(Progress) + Send,
) -> Result<Contents, BackupError> {
    let directory = directory_of(path)?;
    refuse_taken(path, force)?;
    let made = Made::new(directory, path)?;
    let failed = |source| BackupError::Make {
        path: path.into(),
        source,
    };
    let target = Target::take(path).map_err(failed)?;
    let sqlite = Sqlite::open(&made.file).map_err(failed)?;
    let copied = copy::copy(from, &sqlite, progress).await;
    let copied = match (copied, sqlite.close().await) {
        (Ok(copied), Ok(())) => Ok(copied),
        (Ok(_), Err(error)) => Err(CopyError::Write(error)),
        (Err(error), _) => Err(error),
    };
    let copied = copied.map_err(|source| BackupError::Copy {
        path: path.into(),
        source,
    })?;
    put(made, path, &target)?;
    Ok(copied)
}

/// What became of a restored backup.
#[derive(Debug)]
#[non_exhaustive]
pub struct Restored {
    /// What was restored.
    pub contents: Contents,
    /// Where what was there before is kept.
    pub aside: Vec<PathBuf>,
}

/// Brings a backup back as the database file `to`, which nobody may have open. The backup is only read.
///
/// The counter goes on behind what was there, if that says how far it was: no version is given twice.
/// A `standby` of that file has no place beside it any more, and a new one is to be made.
/// With `force`, files that hold something or cannot be read are kept aside under other names beside them.
///
/// # Errors
///
/// If the file is no sound backup, or what is at `to` or `standby` is in use, not empty or cannot be replaced.
pub async fn restore(
    backup: &Path,
    to: &Path,
    standby: Option<&Path>,
    force: bool,
    progress: impl FnMut(Progress) + Send,
) -> Result<Restored, BackupError> {
    let directory = directory_of(to)?;
    fs::create_dir_all(directory).map_err(io("make the directory", directory))?;
    let unpacked = Unpacked::new(backup, directory)?;
    unpacked.refuse_part().await?;
    unpacked.lead().await?;
    // A standby gives way before its primary: alone it would be in nobody's way.
    let mut found = Vec::new();
    for path in [standby, Some(to)].into_iter().flatten() {
        let seen = look(path, force).await?;
        // A directory for it is not made.
        if path == to || seen.is_some() {
            let lock = Lock::take(path).map_err(BackupError::Unreadable)?;
            found.push((path, seen, lock));
        }
    }
    let given = found.iter().filter_map(|(_, seen, _)| seen.as_ref());
    let given = given.map(|seen| seen.last_version).max();
    unpacked.go_on_behind(given.unwrap_or_default()).await?;
    let contents = copy::contents(&unpacked.sqlite, progress).await;
    let contents = contents.map_err(|error| unpacked.unreadable(error))?;
    let closed = unpacked.sqlite.close().await;
    closed.map_err(|error| unpacked.unreadable(error))?;
    let mut aside = Vec::new();
    let put = || {
        let Some(((_, empty, lock), standbys)) = found.split_last() else {
            return Ok(());
        };
        // Somebody may have written between the look at it and its lock.
        let is_still_empty = |path, seen: &Option<Seen>| {
            let seen = seen.as_ref().filter(|seen: &&Seen| !seen.is_kept);
            seen.is_some_and(|seen| seen.is_still(path))
        };
        for (path, empty, _) in standbys {
            match is_still_empty(path, empty) {
                true => files::remove_database(path).map_err(io("remove", path))?,
                false => aside.extend(set_aside(path)?),
            }
            // What was noted beside it is about another database than the next one there.
            let noted = noted_beside(path);
            files::remove(&noted).map_err(io("remove", &noted))?;
        }
        if !files::is_taken(to) {
            return unpacked.made.put(to, lock, &mut aside);
        }
        if !is_still_empty(to, empty) {
            aside.extend(keep_aside(to)?);
        }
        unpacked.made.replace(to, lock)
    };
    let put = put();
    put.map_err(|error| error.kept(&aside))?;
    Ok(Restored { contents, aside })
}

/// Brings a backup back into a database of any kind that nobody else writes to. The backup is only read.
///
/// With `force`, what is there is first backed up to `aside` and then deleted. What a restore left that did not end
/// is not: what was there before it has been kept. Until all is restored, that is [told](super::half) of the database.
///
/// # Errors
///
/// If the file is no sound backup, or the database is not empty, or fails.
pub async fn restore_into(
    backup: &Path,
    to: &dyn StorageAdapter,
    (place, aside): (&str, &Path),
    force: bool,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Restored, BackupError> {
    let unpacked = Unpacked::new(backup, directory_of(aside)?)?;
    let failed = |source| BackupError::Restore {
        path: backup.into(),
        source,
    };
    let unreadable = |error| failed(CopyError::Write(error));
    let records = to.snapshot().await.map_err(unreadable)?.records();
    if records > 0 && !force {
        let place = place.to_owned();
        return Err(BackupError::NotEmpty { place, records });
    }
    // What a restore left that did not end is no more than what it began with, and what it was to bring back.
    let kept = match half(to).await.map_err(unreadable)? {
        Some(half) => half.aside,
        None if records == 0 => None,
        None => {
            self::backup(to, aside, false, |_| ()).await?;
            Some(std::path::absolute(aside).map_err(io("find", aside))?)
        }
    };
    let copied = copy::fill(&unpacked.sqlite, to, kept.as_deref(), &mut progress).await;
    let contents = copied.map_err(|error| match &kept {
        None => failed(error),
        Some(aside) => BackupError::Half {
            aside: aside.clone(),
            source: Box::new(failed(error)),
        },
    })?;
    let aside = kept.into_iter().collect();
    Ok(Restored { contents, aside })
}

/// What was found where a backup is to be restored.
struct Seen {
    /// Whether it is to be kept.
    is_kept: bool,
    last_version: u64,
}

impl Seen {
    /// Whether nothing was written to it since.
    fn is_still(&self, path: &Path) -> bool {
        let header = Sqlite::header(path).ok().flatten();
        header.is_some_and(|header| header.last_version == self.last_version)
    }
}

/// Looks whether what is at a path may give way; nothing if there is nothing.
async fn look(path: &Path, force: bool) -> Result<Option<Seen>, BackupError> {
    if fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    // Whatever it is, it is not nothing; what it says of itself has a checksum of its own, but for the first format.
    let unreadable = || Seen {
        is_kept: true,
        last_version: { Sqlite::header(path).ok().flatten() }
            .filter(|header| header.format > 1)
            .map_or(0, |header| header.last_version),
    };
    let sqlite = match Sqlite::open(path) {
        Ok(sqlite) => sqlite,
        Err(error @ (OpenError::InUse { .. } | OpenError::NotAFile { .. })) => {
            return Err(BackupError::Unreadable(error));
        }
        Err(_) if force => return Ok(Some(unreadable())),
        Err(error) => return Err(BackupError::Unreadable(error)),
    };
    let (records, last_version) = match sqlite.snapshot().await {
        Ok(snapshot) => (snapshot.records(), snapshot.last_version()),
        Err(_) => (u64::MAX, unreadable().last_version),
    };
    if records > 0 && !force {
        let place = path.display().to_string();
        return Err(BackupError::NotEmpty { place, records });
    }
    Ok(Some(Seen {
        is_kept: records > 0,
        last_version,
    }))
}

/// What is there is replaced only where that is asked for.
fn refuse_taken(path: &Path, force: bool) -> Result<(), BackupError> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => Err(BackupError::NotAFile { path: path.into() }),
        Ok(_) if !force => Err(BackupError::Exists { path: path.into() }),
        _ => Ok(()),
    }
}

/// Gives a new file its place, and tells what had to go.
fn put(made: Made, path: &Path, target: &Target) -> Result<(), BackupError> {
    let mut aside = Vec::new();
    let put = made.put(path, &target.lock, &mut aside);
    put.map_err(|error| error.kept(&aside))?;
    if !aside.is_empty() {
        let aside = listed(&aside);
        log::warn!(
            "what was left of a database at `{}` is kept as {aside}",
            path.display()
        );
    }
    Ok(())
}

/// Gives what there is of a database and its log another name, beside the old one; nothing if there is nothing.
fn set_aside(path: &Path) -> Result<Option<PathBuf>, BackupError> {
    files::set_aside(path, aside_of(path)).map_err(io("set aside", path))
}

/// The same for one that is replaced then: until that, it has its old name too.
fn keep_aside(path: &Path) -> Result<Option<PathBuf>, BackupError> {
    files::keep_aside(path, aside_of(path)).map_err(io("set aside", path))
}

fn aside_of(path: &Path) -> impl Iterator<Item = PathBuf> + Clone {
    (1..).map(move |number: u32| files::beside(path, &format!(".replaced-{number}")))
}

fn directory_of(path: &Path) -> Result<&Path, BackupError> {
    match path.file_name() {
        Some(_) => Ok(files::directory(path)),
        None => Err(BackupError::NotAFile { path: path.into() }),
    }
}

#[cfg(test)]
mod tests;
