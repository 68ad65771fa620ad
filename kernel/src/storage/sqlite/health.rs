//! What went wrong for good with an open database, known to who reads and who writes.

use std::path::{Path, PathBuf};
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
            // The first reason stays.
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

/// Ends the writes of an open database where it is found out that they would be lost; it can still be read.
#[derive(Clone, Debug)]
pub(in crate::storage) struct Brake(pub(super) Arc<Health>);

impl Brake {
    /// Another file is the primary, in the first of the epochs; this one is so in the second.
    pub(in crate::storage) fn taken_over(&self, by: &Path, epochs: [u64; 2]) {
        let by = by.to_owned();
        let error = StorageError::Unavailable {
            store: self.0.name.clone(),
            trouble: Trouble::TakenOver,
            source: Arc::new(TakenOver { by, epochs }),
        };
        // The first reason stays.
        drop(self.0.failed.set(error));
    }
}

/// A standby has become the primary in the place of the database that is open.
#[derive(Debug, thiserror::Error)]
#[error("`{}` is the primary in epoch {}, this one was in epoch {}", by.display(), epochs[0], epochs[1])]
struct TakenOver {
    by: PathBuf,
    epochs: [u64; 2],
}
