//! What a database holds after a crash, read whole at one moment. Whether that is right is the job of `ledger`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use octa_kernel::storage::{Change, StorageAdapter};
use serde_json::Value;

use crate::layout::{self, BESIDE, CONSUMER, NAMESPACE, PARTS, STREAM};
use crate::word::Id;

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) last_version: u64,
    /// What lies at the keys that are written again and again.
    pub(crate) values: BTreeMap<String, Written>,
    /// What was appended to the lists, in order.
    pub(crate) listed: Vec<(u64, Id)>,
    /// The facts, in order.
    pub(crate) facts: Vec<Fact>,
    /// The facts whose events are still to be published.
    pub(crate) outbox: BTreeSet<Id>,
    /// Up to where the consumer has read.
    pub(crate) cursor: u64,
    /// What cannot be understood.
    pub(crate) strange: Vec<String>,
    /// Everything, for comparing whole databases: version and value by namespace and key.
    pub(crate) records: BTreeMap<(String, String), (u64, Vec<u8>)>,
}

/// The value of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) by: Id,
    pub(crate) version: u64,
    /// What a counter has come to.
    pub(crate) sum: u64,
}

/// A fact of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) position: u64,
    pub(crate) id: Id,
    /// Whether all parts of it are there.
    pub(crate) is_whole: bool,
}

impl Found {
    /// Reads everything.
    pub(crate) async fn read(database: &dyn StorageAdapter) -> Result<Self> {
        let mut snapshot = database.snapshot().await?;
        let mut found = Self {
            last_version: snapshot.last_version(),
            ..Self::default()
        };
        loop {
            let records = snapshot.next().await?;
            if records.is_empty() {
                return Ok(found);
            }
            for record in records {
                found.add(record);
            }
        }
    }

    fn add(&mut self, record: Change) {
        if let Err(error) = self.understand(&record) {
            let (namespace, key) = (&record.namespace, &record.key);
            let strange = format!("`{namespace}/{key}`: {error:#}");
            self.strange.push(strange);
        }
        let value = record.value.as_deref().unwrap_or_default().to_vec();
        let at = (record.namespace.to_string(), record.key.to_string());
        self.records.insert(at, (record.version, value));
    }

    fn understand(&mut self, record: &Change) -> Result<()> {
        let value = record.value.as_deref().context("it has no value")?;
        let value: Value = serde_json::from_slice(value)?;
        let (key, version) = (&*record.key, record.version);
        match &*record.namespace {
            NAMESPACE | BESIDE if key.starts_with("list/") => {
                let id = author(&value)?;
                self.listed.push((version, id));
            }
            NAMESPACE | BESIDE => {
                let sum = value.get("sum").and_then(Value::as_u64).unwrap_or(0);
                let by = author(&value)?;
                let written = Written { by, version, sum };
                self.values.insert(key.to_owned(), written);
            }
            "kernel.outbox.crash" if key.starts_with("event/") => {
                let ids = ids_in(&value);
                self.outbox
                    .insert(*ids.first().context("it names no fact")?);
            }
            "kernel.journal.crash" => self.understand_journal(key, version, &value)?,
            _ => {}
        }
        Ok(())
    }

    fn understand_journal(&mut self, key: &str, version: u64, value: &Value) -> Result<()> {
        if key.starts_with(&format!("log/{STREAM}/")) {
            let fact = value.get("fact").context("there is no fact in it")?;
            let id = ids_in(fact);
            let id = *id.first().context("it names no fact")?;
            self.facts.push(Fact {
                position: version,
                id,
                is_whole: is_whole(id, fact),
            });
        } else if key == format!("cursor/{STREAM}/{CONSUMER}") {
            self.cursor = value
                .as_u64()
                .or_else(|| value.get("position")?.as_u64())
                .context("it is no position")?;
        }
        Ok(())
    }
}

/// Whether what was gathered has each part once, all of the same fact.
fn is_whole(id: Id, fact: &Value) -> bool {
    let ids = ids_in(fact);
    let is_plain = layout::author(fact).is_some();
    let is_complete = PARTS.iter().all(|part| fact.get(*part).is_some());
    (is_plain && ids.len() == 1)
        || (is_complete && ids.len() == PARTS.len() && ids.iter().all(|part| *part == id))
}

fn author(value: &Value) -> Result<Id> {
    layout::author(value).context("it has no author")
}

/// All writes that are named anywhere in a value.
fn ids_in(value: &Value) -> Vec<Id> {
    let below: Vec<_> = match value {
        Value::Object(fields) => fields.values().flat_map(ids_in).collect(),
        Value::Array(items) => items.iter().flat_map(ids_in).collect(),
        _ => Vec::new(),
    };
    layout::author(value).into_iter().chain(below).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_gathered_fact_is_whole_with_all_its_parts() {
        let check = |fact: Value, expect| {
            let id = *ids_in(&fact).first().expect("a fact");
            assert_eq!(is_whole(id, &fact), expect, "{fact}");
        };
        let part = |id: &str| json!({ "by": id });
        check(part("1.2.3"), true);
        let (first, second) = (part("1.2.3"), part("1.2.3"));
        check(json!({ "first": first, "second": second }), false);
        let all = |third| json!({ "first": first, "second": second, "third": third });
        check(all(part("1.2.3")), true);
        check(all(part("1.2.4")), false);
    }
}
