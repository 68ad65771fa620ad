//! When values with a time to live are due; removing them is the job of the `shard`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::storage::Address;

/// The keys that have a deadline, by name and by time. Namespaces without any cost nothing here.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    of: HashMap<Arc<str>, HashMap<Arc<str>, Duration>>,
    in_order: BTreeSet<(Duration, Arc<str>, Arc<str>)>,
}

impl Deadlines {
    /// The deadline of a key, if it has one.
    pub(super) fn of(&self, at: Address<'_>) -> Option<Duration> {
        self.of.get(at.namespace())?.get(at.key()).copied()
    }

    /// The first deadline of all.
    pub(super) fn first(&self) -> Option<Duration> {
        self.in_order.first().map(|(due, ..)| *due)
    }

    /// Gives a key this deadline, or none; tells whether all others are later now.
    pub(super) fn set(&mut self, at: Address<'_>, due: Option<Duration>) -> bool {
        let first = self.first();
        if first.is_some() {
            self.remove(at);
        }
        let Some(due) = due else {
            return false;
        };
        let (namespace, key): (Arc<str>, Arc<str>) = (at.namespace().into(), at.key().into());
        let keys = self.of.entry(namespace.clone()).or_default();
        keys.insert(key.clone(), due);
        self.in_order.insert((due, namespace, key));
        first.is_none_or(|first| due < first)
    }

    /// Takes out the first key that is due at this time.
    pub(super) fn pop(&mut self, now: Duration) -> Option<(Arc<str>, Arc<str>)> {
        if self.first()? > now {
            return None;
        }
        let (_, namespace, key) = self.in_order.pop_first()?;
        self.forget(&namespace, &key);
        Some((namespace, key))
    }

    fn remove(&mut self, at: Address<'_>) {
        if let Some((key, due)) = self.forget(at.namespace(), at.key()) {
            self.in_order.remove(&(due, at.namespace().into(), key));
        }
    }

    fn forget(&mut self, namespace: &str, key: &str) -> Option<(Arc<str>, Duration)> {
        let keys = self.of.get_mut(namespace)?;
        let forgotten = keys.remove_entry(key);
        if keys.is_empty() {
            self.of.remove(namespace);
        }
        forgotten
    }
}
