//! What the writer tells those who ask: what watches hear, and why there is no connection.

use parking_lot::Mutex;

use super::super::{StorageError, Trouble};
use super::watches::Watches;

/// What the writer shares with the callers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) watches: Watches,
    /// Why there is no connection, while there is none; held to read or write it.
    lost: Mutex<Option<StorageError>>,
}

impl Shared {
    pub(super) fn new(last_version: u64) -> Self {
        Self {
            watches: Watches::new(last_version),
            lost: Mutex::new(None),
        }
    }

    pub(super) fn connected(&self) {
        *self.lost.lock() = None;
    }

    pub(super) fn unconnected(&self, reason: StorageError) {
        *self.lost.lock() = Some(reason);
    }

    /// Why the writer has no connection, where it knows.
    pub(super) fn lost(&self) -> Option<StorageError> {
        self.lost.lock().clone()
    }

    /// The same where that is since another has the database alone: it is not to be read then either, since what is
    /// there is half replaced.
    pub(super) fn busy(&self) -> Option<StorageError> {
        let lost = self.lost();
        lost.filter(|lost| {
            matches!(
                lost,
                StorageError::Unavailable {
                    trouble: Trouble::Busy,
                    ..
                }
            )
        })
    }
}
