//! Writes to the storage that are done together or not at all.

use octa_plugin_abi::operation;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{Expect, Storage};
use crate::{Payload, error::Result};

/// Writes that are done together or not at all, in order: a later one sees the earlier ones.
#[derive(Debug, Default)]
pub struct Batch {
    writes: Vec<Write>,
}

#[derive(Debug, Default, Serialize)]
struct Write {
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    append: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<u64>,
}

impl Batch {
    /// A batch of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a write.
    ///
    /// # Errors
    ///
    /// If `value` refuses to be serialised.
    pub fn set<T: Serialize + ?Sized>(self, key: &str, value: &T) -> Result<Self> {
        self.compare_and_set(key, value, Expect::Any)
    }

    /// Adds a write that expects a version.
    ///
    /// # Errors
    ///
    /// If `value` refuses to be serialised.
    pub fn compare_and_set<T>(self, key: &str, value: &T, expect: Expect) -> Result<Self>
    where
        T: Serialize + ?Sized,
    {
        Ok(self.with(Write {
            key: Some(key.to_owned()),
            value: Some(to_raw_value(value)?),
            expect: expected(expect),
            ..Write::default()
        }))
    }

    /// Adds a write under a new key, which is `prefix` and behind it the version of this write in 20 digits:
    /// such keys sort in the order in which they were committed. [`appended_key`](Self::appended_key) tells it.
    ///
    /// # Errors
    ///
    /// If `value` refuses to be serialised.
    pub fn append<T: Serialize + ?Sized>(self, prefix: &str, value: &T) -> Result<Self> {
        Ok(self.with(Write {
            append: Some(prefix.to_owned()),
            value: Some(to_raw_value(value)?),
            ..Write::default()
        }))
    }

    /// Adds a deletion.
    #[must_use]
    pub fn delete(self, key: &str) -> Self {
        self.compare_and_delete(key, Expect::Any)
    }

    /// Adds a deletion that expects a version.
    #[must_use]
    pub fn compare_and_delete(self, key: &str, expect: Expect) -> Self {
        self.with(Write {
            key: Some(key.to_owned()),
            expect: expected(expect),
            ..Write::default()
        })
    }

    /// The key of what was [appended](Self::append) to `prefix` and took this version.
    pub fn appended_key(prefix: &str, version: u64) -> String {
        format!("{prefix}{version:020}")
    }

    fn with(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }
}

/// As it crosses: nothing for any, 0 for none.
fn expected(expect: Expect) -> Option<u64> {
    match expect {
        Expect::Any => None,
        Expect::Absent => Some(0),
        Expect::Version(version) => Some(version),
    }
}

impl Storage<'_> {
    /// Does all writes of `batch` or none; answers the version that each took, 0 where there was nothing to
    /// delete.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) names the first write that found another version;
    /// else as [`set`](Self::set).
    pub async fn batch(self, batch: Batch) -> Result<Vec<u64>> {
        let ask = self.0.ask(operation::STORAGE_BATCH, "");
        let answer = ask.payload(Payload::json(&batch.writes)?).await;
        let versions: Vec<Option<u64>> = answer.result?.parse()?;
        let versions = versions.into_iter().map(Option::unwrap_or_default);
        Ok(versions.collect())
    }
}
