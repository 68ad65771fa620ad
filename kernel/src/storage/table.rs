//! Records in memory, ordered by key; locking is the job of its users, the memory adapter and state.

use octa_plugin_api::Payload;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;

use super::record::{Address, Conflict, Entry, Expect, Page, Query, Record};

/// Namespaces of records, and the counter that their versions come from.
#[derive(Debug, Default)]
pub(crate) struct Table {
    namespaces: HashMap<Box<str>, BTreeMap<Arc<str>, Record>>,
    last_version: u64,
}

impl Table {
    pub(crate) fn get(&self, at: Address<'_>) -> Option<&Record> {
        self.namespaces.get(at.namespace())?.get(at.key())
    }

    /// Writes a value and returns its version.
    pub(crate) fn put(
        &mut self,
        at: Address<'_>,
        expect: Expect,
        value: Payload,
    ) -> Result<u64, Conflict> {
        expect.check(at, self.version(at))?;
        self.last_version += 1;
        self.replace(at, Some(Record::new(value, self.last_version)));
        Ok(self.last_version)
    }

    /// Deletes a record, if there is one, and returns the version this took.
    pub(crate) fn delete(
        &mut self,
        at: Address<'_>,
        expect: Expect,
    ) -> Result<Option<u64>, Conflict> {
        let found = self.version(at);
        expect.check(at, found)?;
        if found.is_none() {
            return Ok(None);
        }
        self.last_version += 1;
        self.replace(at, None);
        Ok(Some(self.last_version))
    }

    /// Puts a record, or none, in the place of what is there, without taking a version.
    pub(crate) fn replace(&mut self, at: Address<'_>, record: Option<Record>) {
        let Some(record) = record else {
            return self.remove(at);
        };
        if !self.namespaces.contains_key(at.namespace()) {
            self.namespaces
                .insert(at.namespace().into(), BTreeMap::new());
        }
        let Some(records) = self.namespaces.get_mut(at.namespace()) else {
            return;
        };
        match records.get_mut(at.key()) {
            Some(slot) => *slot = record,
            None => drop(records.insert(at.key().into(), record)),
        }
    }

    pub(crate) fn page(&self, query: Query<'_>) -> Page {
        let Some(records) = self.namespaces.get(query.namespace()) else {
            return Page::default();
        };
        let start = query.start();
        let range = (Bound::Included(start.as_str()), Bound::Unbounded);
        let entries = records
            .range::<str, _>(range)
            .map(|(key, record)| Ok::<_, Infallible>(Entry::new(key.clone(), record.clone())));
        query.page(entries).unwrap_or_else(|never| match never {})
    }

    fn version(&self, at: Address<'_>) -> Option<u64> {
        self.get(at).map(|record| record.version)
    }

    fn remove(&mut self, at: Address<'_>) {
        let Some(records) = self.namespaces.get_mut(at.namespace()) else {
            return;
        };
        records.remove(at.key());
        if records.is_empty() {
            self.namespaces.remove(at.namespace());
        }
    }
}
