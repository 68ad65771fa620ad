//! What a group of batches does to what is there, decided before anything is written.
//!
//! An adapter says what is there, adds batch after batch, and writes what came of it in one transaction.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use super::batch::{Batch, Outcome, Write};
use super::change::{Change, Usage};
use super::quota::{Quota, QuotaSpent};
use super::record::{Address, Conflict};

/// What an adapter tells of what is in the database before the group.
pub trait Present {
    /// Why it cannot be told.
    type Error;

    /// Tells what is under a key; asked once at most for each key of a group.
    fn found(&mut self, at: Address<'_>) -> Result<Option<Found>, Self::Error>;

    /// Tells what a namespace holds; asked once at most for each namespace of a group.
    fn usage(&mut self, namespace: &str) -> Result<Usage, Self::Error>;
}

/// What a plan needs to know of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The version of the record.
    pub version: u64,
    /// The bytes of its key and value.
    pub bytes: u64,
}

/// Why a batch is not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A record was not as expected.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A namespace would hold more than it may.
    #[error(transparent)]
    Quota(#[from] QuotaSpent),
}

/// Batches in the order in which they are applied, each on what the ones before it left.
#[derive(Debug)]
pub struct Plan {
    last_version: u64,
    namespaces: HashMap<Arc<str>, Namespace>,
    changes: Vec<Change>,
}

#[derive(Debug)]
struct Namespace {
    usage: Usage,
    keys: HashMap<Arc<str>, Slot>,
}

/// A key, with the batches so far applied.
#[derive(Clone, Copy, Debug)]
struct Slot {
    found: Option<Found>,
    /// The version of its last change by the group, or 0.
    changed: u64,
}

/// How a key and its namespace stand at some moment.
struct Standing {
    namespace: Arc<str>,
    key: Arc<str>,
    slot: Slot,
    usage: Usage,
}

impl Plan {
    /// Begins a group on a database whose last version is `last_version`.
    pub fn new(last_version: u64) -> Self {
        Self {
            last_version,
            namespaces: HashMap::new(),
            changes: Vec::new(),
        }
    }

    /// Adds a batch, or tells why it is refused; a refused one changes nothing.
    ///
    /// After an error of `present` the whole plan is void.
    pub fn add<P: Present>(
        &mut self,
        batch: &Batch,
        present: &mut P,
    ) -> Result<Result<Vec<Outcome>, Refusal>, P::Error> {
        let (version, changes) = (self.last_version, self.changes.len());
        let mut undo = Vec::with_capacity(batch.writes().len());
        let applied = self.apply(batch, present, &mut undo)?;
        if applied.is_err() {
            self.last_version = version;
            self.changes.truncate(changes);
            undo.into_iter().rev().for_each(|before| self.set(before));
        }
        Ok(applied)
    }

    /// Returns the last version, with the group applied.
    pub fn last_version(&self) -> u64 {
        self.last_version
    }

    /// Returns every change of the group, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Returns the changes whose outcome stands at the end: the last one of each key, in order.
    pub fn records(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| {
            let namespace = self.namespaces.get(&change.namespace);
            let slot = namespace.and_then(|namespace| namespace.keys.get(&change.key));
            slot.is_some_and(|slot| slot.changed == change.version)
        })
    }

    /// Returns what the namespaces hold in which something may have changed, with the group applied.
    pub fn usage(&self) -> impl Iterator<Item = (&str, Usage)> {
        let namespaces = self.namespaces.iter();
        namespaces.map(|(name, namespace)| (&**name, namespace.usage))
    }

    /// Ends the plan and hands over every change of the group, in order.
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    fn apply<P: Present>(
        &mut self,
        batch: &Batch,
        present: &mut P,
        undo: &mut Vec<Standing>,
    ) -> Result<Result<Vec<Outcome>, Refusal>, P::Error> {
        let mut outcomes = Vec::with_capacity(batch.writes().len());
        for write in batch.writes() {
            let key = write.key(self.last_version + 1);
            let (slot, usage) = self.look_up(write.namespace(), &key, present)?;
            let found = slot.found.map(|found| found.version);
            let at = Address::checked(write.namespace(), &key);
            if let Err(conflict) = write.expect().check(at, found) {
                return Ok(Err(conflict.into()));
            }
            undo.push(Standing {
                namespace: write.namespace().clone(),
                key,
                slot,
                usage,
            });
            outcomes.push(self.write(write, undo));
        }
        let mut quotas = batch.quotas().iter();
        let spent = quotas.find_map(|(namespace, quota)| self.overspent(namespace, *quota, undo));
        Ok(spent.map_or(Ok(outcomes), |spent| Err(spent.into())))
    }

    /// Applies a write that finds what it expects, on what the last entry of `undo` tells.
    fn write(&mut self, write: &Write, undo: &[Standing]) -> Outcome {
        let Some(before) = undo.last() else {
            return Outcome::Absent;
        };
        let value = write.value().cloned();
        if value.is_none() && before.slot.found.is_none() {
            return Outcome::Absent;
        }
        self.last_version += 1;
        let version = self.last_version;
        let change = Change::new(before.namespace.clone(), before.key.clone(), version, value);
        let bytes = change.value.is_some().then(|| change.bytes() as u64);
        let had = before.slot.found.map(|found| found.bytes);
        self.set(Standing {
            namespace: before.namespace.clone(),
            key: before.key.clone(),
            slot: Slot {
                found: bytes.map(|bytes| Found { version, bytes }),
                changed: version,
            },
            usage: before.usage.replaced(had, bytes),
        });
        self.changes.push(change);
        match bytes {
            Some(_) => Outcome::Put { version },
            None => Outcome::Deleted { version },
        }
    }

    /// Tells whether the writes of a batch let a namespace grow beyond its quota, and by which key.
    fn overspent(&self, namespace: &str, quota: Quota, undo: &[Standing]) -> Option<QuotaSpent> {
        let now = self.namespaces.get(namespace)?.usage.bytes;
        let mut writes = undo.iter().filter(|before| *before.namespace == *namespace);
        let first = writes.next()?;
        if now <= quota.bytes || now <= first.usage.bytes {
            return None;
        }
        // The write after which it was too much for good.
        let within = undo.iter().rev();
        let mut within = within.filter(|before| *before.namespace == *namespace);
        let crossing = within.find(|before| before.usage.bytes <= quota.bytes);
        let key = &crossing.unwrap_or(first).key;
        Some(QuotaSpent::new(
            Address::checked(namespace, key),
            now,
            quota,
        ))
    }

    fn look_up<P: Present>(
        &mut self,
        namespace: &Arc<str>,
        key: &Arc<str>,
        present: &mut P,
    ) -> Result<(Slot, Usage), P::Error> {
        let there = match self.namespaces.entry(namespace.clone()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(space) => {
                let usage = present.usage(namespace)?;
                let keys = HashMap::new();
                space.insert(Namespace { usage, keys })
            }
        };
        let slot = match there.keys.get(key) {
            Some(slot) => *slot,
            None => {
                let found = present.found(Address::checked(namespace, key))?;
                let slot = Slot { found, changed: 0 };
                there.keys.insert(key.clone(), slot);
                slot
            }
        };
        Ok((slot, there.usage))
    }

    fn set(&mut self, to: Standing) {
        if let Some(there) = self.namespaces.get_mut(&to.namespace) {
            there.usage = to.usage;
            there.keys.insert(to.key, to.slot);
        }
    }
}

#[cfg(test)]
mod tests;
