//! State: JSON values in memory under a namespace and a key, versioned and watched.
//!
//! Nothing of it outlives the process: what must is `storage`'s.
//! Who may use which namespace is decided by permissions, before a handle is made.

mod watch;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Weak};

use octa_plugin_api::Payload;
use parking_lot::{RwLock, RwLockWriteGuard};

use crate::storage::table::Table;
use crate::storage::{Address, Conflict, Expect, Invalid, Page, Query, Record, check_value};
use watch::Watch;
pub use watch::{Change, Keys, Notice, WATCH_CAPACITY, Watcher};

/// Namespaces of different shards are written beside each other.
const SHARDS: usize = 32;

/// The state of one kernel; clones share it.
///
/// A name or value beyond the limits is [`StateError::Invalid`], an expectation not met [`StateError::Conflict`].
///
/// Every change of a namespace takes a higher version than all before it there,
/// so a key that is deleted and written again never repeats one.
#[derive(Clone, Debug)]
pub struct State {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    hasher: RandomState,
    /// A namespace lives in one shard; its lock is held for microseconds and never across an await.
    shards: Box<[RwLock<Shard>]>,
}

#[derive(Debug, Default)]
struct Shard {
    table: Table,
    watches: Vec<Watch>,
}

impl State {
    /// Makes an empty state.
    pub fn new() -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self {
            inner: Arc::new(Inner {
                hasher: RandomState::new(),
                shards,
            }),
        }
    }

    /// Reads one record.
    pub fn get(&self, namespace: &str, key: &str) -> Result<Option<Record>, StateError> {
        let at = Address::new(namespace, key)?;
        Ok(self.inner.shard(namespace).read().table.get(at).cloned())
    }

    /// Writes a value whatever was there; returns its version.
    pub fn set(
        &self,
        namespace: &str,
        key: &str,
        value: impl Into<Payload>,
    ) -> Result<u64, StateError> {
        self.compare_and_set(namespace, key, Expect::Any, value)
    }

    /// Writes a value if the record is as expected; returns its version.
    pub fn compare_and_set(
        &self,
        namespace: &str,
        key: &str,
        expect: Expect,
        value: impl Into<Payload>,
    ) -> Result<u64, StateError> {
        let at = Address::new(namespace, key)?;
        let value = value.into();
        check_value(at, &value)?;
        let mut shard = self.inner.shard(namespace).write();
        let version = shard.table.put(at, expect, value.clone())?;
        Shard::tell(shard, at, version, Some(value));
        Ok(version)
    }

    /// Deletes a record; tells whether there was one.
    pub fn delete(&self, namespace: &str, key: &str) -> Result<bool, StateError> {
        self.compare_and_delete(namespace, key, Expect::Any)
    }

    /// Deletes a record if it is as expected; tells whether there was one.
    pub fn compare_and_delete(
        &self,
        namespace: &str,
        key: &str,
        expect: Expect,
    ) -> Result<bool, StateError> {
        let at = Address::new(namespace, key)?;
        let mut shard = self.inner.shard(namespace).write();
        let Some(version) = shard.table.delete(at, expect)? else {
            return Ok(false);
        };
        Shard::tell(shard, at, version, None);
        Ok(true)
    }

    /// Reads one page of a namespace.
    pub fn list(&self, query: Query<'_>) -> Page {
        self.inner.shard(query.namespace()).read().table.page(query)
    }

    /// Watches the changes of some keys from now on.
    ///
    /// To follow a value from its present one on, watch first and read then: changes up to the version read are in it.
    pub fn watch(&self, namespace: &str, keys: Keys) -> Result<Watcher, StateError> {
        keys.check(namespace)?;
        let (watch, watcher) = watch::pair(namespace, keys, Arc::downgrade(&self.inner));
        self.inner.shard(namespace).write().watches.push(watch);
        Ok(watcher)
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn shard(&self, namespace: &str) -> &RwLock<Shard> {
        let hash = self.hasher.hash_one(namespace);
        &self.shards[(hash % SHARDS as u64) as usize]
    }

    fn unwatch(this: &Weak<Self>, watcher: &Watcher) {
        if let Some(inner) = this.upgrade() {
            let mut shard = inner.shard(watcher.namespace()).write();
            let place = shard.watches.iter().position(|watch| watch.feeds(watcher));
            let watch = place.map(|place| shard.watches.swap_remove(place));
            // Its end wakes whoever waited, which must not happen under the lock.
            drop(shard);
            drop(watch);
        }
    }
}

impl Shard {
    /// Queues a change under the shard's lock, for the order, and wakes watchers after it.
    fn tell(
        shard: RwLockWriteGuard<'_, Self>,
        at: Address<'_>,
        version: u64,
        value: Option<Payload>,
    ) {
        let mut wakers = Vec::new();
        for watch in shard.watches.iter().filter(|watch| watch.wants(at)) {
            wakers.extend(watch.push(Change::new(at.key(), version, value.clone())));
        }
        drop(shard);
        wakers.into_iter().for_each(std::task::Waker::wake);
    }
}

/// Why a state operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A record was not as expected.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A name or value that state does not take.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

impl StateError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict(conflict) => conflict.hint(),
            Self::Invalid(invalid) => invalid.hint(),
        }
    }
}

#[cfg(test)]
mod tests;
