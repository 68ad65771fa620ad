//! Tells whether other kernels use a store: nobody cleans up what another may need.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use crate::sys;

/// One user of a store, until it is dropped or its process ends.
///
/// A lock cannot be turned from shared into exclusive without letting go of it in between, so
/// whoever does that holds `gate`: nobody else is alone meanwhile.
#[derive(Debug)]
pub(super) struct Users {
    /// Locked by all, shared.
    users: File,
    gate: File,
}

impl Users {
    pub(super) fn join(store: &Path) -> io::Result<Self> {
        let users = open(&store.join("users.lock"))?;
        let gate = open(&store.join("gate.lock"))?;
        users.lock_shared()?;
        Ok(Users { users, gate })
    }

    /// Runs `work` if nobody else uses the store, and lets nobody in meanwhile.
    pub(super) fn alone<T>(&mut self, work: impl FnOnce() -> T) -> io::Result<Option<T>> {
        if !is_free(self.gate.try_lock())? {
            return Ok(None);
        }
        let outcome = self.try_alone(work);
        sys::unlock(&self.gate)?;
        outcome
    }

    fn try_alone<T>(&mut self, work: impl FnOnce() -> T) -> io::Result<Option<T>> {
        sys::unlock(&self.users)?;
        let is_alone = is_free(self.users.try_lock());
        let result = matches!(is_alone, Ok(true)).then(work);
        if result.is_some() {
            sys::unlock(&self.users)?;
        }
        self.users.lock_shared()?;
        is_alone.map(|_| result)
    }
}

fn open(path: &Path) -> io::Result<File> {
    // Opened for writing, since network file systems lock nothing exclusively without.
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

fn is_free(outcome: Result<(), TryLockError>) -> io::Result<bool> {
    match outcome {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
