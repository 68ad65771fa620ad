//! Backups: everything in one SQLite file, whatever adapter it comes from, and the way back.
//!
//! What is read and written in between is the job of `copy`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::copy::{self, Contents, CopyError, Progress};
use super::sqlite::{Lock, OpenError, Sqlite};
use super::{StorageAdapter, StorageError};

/// What is in the name of directories that an ending in the middle may leave behind.
const TEMPORARY: &str = ".octa-backup-";
/// What is tried with a backup that is to be restored.
const READ: &str = "read";
/// What SQLite has beside a database: it takes them for a part of whatever file has that name.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

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
                    "bring it back: `octa storage restore {aside} --force`"
                ));
            }
        };
        Some(hint.to_owned())
    }

    /// The same, with where files are that were set aside before.
    fn kept(self, aside: &[PathBuf]) -> Self {
        match aside {
            [] => self,
            _ => Self::Kept {
                aside: aside.into(),
                source: Box::new(self),
            },
        }
    }
}

fn listed(paths: &[PathBuf]) -> String {
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
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_dir() => return Err(BackupError::NotAFile { path: path.into() }),
        Ok(_) if !force => return Err(BackupError::Exists { path: path.into() }),
        _ => {}
    }
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
    // A standby gives way before its primary: alone it would be in nobody's way.
    let mut found = Vec::new();
    for path in [standby, Some(to)].into_iter().flatten() {
        let seen = look(path, force).await?;
        // A directory for it is not made.
        if path == to || seen.is_some() {
            let lock = Lock::take(path).map_err(BackupError::Unreadable)?;
            found.push((path, seen.filter(|seen| !seen.is_kept), lock));
        }
    }
    let contents = copy::contents(&unpacked.sqlite, progress).await;
    let contents = contents.map_err(|error| unpacked.unreadable(error))?;
    let closed = unpacked.sqlite.close().await;
    closed.map_err(|error| unpacked.unreadable(error))?;
    let mut aside = Vec::new();
    let put = || {
        for (path, empty, _) in &found {
            // Somebody may have written between the look at it and its lock.
            match empty {
                Some(seen) if seen.is_still(path) => remove_all(path)?,
                // What may be beside it is seen to as the new one is put there.
                _ if fs::symlink_metadata(path).is_err() => {}
                _ => aside.extend(set_aside(path)?),
            }
        }
        found.last().map_or(Ok(()), |(_, _, lock)| {
            unpacked.made.put(to, lock, &mut aside)
        })
    };
    let put = put();
    put.map_err(|error| error.kept(&aside))?;
    Ok(Restored { contents, aside })
}

