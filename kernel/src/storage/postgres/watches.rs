//! What the watches of this kernel are told: a tail of changes, fed by the writer with what it and others wrote.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use super::super::change::Change;
use super::super::tail::Tail;

/// The tail, and how far it is.
#[derive(Debug)]
pub(super) struct Watches {
    /// Another one takes its place where changes were missed; held to clone or replace it.
    tail: Mutex<Arc<Tail>>,
    /// Written by the writer alone.
    seen: AtomicU64,
    /// Once somebody watches, what others write is read as well.
    is_watched: AtomicBool,
}

impl Watches {
    pub(super) fn new(last_version: u64) -> Self {
        Self {
            tail: Mutex::new(Arc::new(Tail::new(last_version))),
            seen: AtomicU64::new(last_version),
            is_watched: AtomicBool::new(false),
        }
    }

    pub(super) fn tail(&self) -> Arc<Tail> {
        self.tail.lock().clone()
    }

    /// The version up to which the tail is.
    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Relaxed)
    }

    pub(super) fn is_watched(&self) -> bool {
        self.is_watched.load(Relaxed)
    }

    pub(super) fn watch(&self) {
        self.is_watched.store(true, Relaxed);
    }

    /// Adds changes that follow on what was seen.
    pub(super) fn push(&self, last_version: u64, changes: impl FnOnce() -> Vec<Change>) {
        // In this order, so that whoever finds a version seen finds it in the tail.
        let wakers = self.tail().push(last_version, changes);
        self.seen.store(last_version, Relaxed);
        wakers.wake();
    }

    /// Begins anew behind changes that were missed.
    pub(super) fn skip(&self, last_version: u64) {
        let new = Arc::new(Tail::new(last_version));
        let old = std::mem::replace(&mut *self.tail.lock(), new);
        self.seen.store(last_version, Relaxed);
        old.close().wake();
    }

    pub(super) fn close(&self) {
        self.tail().close().wake();
    }
}
