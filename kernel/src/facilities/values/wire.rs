//! Values, pages, batches and changes as they cross, in JSON.

use octa_loader::Outcome;
use octa_plugin_api::{Error, Payload};
use serde::{Deserialize, Serialize, de::Error as _};
use serde_json::value::RawValue;

use crate::storage::{Changes, Page};

/// A value with a time to live, in nanoseconds.
#[derive(Deserialize)]
pub(super) struct Lasting<'a> {
    pub(super) time: u64,
    #[serde(borrow)]
    pub(super) value: &'a RawValue,
}

pub(super) fn lasting(payload: &Payload) -> serde_json::Result<Lasting<'_>> {
    serde_json::from_slice(payload)
}

/// One write of a batch.
pub(super) struct Write<'a> {
    /// The key, or what an appended one begins with.
    pub(super) key: String,
    pub(super) is_appended: bool,
    /// Absent deletes; `null` is a value.
    pub(super) value: Option<&'a RawValue>,
    pub(super) expect: Option<u64>,
}

#[derive(Deserialize)]
struct WriteIn<'a> {
    key: Option<String>,
    append: Option<String>,
    #[serde(default, borrow, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    expect: Option<u64>,
}

/// Reads a field that is there, also if it is `null`.
pub(in crate::facilities) fn present<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

pub(super) fn writes(payload: &Payload) -> serde_json::Result<Vec<Write<'_>>> {
    let writes: Vec<WriteIn<'_>> = serde_json::from_slice(payload)?;
    writes.into_iter().map(Write::of).collect()
}

impl<'a> Write<'a> {
    fn of(write: WriteIn<'a>) -> serde_json::Result<Self> {
        let (key, is_appended) = match (write.key, write.append) {
            (Some(key), None) => (key, false),
            (None, Some(prefix)) if write.value.is_some() && write.expect.is_none() => {
                (prefix, true)
            }
            (None, Some(_)) => {
                let message = "`append` takes a `value` and no `expect`";
                return Err(serde_json::Error::custom(message));
            }
            _ => {
                let message = "a write has either a `key` or `append`";
                return Err(serde_json::Error::custom(message));
            }
        };
        Ok(Self {
            key,
            is_appended,
            value: write.value,
            expect: write.expect,
        })
    }
}

/// What a batch would change, in words; nothing if it is empty, or cannot be read and is refused for that.
pub(super) fn written(namespace: &str, batch: &Payload) -> Option<String> {
    let writes = writes(batch).ok()?;
    let (first, others) = writes.split_first()?;
    let first = format!("`{namespace}/{}`", first.key);
    Some(match others.len() {
        0 => first,
        more => format!("{first} and {more} more"),
    })
}

#[derive(Serialize)]
struct PageOut<'a> {
    entries: Vec<EntryOut<'a>>,
    next: Option<&'a str>,
}

/// A record, or what became of one: without a value it was deleted.
#[derive(Serialize)]
struct EntryOut<'a> {
    key: &'a str,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct ChangesOut<'a> {
    changes: Vec<EntryOut<'a>>,
    missed: bool,
}

impl<'a> EntryOut<'a> {
    fn new(key: &'a str, version: u64, value: Option<&'a Payload>) -> serde_json::Result<Self> {
        let value = value.map(|value| serde_json::from_slice(value));
        Ok(Self {
            key,
            version,
            value: value.transpose()?,
        })
    }
}

pub(super) fn page(page: &Page) -> Result<Outcome, Error> {
    let entries = page.entries.iter().map(|entry| {
        let record = &entry.record;
        EntryOut::new(&entry.key, record.version, Some(&record.value))
    });
    let out = PageOut {
        entries: entries.collect::<serde_json::Result<_>>()?,
        next: page.next.as_deref(),
    };
    Ok(Outcome::ok(0, Payload::json(&out)?))
}

pub(super) fn changes(found: &Changes) -> Result<Outcome, Error> {
    let changes = found.changes.iter();
    let changes =
        changes.map(|change| EntryOut::new(&change.key, change.version, change.value.as_ref()));
    let out = ChangesOut {
        changes: changes.collect::<serde_json::Result<_>>()?,
        missed: found.missed,
    };
    Ok(Outcome::ok(found.next, Payload::json(&out)?))
}
