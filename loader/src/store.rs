//! Keeps what was accepted: every plugin file under its content hash, and for each plugin what
//! serves, what served before, and what was refused.
//!
//! Deciding what serves is the kernel's job, and copying a kept file to where it is opened that of
//! `stage`.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::hash::ContentHash;
use crate::inspect::{InspectFault, Inspection, inspect};
use crate::instance::Snapshot;
use crate::name::NameKind;
use crate::source::{self, FileRules, SourceError};
use crate::stage::Staged;
use crate::sys;

mod error;
mod files;
mod standing;
mod trying;
mod users;

pub use error::StoreError;
pub use standing::{Refused, SavedState, Served, Standing};
pub use trying::{Attempt, Suspect};

use files::{Files, read_failed, write_failed};
use standing::Unreadable;
use trying::Trying;
use users::Users;

/// The artifact store of a data directory: `<data>/store`.
///
/// Files lie in `artifacts/<hash>.so` and `states/<hash>`, what is known of a plugin in
/// `plugins/<name>.json`.
/// Each is written elsewhere and renamed when it is whole: wherever a process ends, a name in the
/// store leads to the old content or the new one, never to half of it.
#[derive(Debug)]
pub struct Store {
    files: Files,
    /// Held for moments, and while sweeping.
    desk: Mutex<Desk>,
    trying: Trying,
}

/// What this process knows of the files.
#[derive(Debug)]
struct Desk {
    users: Users,
    /// Plugins and the files that they are about to name, which a sweep leaves.
    claims: HashSet<(String, PathBuf)>,
    /// Files whose bytes were verified; a file of an earlier process may have lost some when the
    /// machine went down.
    verified: HashSet<PathBuf>,
    /// Files and directories that have reached the disk.
    durable: HashSet<PathBuf>,
    /// Contents that end the process that opens them, and how that is known.
    fatal: HashMap<ContentHash, String>,
}

impl Store {
    /// Opens the store of a data directory, or makes one, for the current user alone.
    ///
    /// What kernels that have ended left unfinished is removed, unless another one runs.
    ///
    /// # Errors
    /// If the directories cannot be made, kept from other users, or locked.
    pub fn open(data: &Path) -> Result<Self, StoreError> {
        let files = Files::open(data.join("store"))?;
        let lock_failed = |source| StoreError::Lock {
            path: files.path().to_owned(),
            source,
        };
        let mut users = Users::join(files.path()).map_err(lock_failed)?;
        let begun = users.alone(|| {
            files.clear_unfinished()?;
            let path = files.trying();
            Trying::open(&path).map_err(write_failed(&path))
        });
        let trying = begun.map_err(lock_failed)?.transpose()?;
        let standings = files.standings()?;
        let readable = standings.iter().filter_map(|path| read_standing(path).ok());
        let fatal = readable.flat_map(|standing| fatal(&standing)).collect();
        Ok(Store {
            trying: trying.unwrap_or_else(Trying::nowhere),
            files,
            desk: Mutex::new(Desk {
                users,
                claims: HashSet::new(),
                verified: HashSet::new(),
                durable: HashSet::new(),
                fatal,
            }),
        })
    }

    /// What was being opened or started when the process before this one ended.
    pub fn suspects(&self) -> Vec<Suspect> {
        self.trying.suspects()
    }

    /// Writes down, until what is answered is dropped, that a content is being opened or started.
    pub fn attempt(&self, plugin: &str, hash: ContentHash) -> Attempt {
        self.trying.attempt(plugin, hash)
    }

    /// Why a content is not to be opened in the kernel's process, if it is not.
    pub fn fatal(&self, hash: ContentHash) -> Option<String> {
        self.desk.lock().fatal.get(&hash).cloned()
    }

    /// A content has been started well: it is suspected no more.
    pub fn acquit(&self, hash: ContentHash) {
        self.trying.acquit(hash);
    }

