//! Committed changes: what watches are told, what snapshots hold, what is copied to another database.

use std::sync::Arc;

use octa_plugin_api::Payload;

use super::check::{self, Invalid};

/// A committed change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The namespace of the key.
    pub namespace: Arc<str>,
    /// The key.
    pub key: Arc<str>,
    /// The version that the change took.
    pub version: u64,
    /// The new value; nothing if the record was deleted.
    pub value: Option<Payload>,
}

impl Change {
    /// Makes a change, for an adapter to tell.
    pub fn new(
        namespace: impl Into<Arc<str>>,
        key: impl Into<Arc<str>>,
        version: u64,
        value: Option<Payload>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            key: key.into(),
            version,
            value,
        }
    }

    /// Returns the bytes of its key and value.
    pub fn bytes(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, |value| value.len())
    }
}

/// Which changes to wait for; checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since<'a> {
    namespace: Option<&'a str>,
    prefix: &'a str,
    after: Option<u64>,
}

impl<'a> Since<'a> {
    /// Asks for the changes of the keys of a namespace that start with `prefix` (all if it is empty).
    ///
    /// `after` is the version that was seen last; without one, changes are told from now on.
    pub fn new(namespace: &'a str, prefix: &'a str, after: Option<u64>) -> Result<Self, Invalid> {
        check::namespace(namespace)?;
        check::prefix(namespace, prefix)?;
        Ok(Self {
            namespace: Some(namespace),
            prefix,
            after,
        })
    }

    /// Asks for the changes of all keys of all namespaces.
    pub fn all(after: Option<u64>) -> Self {
        Self {
            namespace: None,
            prefix: "",
            after,
        }
    }

    /// Returns the namespace, or nothing if all are asked for.
    pub fn namespace(&self) -> Option<&'a str> {
        self.namespace
    }

    /// Returns what the keys start with.
    pub fn prefix(&self) -> &'a str {
        self.prefix
    }

    /// Returns the version that was seen last.
    pub fn after(&self) -> Option<u64> {
        self.after
    }

    /// Tells whether the changes of a key are asked for.
    pub fn wants(&self, namespace: &str, key: &str) -> bool {
        self.namespace.is_none_or(|wanted| wanted == namespace) && key.starts_with(self.prefix)
    }
}

/// Some changes in the order of their versions, and where to go on.
///
/// It may hold none; `next` may then still be later than what was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes {
    /// The changes, each once.
    pub changes: Vec<Change>,
    /// What to ask for next, as [`Since::after`].
    pub next: u64,
    /// Changes up to `next` are no longer kept: what is watched must be read again.
    pub missed: bool,
}

impl Changes {
    /// Makes an answer of changes that follow what was asked for without a gap.
    pub fn new(changes: Vec<Change>, next: u64) -> Self {
        Self {
            changes,
            next,
            missed: false,
        }
    }

    /// Makes the answer that changes up to `next` are no longer kept.
    pub fn missed(next: u64) -> Self {
        Self {
            changes: Vec::new(),
            next,
            missed: true,
        }
    }
}

/// How much something holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many records.
    pub records: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
}

impl Usage {
    /// Counts a record of so many bytes in the place of another.
    #[must_use]
    pub fn replaced(self, before: Option<u64>, after: Option<u64>) -> Self {
        let count = |bytes: Option<u64>| u64::from(bytes.is_some());
        Self {
            records: self.records.saturating_sub(count(before)) + count(after),
            bytes: self.bytes.saturating_sub(before.unwrap_or(0)) + after.unwrap_or(0),
        }
    }
}
