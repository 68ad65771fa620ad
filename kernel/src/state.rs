//! State: JSON values in memory under a namespace and a key, versioned, watched, and gone in time if so wished.
//!
//! Nothing of it outlives the process: what must is `storage`'s.
//! Who may use which namespace is decided by permissions, before a handle is made.

mod deadlines;
mod expiry;
mod shard;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use octa_plugin_api::Payload;
use tokio::sync::watch;

use crate::storage::{
    Address, Changes, Conflict, Expect, Invalid, Page, Query, Quota, QuotaSpent, Record, Since,
    Usage, Watched, Watcher, check_value,
};
use crate::time::Clock;
use shard::{Put, Shard};

/// Namespaces of different shards are written beside each other.
const SHARDS: usize = 32;

/// The state of one kernel; clones share it.
///
/// A name or value beyond the limits is [`StateError::Invalid`], an expectation not met [`StateError::Conflict`],
/// a namespace that would grow too large [`StateError::Quota`]; nothing was written then.
///
/// Every change of a namespace takes a higher version than all before it there,
/// so a key that is deleted and written again never repeats one.
///
/// A value may have a time to live. It is never read once that is over; its deletion takes a version like any
/// other, and who watches is told.
#[derive(Clone)]
pub struct State {
    inner: Arc<Inner>,
}

struct Inner {
    hasher: RandomState,
    /// A namespace lives in one shard.
    shards: Box<[Shard]>,
    clock: Arc<dyn Clock>,
    quota: Quota,
    /// Told to the one who expires whenever a value is due before all others of its shard, and
    /// with `true` that it is to end.
    sooner: watch::Sender<bool>,
}

impl State {
    /// Makes an empty state whose times are those of `clock`, each namespace bounded to `quota`.
    pub fn new(clock: Arc<dyn Clock>, quota: Quota) -> Self {
        let inner = Inner {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Shard::new()).collect(),
            clock,
            quota,
            sooner: watch::Sender::new(false),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Reads one record.
    pub fn get(&self, namespace: &str, key: &str) -> Result<Option<Record>, StateError> {
        let at = Address::new(namespace, key)?;
        Ok(self.shard(namespace).get(at, &*self.inner.clock))
    }

    /// Writes a value whatever was there, to stay; returns its version.
    pub fn set(
        &self,
        namespace: &str,
        key: &str,
        value: impl Into<Payload>,
    ) -> Result<u64, StateError> {
        self.compare_and_set(namespace, key, Expect::Any, value)
    }

    /// Writes a value if the record is as expected, to stay; returns its version.
    pub fn compare_and_set(
        &self,
        namespace: &str,
        key: &str,
        expect: Expect,
        value: impl Into<Payload>,
    ) -> Result<u64, StateError> {
        let at = Address::new(namespace, key)?;
        self.put(Put {
            at,
            expect,
            value: value.into(),
            due: None,
        })
    }

    /// Writes a value if the record is as expected, to be gone after `time`; returns its version.
    ///
    /// Written again, its time begins anew, or ends if it is to stay.
    pub fn set_for(
        &self,
        namespace: &str,
        key: &str,
        expect: Expect,
        value: impl Into<Payload>,
        time: Duration,
    ) -> Result<u64, StateError> {
        let at = Address::new(namespace, key)?;
        let due = self.inner.clock.monotonic().saturating_add(time);
        self.put(Put {
            at,
            expect,
            value: value.into(),
            due: Some(due),
        })
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
        let shard = self.shard(namespace);
        Ok(shard.delete(at, expect, &*self.inner.clock)?)
    }

    /// Reads one page of a namespace.
    pub fn list(&self, query: Query<'_>) -> Page {
        let shard = self.shard(query.namespace());
        shard.expire_due(&*self.inner.clock);
        shard.page(query)
    }

    /// Tells what each namespace holds that holds anything, in the order of their names.
    pub fn usage(&self) -> Vec<(Arc<str>, Usage)> {
        self.expire_due();
        let mut all: Vec<_> = self.inner.shards.iter().flat_map(Shard::usages).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Returns the most that each namespace may hold.
    pub fn quota(&self) -> Quota {
        self.inner.quota
    }

    /// Waits for changes of the keys of a namespace that start with `prefix` (all if it is empty), behind the
    /// version `after`; without one it answers at once, with none and the last version.
    ///
    /// It keeps the contract of [`StorageAdapter::changes`](crate::storage::StorageAdapter::changes).
    pub async fn changes(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<u64>,
    ) -> Result<Changes, StateError> {
        let since = Since::new(namespace, prefix, after)?;
        self.shard(namespace).changes(since).await
    }

    /// Watches the keys of a namespace that start with `prefix` (all if it is empty), from now on.
    ///
    /// To follow values from what they are now, watch first and read then.
    pub async fn watch(&self, namespace: &str, prefix: &str) -> Result<Watcher<Self>, StateError> {
        Watcher::begin(self.clone(), namespace, prefix, None).await
    }

    /// The same, from behind a version on: that of a watcher before.
    pub async fn watch_after(
        &self,
        namespace: &str,
        prefix: &str,
        version: u64,
    ) -> Result<Watcher<Self>, StateError> {
        Watcher::begin(self.clone(), namespace, prefix, Some(version)).await
    }

    /// Ends all watches, and the task that expires. Reading and writing go on.
    pub(crate) fn close(&self) {
        self.inner.shards.iter().for_each(Shard::close);
        self.end_expiry();
    }

    fn put(&self, mut put: Put<'_>) -> Result<u64, StateError> {
        check_value(put.at, &put.value)?;
        // What is kept is counted by its length.
        put.value = put.value.fitted();
        let (clock, quota) = (&*self.inner.clock, self.inner.quota);
        let shard = self.shard(put.at.namespace());
        let written = match shard.put(&put, quota, clock) {
            // What is over makes room.
            Err(StateError::Quota(_)) if shard.expire_due(clock) => shard.put(&put, quota, clock),
            written => written,
        };
        let written = written?;
        if written.is_sooner {
            self.inner.sooner.send_modify(|_| ());
        }
        Ok(written.version)
    }

    fn shard(&self, namespace: &str) -> &Shard {
        let hash = self.inner.hasher.hash_one(namespace);
        &self.inner.shards[(hash % SHARDS as u64) as usize]
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quota = self.inner.quota;
        f.debug_struct("State").field("quota", &quota).finish()
    }
}

impl Watched for State {
    type Error = StateError;

    async fn changes_of(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<u64>,
    ) -> Result<Changes, StateError> {
        self.changes(namespace, prefix, after).await
    }
}

/// Why a state operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A record was not as expected.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A namespace would hold more than it may.
    #[error(transparent)]
    Quota(#[from] QuotaSpent),
    /// A name or value that state does not take.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The kernel has stopped: nothing is told any more.
    #[error("state is closed")]
    Closed,
}

impl StateError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict(conflict) => conflict.hint(),
            Self::Quota(spent) => spent.hint(),
            Self::Invalid(invalid) => invalid.hint(),
            Self::Closed => None,
        }
    }
}

#[cfg(test)]
mod tests;
