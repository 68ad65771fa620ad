//! Files in the making: a backup until it is whole, and a copy of one that is to be restored.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::super::sqlite::{Lock, files};
use super::super::{CopyError, Half, OpenError, Sqlite, StorageAdapter, StorageError, half};
use super::error::{BackupError, READ, about, io};
use super::set_aside;

/// What is in the name of directories that an ending in the middle may leave behind.
const TEMPORARY: &str = ".octa-backup-";

/// Keeps kernels from a file that is to be made, until it is dropped.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) lock: Lock,
    /// The locked file, if it is there for this only: a backup is a single file.
    file: Option<PathBuf>,
}

impl Target {
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        // What is locked is found behind links.
        let file = files::lock(&files::resolve(path));
        let is_there = files::is_taken(&file);
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
pub(super) struct Made {
    /// Removed with whatever is in it.
    directory: TempDir,
    pub(super) file: PathBuf,
}

impl Made {
    pub(super) fn new(beside: &Path, path: &Path) -> Result<Self, BackupError> {
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
    pub(super) fn put(
        self,
        path: &Path,
        lock: &Lock,
        aside: &mut Vec<PathBuf>,
    ) -> Result<(), BackupError> {
        if files::has_rest(path) {
            aside.extend(set_aside(path)?);
        }
        self.replace(path, lock)
    }

    /// Gives the closed database the place of one that is kept, or that is nothing worth.
    pub(super) fn replace(self, path: &Path, _: &Lock) -> Result<(), BackupError> {
        files::replace(path, &self.file).map_err(io("write", path))?;
        drop(self.directory);
        Ok(())
    }
}

/// A backup, copied to where it can be opened without touching it.
pub(super) struct Unpacked {
    pub(super) made: Made,
    pub(super) sqlite: Sqlite,
    backup: PathBuf,
}

impl Unpacked {
    pub(super) fn new(backup: &Path, beside: &Path) -> Result<Self, BackupError> {
        let there = fs::metadata(backup).map_err(io(READ, backup))?;
        if !there.is_file() {
            return Err(BackupError::NotAFile {
                path: backup.into(),
            });
        }
        let log = files::log(backup);
        if fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            let path = backup.into();
            return Err(BackupError::InUse { path, log });
        }
        let made = Made::new(beside, backup)?;
        copy_file(backup, &made.file)?;
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

    /// What was to be filled and is not whole is no backup of anything.
    pub(super) async fn refuse_part(&self) -> Result<(), BackupError> {
        let part = half(&self.sqlite).await;
        match part.map_err(|error| self.unreadable(error))? {
            None => Ok(()),
            Some(Half { aside }) => Err(BackupError::Restore {
                path: self.backup.clone(),
                source: CopyError::Half { aside },
            }),
        }
    }

    /// Makes of the copy of a standby one that leads: nothing would start on it.
    pub(super) async fn lead(&self) -> Result<(), BackupError> {
        let header = self.sqlite.own_header();
        let header = header.map_err(|error| self.unreadable(error))?;
        if header.following {
            let raised = self.sqlite.raise_epoch().await;
            raised.map_err(|error| self.unreadable(error))?;
        }
        Ok(())
    }

    /// Lets what is written to it take versions that the database in whose place it comes has not given.
    pub(super) async fn go_on_behind(&self, last_version: u64) -> Result<(), BackupError> {
        let raised = self.sqlite.replicate(&[], last_version).await;
        raised.map_err(|error| BackupError::Restore {
            path: self.backup.clone(),
            source: CopyError::Write(error),
        })
    }

    pub(super) fn unreadable(&self, error: StorageError) -> BackupError {
        BackupError::Restore {
            path: self.backup.clone(),
            source: CopyError::Read(error),
        }
    }
}

/// Copies a file to where one is made.
pub(super) fn copy_file(from: &Path, to: &Path) -> Result<(), BackupError> {
    // Opened by itself, for an error to be told from one of writing the copy.
    let mut source = File::open(from).map_err(io(READ, from))?;
    let copied = files::private()
        .create_new(true)
        .open(to)
        .and_then(|mut to| io::copy(&mut source, &mut to));
    // The name of the directory that it is made in means nothing to anybody.
    let beside = files::directory(files::directory(to));
    copied
        .map(drop)
        .map_err(io("write a copy of it to", beside))
}
