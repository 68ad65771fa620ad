//! What went wrong for good with an open database, known to who reads and who writes.

use std::sync::{Arc, OnceLock};

use super::super::{StorageError, Trouble};
use super::damage::Fault;

/// Whether an open database can still be used.
#[derive(Debug)]
pub(super) struct Health {
    /// What errors call the database.
    name: Arc<str>,
    /// Set once: only opening it again helps.
    failed: OnceLock<StorageError>,
}

impl Health {
    pub(super) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            failed: OnceLock::new(),
        }
    }

    /// Says an error in the words of storage.
    pub(super) fn error(&self, fault: Fault) -> StorageError {
        fault.into_error(&self.name)
    }

    /// Says the error of a write, and whether writes end with it.
    pub(super) fn failed(&self, fault: Fault) -> StorageError {
        let ends = fault.ends_writes();
        let error = self.error(fault);
        if ends {
            // Another write may not come between: there is one thread that writes.
            drop(self.failed.set(error.clone()));
        }
        error
    }

    pub(super) fn may_write(&self) -> Result<(), StorageError> {
        self.failed.get().cloned().map_or(Ok(()), Err)
    }

    /// What is in a file that is no longer ours to read is not what anyone asks for.
    pub(super) fn may_read(&self) -> Result<(), StorageError> {
        match self.failed.get() {
            Some(
                error @ StorageError::Unavailable {
                    trouble: Trouble::Replaced,
                    ..
                },
            ) => Err(error.clone()),
            _ => Ok(()),
        }
    }
}
