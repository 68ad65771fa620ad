//! What a group of batches needs to know of the database, asked for at once.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use tokio_postgres::Row;

use super::super::batch::Batch;
use super::super::change::{Change, Usage};
use super::super::plan::{Found, Present};
use super::super::record::Address;

/// The names to ask about.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) namespaces: Vec<Arc<str>>,
    pub(super) keys: Vec<Arc<str>>,
    /// The same for what is appended: the prefixes, whose versions are not known yet.
    pub(super) prefix_namespaces: Vec<Arc<str>>,
    pub(super) prefixes: Vec<Arc<str>>,
    /// How many versions may be taken at most.
    pub(super) versions: i64,
    pub(super) used: Vec<Arc<str>>,
}

impl Asked {
    pub(super) fn of_batches<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> Self {
        let mut asked = Self::default();
        for write in batches.into_iter().flat_map(Batch::writes) {
            match write.appended_to() {
                Some(prefix) => {
                    asked.prefix_namespaces.push(write.namespace().clone());
                    asked.prefixes.push(prefix.clone());
                }
                None => asked.key(write.namespace(), &write.key(0)),
            }
            asked.versions += 1;
            asked.usage(write.namespace());
        }
        asked
    }

    pub(super) fn of_changes(changes: &[Change]) -> Self {
        let mut asked = Self::default();
        for change in changes {
            asked.key(&change.namespace, &change.key);
            asked.usage(&change.namespace);
        }
        asked
    }

    fn key(&mut self, namespace: &Arc<str>, key: &Arc<str>) {
        self.namespaces.push(namespace.clone());
        self.keys.push(key.clone());
    }

    /// Neighbours are nearly always of one namespace; others may be asked for twice.
    fn usage(&mut self, namespace: &Arc<str>) {
        if self.used.last() != Some(namespace) {
            self.used.push(namespace.clone());
        }
    }
}

/// What was there, under the lock that keeps it so.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) last_version: u64,
    records: HashMap<String, HashMap<String, Found>>,
    usage: HashMap<String, Usage>,
}

impl Known {
    pub(super) fn new(last_version: u64, records: Vec<Row>, usage: Vec<Row>) -> Self {
        let mut known = Self {
            last_version,
            ..Self::default()
        };
        for row in records {
            let found = Found {
                version: unsigned(row.get(2)),
                bytes: unsigned(row.get(3)),
            };
            let namespace = known.records.entry(row.get(0)).or_default();
            namespace.insert(row.get(1), found);
        }
        for row in usage {
            let usage = Usage {
                records: unsigned(row.get(1)),
                bytes: unsigned(row.get(2)),
            };
            known.usage.insert(row.get(0), usage);
        }
        known
    }

    pub(super) fn record(&self, namespace: &str, key: &str) -> Option<Found> {
        self.records.get(namespace)?.get(key).copied()
    }

    pub(super) fn used(&self, namespace: &str) -> Usage {
        self.usage.get(namespace).copied().unwrap_or_default()
    }
}

impl Present for Known {
    type Error = Infallible;

    fn found(&mut self, at: Address<'_>) -> Result<Option<Found>, Infallible> {
        Ok(self.record(at.namespace(), at.key()))
    }

    fn usage(&mut self, namespace: &str) -> Result<Usage, Infallible> {
        Ok(self.used(namespace))
    }
}

/// PostgreSQL has no unsigned numbers; none of ours is negative.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The same in the other direction: no counter comes so far.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
