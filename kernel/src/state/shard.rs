//! Some namespaces of the state under one lock, with what is told of them.

use std::sync::Arc;
use std::time::Duration;

use octa_plugin_api::Payload;
use parking_lot::RwLock;

use super::StateError;
use super::deadlines::Deadlines;
use crate::storage::table::Table;
use crate::storage::{
    Address, Change, Changes, Conflict, Expect, Page, Query, Quota, QuotaSpent, Record, Since,
    Tail, Usage, Wakers,
};
use crate::time::Clock;

/// The most values that are expired in one go: others get in between.
const EXPIRED_MAX: usize = 256;

/// Namespaces that share a lock, a counter of versions and a tail of changes.
#[derive(Debug)]
pub(super) struct Shard {
    /// Held for microseconds and never across an await.
    records: RwLock<Records>,
    /// Pushed to under the lock, for the order; wakes behind it.
    tail: Tail,
}

#[derive(Debug, Default)]
struct Records {
    table: Table,
    deadlines: Deadlines,
}

/// A value to be written.
#[derive(Debug)]
pub(super) struct Put<'a> {
    pub(super) at: Address<'a>,
    pub(super) expect: Expect,
    pub(super) value: Payload,
    /// When it is to be gone.
    pub(super) due: Option<Duration>,
}

/// A value that was written.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) version: u64,
    /// It is due before all others here.
    pub(super) is_sooner: bool,
}

impl Shard {
    pub(super) fn new() -> Self {
        Self {
            records: RwLock::default(),
            tail: Tail::new(0),
        }
    }

    pub(super) fn get(&self, at: Address<'_>, clock: &dyn Clock) -> Option<Record> {
        let records = self.records.read();
        let record = records.table.get(at)?;
        (!records.is_over(at, clock)).then(|| record.clone())
    }

    pub(super) fn put(
        &self,
        put: &Put<'_>,
        quota: Quota,
        clock: &dyn Clock,
    ) -> Result<Written, StateError> {
        let at = put.at;
        let mut records = self.records.write();
        let expired = self.expire_one(&mut records, at, clock);
        let written = records.put(put, quota);
        let told = written.as_ref().ok().map(|written| {
            let value = || Some(put.value.clone());
            let change = || {
                [Change::new(
                    at.namespace(),
                    at.key(),
                    written.version,
                    value(),
                )]
            };
            self.tail.push(written.version, change)
        });
        drop(records);
        wake([expired, told]);
        written
    }

    pub(super) fn delete(
        &self,
        at: Address<'_>,
        expect: Expect,
        clock: &dyn Clock,
    ) -> Result<bool, Conflict> {
        let mut records = self.records.write();
        let expired = self.expire_one(&mut records, at, clock);
        let deleted = records.table.delete(at, expect);
        let told = deleted.as_ref().ok().copied().flatten().map(|version| {
            records.deadlines.set(at, None);
            self.tell_deleted(at, version)
        });
        drop(records);
        wake([expired, told]);
        Ok(deleted?.is_some())
    }

    pub(super) fn page(&self, query: Query<'_>) -> Page {
        self.records.read().table.page(query)
    }

    pub(super) fn usages(&self) -> Vec<(Arc<str>, Usage)> {
        self.records.read().table.usages()
    }

    pub(super) async fn changes(&self, since: Since<'_>) -> Result<Changes, StateError> {
        let changes = self.tail.since(since).await;
        // The one way in which a tail fails.
        changes.map_err(|_| StateError::Closed)
    }

    pub(super) fn close(&self) {
        self.tail.close().wake();
    }

    /// When the next value is due.
    pub(super) fn next_expiry(&self) -> Option<Duration> {
        self.records.read().deadlines.first()
    }

    /// Deletes all that is due by now; tells whether anything was.
    pub(super) fn expire_due(&self, clock: &dyn Clock) -> bool {
        let Some(first) = self.next_expiry() else {
            return false;
        };
        let now = clock.monotonic();
        let is_due = first <= now;
        while is_due && self.expire_some(now) {}
        is_due
    }

    /// Deletes the first that are due; tells whether there may be more.
    fn expire_some(&self, now: Duration) -> bool {
        let mut records = self.records.write();
        let mut changes = Vec::new();
        while changes.len() < EXPIRED_MAX
            && let Some((namespace, key)) = records.deadlines.pop(now)
        {
            let at = Address::checked(&namespace, &key);
            if let Ok(Some(version)) = records.table.delete(at, Expect::Any) {
                changes.push(Change::new(namespace, key, version, None));
            }
        }
        let is_full = changes.len() == EXPIRED_MAX;
        let told = self.tail.push(records.table.last_version(), || changes);
        drop(records);
        told.wake();
        is_full
    }

    /// Deletes a record if it is over, so that what follows does not find it.
    fn expire_one(
        &self,
        records: &mut Records,
        at: Address<'_>,
        clock: &dyn Clock,
    ) -> Option<Wakers> {
        if !records.is_over(at, clock) {
            return None;
        }
        records.deadlines.set(at, None);
        let version = records.table.delete(at, Expect::Any).ok().flatten()?;
        Some(self.tell_deleted(at, version))
    }

    fn tell_deleted(&self, at: Address<'_>, version: u64) -> Wakers {
        let change = || [Change::new(at.namespace(), at.key(), version, None)];
        self.tail.push(version, change)
    }
}

impl Records {
    /// Whether the time of a record is over. Where none is limited, this costs nothing.
    fn is_over(&self, at: Address<'_>, clock: &dyn Clock) -> bool {
        self.deadlines.first().is_some() && { self.deadlines.of(at) }
            .is_some_and(|due| due <= clock.monotonic())
    }

    fn put(&mut self, put: &Put<'_>, quota: Quota) -> Result<Written, StateError> {
        let at = put.at;
        let found = self.table.get(at);
        put.expect.check(at, found.map(|record| record.version))?;
        let bytes = |value: &Payload| (at.key().len() + value.len()) as u64;
        let before = found.map(|record| bytes(&record.value));
        let now = self.table.usage(at.namespace());
        let then = now.replaced(before, Some(bytes(&put.value)));
        if then.bytes > quota.bytes {
            return Err(QuotaSpent::new(at, then.bytes, quota).into());
        }
        let version = self.table.put(at, Expect::Any, put.value.clone())?;
        let is_sooner = self.deadlines.set(at, put.due);
        Ok(Written { version, is_sooner })
    }
}

/// What the lock kept waiting; woken in the order of the changes.
fn wake(told: [Option<Wakers>; 2]) {
    told.into_iter().flatten().for_each(Wakers::wake);
}