    /// Takes an inspected file in, and answers the inspection of the kept copy, which can be staged.
    ///
    /// The file is read again under the rules of its inspection, and what is written is hashed:
    /// it is kept only if it has the bytes that were inspected.
    /// If they are kept already, the file is not read.
    /// A sweep leaves them until a [`Store::record`] for the plugin names them, or
    /// [`Store::release`].
    ///
    /// # Errors
    /// If the file has changed or is not acceptable any more, or cannot be written to the store.
    pub fn keep(&self, inspection: &Inspection) -> Result<Inspection, StoreError> {
        let path = self.files.artifact(inspection.hash);
        self.claim(&inspection.manifest.name, &path);
        if !self.is_kept(&path, inspection.hash, inspection.size) {
            self.take_in(inspection, &path)?;
            self.desk.lock().enter(path.clone());
        }
        let mut kept = inspection.clone();
        kept.path = path;
        kept.rules = FileRules::default();
        Ok(kept)
    }

    /// Takes in a verified copy of an inspected file, which nobody writes to any more: by another
    /// name of it where the file system can, which costs next to nothing.
    ///
    /// A sweep leaves it as after [`Store::keep`].
    ///
    /// # Errors
    /// If it cannot be written to the store.
    pub fn keep_copy(&self, inspection: &Inspection, copy: &Staged) -> Result<(), StoreError> {
        let path = self.files.artifact(inspection.hash);
        self.claim(&inspection.manifest.name, &path);
        if self.is_kept(&path, inspection.hash, inspection.size) {
            return Ok(());
        }
        if copy.hash == inspection.hash && self.files.place_link(&copy.path, &path).is_ok() {
            self.desk.lock().enter(path);
            return Ok(());
        }
        self.keep(inspection).map(drop)
    }

    /// A kept file, inspected again and verified; `None` if it is not kept.
    ///
    /// # Errors
    /// If it is damaged, cannot be read, or is not accepted by this version of the loader.
    pub fn artifact(&self, hash: ContentHash) -> Result<Option<Inspection>, StoreError> {
        let path = self.files.artifact(hash);
        let found = match inspect(&path, FileRules::default()) {
            Ok(found) => found,
            Err(error) if is_absent(&error.fault) => return Ok(None),
            Err(source) => {
                // Damage is told as such, and not by what it makes of the headers.
                if let Ok(found) = content_of(&path) {
                    self.expect_content(&path, found, hash)?;
                }
                return Err(StoreError::Unacceptable { path, source });
            }
        };
        self.expect_content(&path, found.hash, hash)?;
        self.desk.lock().verified.insert(path);
        Ok(Some(found))
    }

    /// What was recorded of a plugin; nothing of one that is not known.
    ///
    /// # Errors
    /// [`StoreError::NewerStanding`] and [`StoreError::CorruptStanding`] say that it cannot be
    /// understood; the plugin can run without.
    pub fn standing(&self, plugin: &str) -> Result<Standing, StoreError> {
        NameKind::Plugin.check(plugin)?;
        read_standing(&self.files.standing(plugin))
    }

    /// The plugin that came from a file of this name last: of use where the file tells no more.
    pub fn plugin_of(&self, file: &str) -> Option<String> {
        let standings = self.files.standings().ok()?;
        let is_of = |path: &PathBuf| {
            read_standing(path).is_ok_and(|standing| standing.file.as_deref() == Some(file))
        };
        let found = standings.into_iter().find(is_of)?;
        Some(found.file_stem()?.to_str()?.to_owned())
    }

    /// Records the standing of a plugin durably, after the files that it names.
    ///
    /// A standing that is damaged is replaced, one of a newer format is not.
    ///
    /// # Errors
    /// If a file that it names is not kept, or something cannot be written or brought to the disk.
    /// After [`StoreError::Sync`] either standing may be in force, after any other error the old
    /// one is.
    pub fn record(&self, plugin: &str, standing: &Standing) -> Result<(), StoreError> {
        NameKind::Plugin.check(plugin)?;
        self.files.expect_synced()?;
        let path = self.files.standing(plugin);
        if let Err(error @ StoreError::NewerStanding { .. }) = read_standing(&path) {
            return Err(error);
        }
        let named = self.named(standing);
        for file in &named {
            self.claim(plugin, file);
            self.make_durable(file)?;
        }
        self.write_standing(&path, standing)?;
        let mut desk = self.desk.lock();
        let is_named = |(owner, file): &(String, PathBuf)| owner == plugin && named.contains(file);
        desk.claims.retain(|claim| !is_named(claim));
        desk.fatal.extend(fatal(standing));
        Ok(())
    }

