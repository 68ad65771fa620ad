//! The directories of a store, and how a file gets into them: whole or not at all.
//!
//! Which files there should be is the job of `store`.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::StoreError;
use crate::hash::ContentHash;
use crate::sys;

const ARTIFACTS: &str = "artifacts";
const STATES: &str = "states";
const PLUGINS: &str = "plugins";
const UNFINISHED: &str = "unfinished";
const TRYING: &str = "trying";

/// The directories of one store.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    /// Number of the next unfinished file.
    next: AtomicU64,
    /// Something may not have reached the disk, and the system tells that only once.
    sync_failed: AtomicBool,
}

impl Files {
    /// Makes the directories, for the current user alone.
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        prepare(&path)?;
        for part in [ARTIFACTS, STATES, PLUGINS, UNFINISHED] {
            prepare(&path.join(part))?;
        }
        Ok(Files {
            path,
            next: AtomicU64::new(0),
            sync_failed: AtomicBool::new(false),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn artifact(&self, hash: ContentHash) -> PathBuf {
        let name = format!("{hash}.{}", std::env::consts::DLL_EXTENSION);
        self.path.join(ARTIFACTS).join(name)
    }

    pub(super) fn state(&self, hash: ContentHash) -> PathBuf {
        self.path.join(STATES).join(hash.to_string())
    }

    pub(super) fn standing(&self, plugin: &str) -> PathBuf {
        self.path.join(PLUGINS).join(format!("{plugin}.json"))
    }

    pub(super) fn trying(&self) -> PathBuf {
        self.path.join(TRYING)
    }

    /// The standings of all plugins.
    pub(super) fn standings(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut standings = list(&self.path.join(PLUGINS))?;
        standings.retain(|path| path.extension().is_some_and(|found| found == "json"));
        Ok(standings)
    }

    /// Writes a file under another name, and gives it its name when it is whole.
    pub(super) fn place(
        &self,
        path: &Path,
        write: impl FnOnce(&File) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (file, unfinished) = self.begin().map_err(write_failed(path))?;
        let written = write(&file);
        // Windows renames nothing that is open.
        drop(file);
        let placed =
            written.and_then(|()| fs::rename(&unfinished, path).map_err(write_failed(path)));
        if placed.is_err()
            && let Err(error) = fs::remove_file(&unfinished)
        {
            log::warn!("unfinished file `{}` stays: {error}", unfinished.display());
        }
        placed
    }

    /// Gives a file that is whole and that nobody writes to a name in the store, too.
    pub(super) fn place_link(&self, file: &Path, path: &Path) -> io::Result<()> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", process::id());
        let unfinished = self.path.join(UNFINISHED).join(name);
        fs::hard_link(file, &unfinished)?;
        // What lies there is damaged, or it would have been kept.
        fs::rename(&unfinished, path).inspect_err(|_| {
            let _ = fs::remove_file(&unfinished);
        })
    }

    fn begin(&self) -> io::Result<(File, PathBuf)> {
        loop {
            // A process of another container, or one that has ended, may have the same id.
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number}", process::id());
            let path = self.path.join(UNFINISHED).join(name);
            match sys::create_private_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => return Ok((file?, path)),
            }
        }
    }

    /// Removes what a process that has ended was writing.
    pub(super) fn clear_unfinished(&self) -> Result<(), StoreError> {
        let leftovers = list(&self.path.join(UNFINISHED))?;
        leftovers.iter().try_for_each(|path| remove(path))
    }

    /// Removes the artifacts and states that are not needed, and names them.
    pub(super) fn remove_except(
        &self,
        needed: &HashSet<PathBuf>,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let mut surplus = list(&self.path.join(ARTIFACTS))?;
        surplus.extend(list(&self.path.join(STATES))?);
        surplus.retain(|path| !needed.contains(path));
        surplus.iter().try_for_each(|path| remove(path))?;
        Ok(surplus)
    }

    /// Brings a file that was placed to the disk, with its name.
    pub(super) fn sync_placed(&self, path: &Path) -> Result<(), StoreError> {
        self.sync_path(path)?;
        self.sync_path(path.parent().unwrap_or(path))
    }

    /// Brings the directories themselves to the disk.
    pub(super) fn sync_base(&self) -> Result<(), StoreError> {
        self.sync_placed(&self.path)
    }

    /// Brings the content of a file, or the names in a directory, to the disk.
    pub(super) fn sync_path(&self, path: &Path) -> Result<(), StoreError> {
        let file = sys::open_to_sync(path).map_err(read_failed(path))?;
        file.map_or(Ok(()), |file| self.sync(&file, path))
    }

    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<(), StoreError> {
        match file.sync_all() {
            // Some network file systems know no such thing, for directories.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            Err(source) => {
                self.sync_failed.store(true, Ordering::Relaxed);
                let path = path.to_owned();
                Err(StoreError::Sync { path, source })
            }
            Ok(()) => Ok(()),
        }
    }

    /// Refuses once something did not reach the disk: the next sync would answer that all is well.
    pub(super) fn expect_synced(&self) -> Result<(), StoreError> {
        match self.sync_failed.load(Ordering::Relaxed) {
            false => Ok(()),
            true => Err(StoreError::Unsynced {
                path: self.path.clone(),
            }),
        }
    }
}

#[cfg(test)]
impl Files {
    /// What a sync that fails leaves.
    pub(super) fn distrust_disk(&self) {
        self.sync_failed.store(true, Ordering::Relaxed);
    }
}

fn prepare(directory: &Path) -> Result<(), StoreError> {
    match sys::prepare_private_dir(directory).map_err(directory_failed(directory))? {
        None => Ok(()),
        Some(sys::Exposure { owner, user, .. }) => Err(StoreError::ForeignDirectory {
            path: directory.to_owned(),
            owner,
            user,
        }),
    }
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = fs::read_dir(directory).map_err(directory_failed(directory))?;
    entries
        .map(|entry| Ok(entry.map_err(directory_failed(directory))?.path()))
        .collect()
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::Remove {
            path: path.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}

fn directory_failed(directory: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = directory.to_owned();
    move |source| StoreError::Directory { path, source }
}

pub(super) fn write_failed(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Write { path, source }
}

/// A file of the store is always expected where it is read.
pub(super) fn read_failed(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::NotFound => StoreError::Missing { path },
        _ => StoreError::Read { path, source },
    }
}
