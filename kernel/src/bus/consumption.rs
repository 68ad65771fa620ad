//! What is known of how a queue's events are handled, told by who handles them.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Counts and settings that are nothing to the queue itself; written where events fail, so apart
/// from what it locks.
#[derive(Debug, Default)]
pub(super) struct Consumption {
    /// How many events are handled at once; 0 if that was not said.
    pub(super) concurrency: AtomicU32,
    /// How often an event was to be tried again.
    pub(super) retried: AtomicU64,
    /// How many events were given up.
    pub(super) dead: AtomicU64,
}

impl Consumption {
    pub(super) fn set_concurrency(&self, concurrency: u32) {
        self.concurrency.store(concurrency, Ordering::Relaxed);
    }

    pub(super) fn count_retry(&self) {
        self.retried.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_dead(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
    }
}