/// Brings a backup back into a database of any kind that nobody else writes to. The backup is only read.
///
/// With `force`, what is there is first backed up to `aside` and then deleted.
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
    let half = |source| BackupError::Half {
        aside: aside.into(),
        source: Box::new(source),
    };
    let there = to.snapshot().await;
    let records = there
        .map_err(|error| failed(CopyError::Write(error)))?
        .records();
    if records > 0 && !force {
        let place = place.to_owned();
        return Err(BackupError::NotEmpty { place, records });
    }
    if records > 0 {
        self::backup(to, aside, false, |_| ()).await?;
        let cleared = copy::clear(to).await;
        cleared.map_err(|error| half(failed(CopyError::Write(error))))?;
    }
    let copied = copy::copy(&unpacked.sqlite, to, &mut progress).await;
    Ok(Restored {
        contents: copied.map_err(|error| match records {
            0 => failed(error),
            _ => half(failed(error)),
        })?,
        aside: match records {
            0 => Vec::new(),
            _ => vec![aside.to_owned()],
        },
    })
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
    // Whatever it is, it is not nothing.
    let unreadable = Seen {
        is_kept: true,
        last_version: 0,
    };
    let sqlite = match Sqlite::open(path) {
        Ok(sqlite) => sqlite,
        Err(error @ (OpenError::InUse { .. } | OpenError::NotAFile { .. })) => {
            return Err(BackupError::Unreadable(error));
        }
        Err(_) if force => return Ok(Some(unreadable)),
        Err(error) => return Err(BackupError::Unreadable(error)),
    };
    let (records, last_version) = match sqlite.snapshot().await {
        Ok(snapshot) => (snapshot.records(), snapshot.last_version()),
        Err(_) => (u64::MAX, 0),
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

/// Gives what there is of a database and its log another name, beside the old one; nothing if there is nothing.
///
/// If one of them cannot be renamed, all have their old names.
fn set_aside(path: &Path) -> Result<Option<PathBuf>, BackupError> {
    let numbered = |number: u32| with_suffix(path, &format!(".replaced-{number}"));
    let mut names = (1..).map(numbered);
    let all = || COMPANIONS.into_iter().chain([""]);
    let is_free =
        |name: &Path| all().all(|it| fs::symlink_metadata(with_suffix(name, it)).is_err());
    let aside = names.find(|name| is_free(name));
    let aside = aside.unwrap_or_else(|| numbered(0));
    let mut renamed = Vec::new();
    // The log first: without it the file would seem to be whole.
    for suffix in all() {
        let (from, to) = (with_suffix(path, suffix), with_suffix(&aside, suffix));
        match fs::rename(&from, &to) {
            Ok(()) => renamed.push((from, to)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                for (from, to) in renamed.iter().rev() {
                    drop(fs::rename(to, from));
                }
                return Err(io("set aside", path)(error));
            }
        }
    }
    let database = renamed.iter().position(|(from, _)| from == path);
    let told = database.unwrap_or(0);
    Ok((told < renamed.len()).then(|| renamed.swap_remove(told).1))
}

/// Keeps kernels from a file that is to be made, until it is dropped.
#[derive(Debug)]
struct Target {
    lock: Lock,
    /// The locked file, if it is there for this only: a backup is a single file.
    file: Option<PathBuf>,
}

impl Target {
    fn take(path: &Path) -> Result<Self, OpenError> {
        // What is locked is found behind links.
        let file = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let file = with_suffix(&file, ".lock");
        let is_there = fs::symlink_metadata(&file).is_ok();
        Ok(Self {
            lock: Lock::take(path)?,
            file: (!is_there).then_some(file),
        })
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Still locked: who opened it meanwhile has been refused.
        if let Some(file) = &self.file {
            drop(fs::remove_file(file));
        }
    }
}

/// A database file that is still in a directory of its own, beside where it belongs.
#[derive(Debug)]
struct Made {
    /// Removed with whatever is in it.
    directory: TempDir,
    file: PathBuf,
}

impl Made {
    fn new(beside: &Path, path: &Path) -> Result<Self, BackupError> {
        // What is no directory is told in the operating system's words.
        fs::metadata(beside.join(".")).map_err(io("write to the directory", beside))?;
        let directory = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempdir_in(beside);
        let directory = directory.map_err(|error| BackupError::Io {
            action: "write to the directory",
            path: beside.into(),
            // Its words tell a name that means nothing to anybody.
            source: error.kind().into(),
        })?;
        let name = path
            .file_name()
            .map_or_else(|| "octa.db".into(), OsString::from);
        let file = directory.path().join(name);
        Ok(Self { directory, file })
    }

    /// Gives the closed database its place, durably, under the lock of that.
    ///
    /// A log that is left there would be taken for its own: it goes `aside`, with the database if that is there.
    fn put(self, path: &Path, _: &Lock, aside: &mut Vec<PathBuf>) -> Result<(), BackupError> {
        let synced = File::open(&self.file).and_then(|file| file.sync_all());
        synced.map_err(io("sync", &self.file))?;
        let bytes = |suffix| fs::metadata(with_suffix(path, suffix)).map_or(0, |it| it.len());
        match bytes("-wal") + bytes("-journal") {
            0 => remove_each(path, COMPANIONS)?,
            _ => aside.extend(set_aside(path)?),
        }
        fs::rename(&self.file, path).map_err(io("write", path))?;
        let beside = directory_of(path)?;
        let synced = File::open(beside).and_then(|directory| directory.sync_all());
        synced.map_err(io("sync", beside))?;
        drop(self.directory);
        Ok(())
    }
}

/// A backup, copied to where it can be opened without touching it.
struct Unpacked {
    made: Made,
    sqlite: Sqlite,
    backup: PathBuf,
}

impl Unpacked {
    fn new(backup: &Path, beside: &Path) -> Result<Self, BackupError> {
        let there = fs::metadata(backup).map_err(io(READ, backup))?;
        if !there.is_file() {
            return Err(BackupError::NotAFile {
                path: backup.into(),
            });
        }
        let log = with_suffix(backup, "-wal");
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            let path = backup.into();
            return Err(BackupError::InUse { path, log });
        }
        let made = Made::new(beside, backup)?;
        // Opened by itself, for an error to be told from one of writing the copy.
        let mut source = File::open(backup).map_err(io(READ, backup))?;
        let copied =
            File::create_new(&made.file).and_then(|mut copy| io::copy(&mut source, &mut copy));
        copied.map_err(io("write a copy of it to", beside))?;
        let opened = Sqlite::open(&made.file).map_err(|error| BackupError::Unfit {
            path: backup.into(),
            source: about(error, backup),
        });
        Ok(Self {
            sqlite: opened?,
            made,
            backup: backup.into(),
        })
    }

    fn unreadable(&self, error: StorageError) -> BackupError {
        BackupError::Restore {
            path: self.backup.clone(),
            source: CopyError::Read(error),
        }
    }
}

/// The same error about another path: that which its user knows.
fn about(error: OpenError, path: &Path) -> OpenError {
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

fn directory_of(path: &Path) -> Result<&Path, BackupError> {
    match (path.file_name(), path.parent()) {
        (Some(_), Some(parent)) if parent != Path::new("") => Ok(parent),
        (Some(_), _) => Ok(Path::new(".")),
        (None, _) => Err(BackupError::NotAFile { path: path.into() }),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove_all(path: &Path) -> Result<(), BackupError> {
    remove_each(path, [""])?;
    remove_each(path, COMPANIONS)
}

fn remove_each<const N: usize>(path: &Path, suffixes: [&str; N]) -> Result<(), BackupError> {
    for suffix in suffixes {
        match fs::remove_file(with_suffix(path, suffix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(io("remove", path))?,
        }
    }
    Ok(())
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io {
        action,
        path,
        source,
    }
}

#[cfg(test)]
mod tests;