    /// Lets a file go that was taken in for a plugin and will not be named.
    pub fn release(&self, plugin: &str, hash: ContentHash) {
        self.unclaim(plugin, self.files.artifact(hash));
    }

    /// Lets a state go that was taken in for a plugin and will not be named.
    pub fn release_state(&self, plugin: &str, saved: &SavedState) {
        self.unclaim(plugin, self.files.state(saved.hash));
    }

    fn unclaim(&self, plugin: &str, path: PathBuf) {
        self.desk.lock().claims.remove(&(plugin.to_owned(), path));
    }

    /// Takes in what a generation of a plugin saved at the time `at`, in nanoseconds since 1970.
    ///
    /// A sweep leaves it until a [`Store::record`] for the plugin names it, or
    /// [`Store::release_state`].
    ///
    /// # Errors
    /// If it cannot be written to the store.
    pub fn save_state(
        &self,
        plugin: &str,
        state: &Snapshot,
        at: u64,
    ) -> Result<SavedState, StoreError> {
        let hash = ContentHash::of(&state.bytes);
        let path = self.files.state(hash);
        self.claim(plugin, &path);
        if !self.is_kept(&path, hash, state.bytes.len() as u64) {
            self.files.place(&path, |mut file| {
                let sealed = sys::seal(file);
                let written = sealed.and_then(|()| file.write_all(&state.bytes));
                written.map_err(write_failed(&path))
            })?;
            self.desk.lock().enter(path);
        }
        Ok(SavedState {
            version: state.version,
            hash,
            at,
        })
    }

    /// Reads a saved state and verifies it.
    ///
    /// # Errors
    /// If it is gone, damaged, or cannot be read.
    pub fn load_state(&self, saved: &SavedState) -> Result<Snapshot, StoreError> {
        let path = self.files.state(saved.hash);
        let bytes = fs::read(&path).map_err(read_failed(&path))?;
        self.expect_content(&path, ContentHash::of(&bytes), saved.hash)?;
        Ok(Snapshot {
            version: saved.version,
            bytes: bytes.into(),
        })
    }

    /// Removes files and states that no standing names, and says how many.
    ///
    /// Nothing is removed while another kernel uses the store, since nobody here knows what that
    /// one is about to name.
    ///
    /// # Errors
    /// If a standing cannot be understood, since nobody knows what it names, or something cannot
    /// be removed.
    pub fn sweep(&self) -> Result<usize, StoreError> {
        let mut desk = self.desk.lock();
        let Desk { users, claims, .. } = &mut *desk;
        let swept = users.alone(|| {
            let mut needed = self.recorded()?;
            needed.extend(claims.iter().map(|(_, path)| path.clone()));
            self.files.remove_except(&needed)
        });
        let swept = swept.map_err(|source| StoreError::Lock {
            path: self.files.path().to_owned(),
            source,
        })?;
        let removed = swept.transpose()?.unwrap_or_default();
        for path in &removed {
            desk.forget(path);
        }
        Ok(removed.len())
    }

    fn claim(&self, plugin: &str, path: &Path) {
        let claim = (plugin.to_owned(), path.to_owned());
        self.desk.lock().claims.insert(claim);
    }

    /// Tells whether a file is there with these bytes; those are compared once.
    fn is_kept(&self, path: &Path, hash: ContentHash, size: u64) -> bool {
        if fs::metadata(path).is_ok_and(|found| found.len() == size) {
            if self.desk.lock().verified.contains(path) {
                return true;
            }
            if content_of(path).is_ok_and(|found| found == hash) {
                self.desk.lock().verified.insert(path.to_owned());
                return true;
            }
        }
        false
    }

