//! A plain database in memory to compare with: sorted maps, copies, and nothing clever.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{
    Address, Batch, Change, Entry, Outcome, PAGE_BYTES, Page, QuotaSpent, Record, StorageError,
    Usage,
};

/// What a database should hold, and every change that made it so.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    records: BTreeMap<(String, String), Record>,
    last_version: u64,
    changes: Vec<Change>,
}

/// What a page is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) namespace: &'a str,
    pub(super) prefix: &'a str,
    pub(super) after: Option<&'a str>,
    pub(super) limit: usize,
}

impl Model {
    pub(super) fn last_version(&self) -> u64 {
        self.last_version
    }

    /// Every change since the beginning, in order.
    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    pub(super) fn get(&self, namespace: &str, key: &str) -> Option<&Record> {
        self.records.get(&(namespace.to_owned(), key.to_owned()))
    }

    /// The keys of a namespace, in order.
    pub(super) fn keys(&self, namespace: &str) -> Vec<&str> {
        let there = self.records.keys().filter(|(of, _)| of == namespace);
        there.map(|(_, key)| key.as_str()).collect()
    }

    /// Everything, as a snapshot tells it.
    pub(super) fn snapshot(&self) -> Vec<Change> {
        let changed = |((namespace, key), record): (&(String, String), &Record)| {
            let (namespace, key) = (namespace.as_str(), key.as_str());
            Change::new(namespace, key, record.version, Some(record.value.clone()))
        };
        self.records.iter().map(changed).collect()
    }

    pub(super) fn usage(&self) -> BTreeMap<String, Usage> {
        let mut usage = BTreeMap::<_, Usage>::new();
        for ((namespace, key), record) in &self.records {
            let of = usage.entry(namespace.clone()).or_default();
            of.records += 1;
            of.bytes += (key.len() + record.value.len()) as u64;
        }
        usage
    }

    pub(super) fn bytes(&self, namespace: &str) -> u64 {
        self.usage().get(namespace).map_or(0, |usage| usage.bytes)
    }

    pub(super) fn page(&self, asked: Asked<'_>) -> Page {
        let wanted = self.records.iter().filter(|((namespace, key), _)| {
            namespace == asked.namespace
                && key.starts_with(asked.prefix)
                && asked.after.is_none_or(|after| key.as_str() > after)
        });
        let mut page = Page::default();
        let mut bytes = 0;
        for ((_, key), record) in wanted {
            if page.entries.len() == asked.limit || bytes >= PAGE_BYTES {
                page.next = page.entries.last().map(|last| last.key.clone());
                break;
            }
            bytes += key.len() + record.value.len();
            page.entries.push(Entry::new(key.as_str(), record.clone()));
        }
        page
    }

    /// Applies a batch, or refuses it and stays as it was.
    pub(super) fn apply(&mut self, batch: &Batch) -> Result<Vec<Outcome>, StorageError> {
        let before = (self.records.clone(), self.last_version, self.changes.len());
        let answer = self.apply_all(batch);
        if answer.is_err() {
            self.records = before.0;
            self.last_version = before.1;
            self.changes.truncate(before.2);
        }
        answer
    }

    /// Takes over changes of another database.
    pub(super) fn replicate(&mut self, changes: &[Change], last_version: u64) {
        changes.iter().for_each(|change| self.change(change));
        self.last_version = self.last_version.max(last_version);
    }

    fn apply_all(&mut self, batch: &Batch) -> Result<Vec<Outcome>, StorageError> {
        let before = self.usage();
        let mut outcomes = Vec::new();
        // The key of the last write after which a namespace was within its quota, and the next one.
        let mut crossed = BTreeMap::<Arc<str>, Arc<str>>::new();
        for write in batch.writes() {
            let (namespace, version) = (write.namespace(), self.last_version + 1);
            let key = write.key(version);
            let found = self.get(namespace, &key).map(|record| record.version);
            write
                .expect()
                .check(Address::checked(namespace, &key), found)?;
            if let Some(quota) = batch.quota(namespace)
                && (self.bytes(namespace) <= quota.bytes || !crossed.contains_key(namespace))
            {
                crossed.insert(namespace.clone(), key.clone());
            }
            let value = write.value().cloned();
            let outcome = match value {
                Some(_) => Outcome::Put { version },
                None if found.is_some() => Outcome::Deleted { version },
                None => Outcome::Absent,
            };
            outcomes.push(outcome);
            if outcome != Outcome::Absent {
                self.change(&Change::new(namespace.clone(), key, version, value));
                self.last_version = version;
            }
        }
        for (namespace, quota) in batch.quotas() {
            let now = self.bytes(namespace);
            if let Some(key) = crossed.get(namespace)
                && now > quota.bytes
                && now > before.get(&**namespace).map_or(0, |usage| usage.bytes)
            {
                let at = Address::checked(namespace, key);
                return Err(QuotaSpent::new(at, now, *quota).into());
            }
        }
        Ok(outcomes)
    }

    fn change(&mut self, change: &Change) {
        let at = (change.namespace.to_string(), change.key.to_string());
        match &change.value {
            Some(value) => drop(
                self.records
                    .insert(at, Record::new(value.clone(), change.version)),
            ),
            None => drop(self.records.remove(&at)),
        }
        self.changes.push(change.clone());
    }
}
