//! Records in memory, ordered by key; locking is the job of its users, the memory adapter and state.

use octa_plugin_api::Payload;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::ops::Bound;
use std::sync::Arc;

use super::change::{Change, Usage};
use super::record::{Address, Conflict, Entry, Expect, Page, Query, Record};

/// Namespaces of records, and the counter that their versions come from.
#[derive(Debug, Default)]
pub(crate) struct Table {
    namespaces: HashMap<Arc<str>, Namespace>,
    last_version: u64,
}

#[derive(Debug, Default)]
struct Namespace {
    records: BTreeMap<Arc<str>, Record>,
    usage: Usage,
}

impl Table {
    pub(crate) fn get(&self, at: Address<'_>) -> Option<&Record> {
        self.namespaces.get(at.namespace())?.records.get(at.key())
    }

    pub(crate) fn last_version(&self) -> u64 {
        self.last_version
    }

    /// Lets the next version be above this one.
    pub(crate) fn raise_version(&mut self, last_version: u64) {
        self.last_version = self.last_version.max(last_version);
    }

    /// What a namespace holds.
    pub(crate) fn usage(&self, namespace: &str) -> Usage {
        let namespace = self.namespaces.get(namespace);
        namespace.map_or_else(Usage::default, |namespace| namespace.usage)
    }

    /// What each namespace holds, in the order of their names.
    pub(crate) fn usages(&self) -> Vec<(Arc<str>, Usage)> {
        let namespaces = self.namespaces.iter();
        let mut all: Vec<_> = namespaces
            .map(|(name, namespace)| (name.clone(), namespace.usage))
            .collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Every record, in the order of namespaces and keys.
    pub(crate) fn all(&self) -> Vec<Change> {
        let mut names: Vec<_> = self.namespaces.keys().collect();
        names.sort_unstable();
        let records = names.into_iter().flat_map(|name| {
            let records = self.namespaces[name].records.iter();
            records.map(move |(key, record)| {
                let value = Some(record.value.clone());
                Change::new(name.clone(), key.clone(), record.version, value)
            })
        });
        records.collect()
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
            let namespace = Namespace::default();
            self.namespaces.insert(at.namespace().into(), namespace);
        }
        let Some(Namespace { records, usage }) = self.namespaces.get_mut(at.namespace()) else {
            return;
        };
        let bytes = bytes(at, &record);
        match records.get_mut(at.key()) {
            Some(slot) => {
                let before = std::mem::replace(slot, record);
                *usage = usage.replaced(Some(self::bytes(at, &before)), Some(bytes));
            }
            None => {
                records.insert(at.key().into(), record);
                *usage = usage.replaced(None, Some(bytes));
            }
        }
    }

    pub(crate) fn page(&self, query: Query<'_>) -> Page {
        let Some(Namespace { records, .. }) = self.namespaces.get(query.namespace()) else {
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
        let Some(Namespace { records, usage }) = self.namespaces.get_mut(at.namespace()) else {
            return;
        };
        if let Some(before) = records.remove(at.key()) {
            *usage = usage.replaced(Some(bytes(at, &before)), None);
        }
        if records.is_empty() {
            self.namespaces.remove(at.namespace());
        }
    }
}

/// The bytes of a key and its value.
fn bytes(at: Address<'_>, record: &Record) -> u64 {
    (at.key().len() + record.value.len()) as u64
}