    fn take_in(&self, inspection: &Inspection, path: &Path) -> Result<(), StoreError> {
        let from = || inspection.path.clone();
        let opened = source::open(&inspection.path, inspection.rules);
        let (source, _) = opened.map_err(|source| StoreError::Source {
            path: from(),
            source,
        })?;
        self.files.place(path, |file| {
            let sealed = sys::seal(file);
            let copied = sealed.and_then(|()| source::copy(source, file, inspection.size));
            match copied.map_err(write_failed(path))? {
                found if found == inspection.hash => Ok(()),
                found => Err(StoreError::Changed {
                    path: from(),
                    found,
                    inspected: inspection.hash,
                }),
            }
        })
    }

    /// Refuses a file with other bytes, which is then taken in anew when it is kept next.
    fn expect_content(
        &self,
        path: &Path,
        found: ContentHash,
        expected: ContentHash,
    ) -> Result<(), StoreError> {
        if found == expected {
            return Ok(());
        }
        self.desk.lock().forget(path);
        Err(StoreError::Torn {
            path: path.to_owned(),
            found,
            expected,
        })
    }

    /// The files that a standing names.
    fn named(&self, standing: &Standing) -> Vec<PathBuf> {
        let generations = || standing.current.iter().chain(&standing.previous);
        let states = generations().filter_map(|served| served.state.as_ref());
        let states = states.map(|state| self.files.state(state.hash));
        let artifacts = generations().map(|served| self.files.artifact(served.hash));
        artifacts.chain(states).collect()
    }

    /// The files that all standings name.
    fn recorded(&self) -> Result<HashSet<PathBuf>, StoreError> {
        let mut files = HashSet::new();
        for path in self.files.standings()? {
            files.extend(self.named(&read_standing(&path)?));
        }
        Ok(files)
    }

    fn make_durable(&self, path: &Path) -> Result<(), StoreError> {
        if !self.desk.lock().durable.contains(path) || !path.exists() {
            self.files.sync_placed(path)?;
            self.desk.lock().durable.insert(path.to_owned());
        }
        Ok(())
    }

    fn write_standing(&self, path: &Path, standing: &Standing) -> Result<(), StoreError> {
        let json = standing::to_json(standing).map_err(write_failed(path))?;
        let base = self.files.path();
        if !self.desk.lock().durable.contains(base) {
            self.files.sync_base()?;
            self.desk.lock().durable.insert(base.to_owned());
        }
        self.files.place(path, |mut file| {
            file.write_all(&json).map_err(write_failed(path))?;
            self.files.sync(file, path)
        })?;
        self.files.sync_path(path.parent().unwrap_or(base))
    }
}

impl Desk {
    /// Enters a file that was placed, maybe over a damaged one.
    fn enter(&mut self, path: PathBuf) {
        self.durable.remove(&path);
        self.verified.insert(path);
    }

    fn forget(&mut self, path: &Path) {
        self.verified.remove(path);
        self.durable.remove(path);
    }
}

fn content_of(path: &Path) -> Result<ContentHash, SourceError> {
    let (file, size) = source::open(path, FileRules::default())?;
    source::copy(file, io::sink(), size).map_err(SourceError::Read)
}

fn fatal(standing: &Standing) -> Vec<(ContentHash, String)> {
    let fatal = standing.refused.iter().filter(|refused| refused.is_fatal);
    fatal.map(|it| (it.hash, it.why.clone())).collect()
}

fn read_standing(path: &Path) -> Result<Standing, StoreError> {
    let json = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::default()),
        json => json.map_err(read_failed(path))?,
    };
    let path = path.to_owned();
    standing::from_json(&json).map_err(|unreadable| match unreadable {
        Unreadable::Newer { found, known } => StoreError::NewerStanding { path, found, known },
        Unreadable::Corrupt(source) => StoreError::CorruptStanding { path, source },
    })
}

fn is_absent(fault: &InspectFault) -> bool {
    matches!(fault, InspectFault::Source(SourceError::Open(error))
        if error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests;
