//! What state and storage have in common: records, where they are, and pages of them.

use std::fmt;
use std::sync::Arc;

use octa_plugin_api::Payload;

use super::check::{self, Invalid, MAX_PAGE_ENTRIES};

/// The bytes of keys and values after which a page ends early, so that a page is quickly read.
pub const PAGE_BYTES: usize = 1 << 20;

/// A stored value and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The JSON text.
    pub value: Payload,
    /// A number that grows with every write to the key.
    pub version: u64,
}

impl Record {
    /// Makes a record, for an adapter to answer with.
    pub fn new(value: impl Into<Payload>, version: u64) -> Self {
        Self {
            value: value.into(),
            version,
        }
    }
}

/// A checked namespace and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address<'a> {
    namespace: &'a str,
    key: &'a str,
}

impl<'a> Address<'a> {
    /// Checks a namespace and a key.
    pub fn new(namespace: &'a str, key: &'a str) -> Result<Self, Invalid> {
        check::namespace(namespace)?;
        check::key(namespace, key)?;
        Ok(Self { namespace, key })
    }

    /// For parts that were checked before.
    pub(crate) fn checked(namespace: &'a str, key: &'a str) -> Self {
        Self { namespace, key }
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// Returns the key.
    pub fn key(&self) -> &'a str {
        self.key
    }
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.key)
    }
}

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whatever is there.
    Any,
    /// No record.
    Absent,
    /// A record of exactly this version; 0, which none has, is that of no record.
    Version(u64),
}

impl Expect {
    /// Compares what is expected with the version found at an address.
    pub fn check(self, at: Address<'_>, found: Option<u64>) -> Result<(), Conflict> {
        let met = match self {
            Self::Any => true,
            Self::Absent | Self::Version(0) => found.is_none(),
            Self::Version(version) => found == Some(version),
        };
        if met {
            return Ok(());
        }
        let (namespace, key) = (at.namespace.to_owned(), at.key.to_owned());
        Err(Conflict {
            namespace,
            key,
            expected: self,
            found,
        })
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Absent | Self::Version(0) => f.write_str("no record"),
            Self::Version(version) => write!(f, "version {version}"),
        }
    }
}

/// A record was not as a write expected it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{namespace}/{key}` has {}, expected {expected}", found.map_or(Expect::Absent, Expect::Version))]
#[non_exhaustive]
pub struct Conflict {
    /// The namespace of the record.
    pub namespace: String,
    /// The key of the record.
    pub key: String,
    /// What the write expected.
    pub expected: Expect,
    /// The version that is there.
    pub found: Option<u64>,
}

impl Conflict {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = "someone else wrote it: read the record again and decide on what it is now";
        Some(hint.to_owned())
    }
}

/// Which page of a namespace to read; checked.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    namespace: &'a str,
    prefix: &'a str,
    after: Option<&'a str>,
    limit: usize,
}

impl<'a> Query<'a> {
    /// Asks for the first 100 records whose keys start with `prefix` (all keys if it is empty).
    pub fn new(namespace: &'a str, prefix: &'a str) -> Result<Self, Invalid> {
        check::namespace(namespace)?;
        check::prefix(namespace, prefix)?;
        Ok(Self {
            namespace,
            prefix,
            after: None,
            limit: 100,
        })
    }

    /// Starts behind this key, which need not exist: [`Page::next`] of the page before.
    pub fn after(self, key: Option<&'a str>) -> Result<Self, Invalid> {
        key.map_or(Ok(()), |key| check::key(self.namespace, key))?;
        Ok(Self { after: key, ..self })
    }

    /// Bounds the page to so many entries, from 1 to [`MAX_PAGE_ENTRIES`].
    pub fn limit(self, limit: usize) -> Result<Self, Invalid> {
        if limit == 0 || limit > MAX_PAGE_ENTRIES {
            let what = "the limit of a page".to_owned();
            return Err(check::too_large(what, limit, "entries", MAX_PAGE_ENTRIES));
        }
        Ok(Self { limit, ..self })
    }

    /// Returns the namespace.
    pub fn namespace(&self) -> &'a str {
        self.namespace
    }

    /// Returns the most entries that the page may have.
    pub fn most(&self) -> usize {
        self.limit
    }

    /// Returns the least key that can be on the page.
    pub fn start(&self) -> String {
        // No key has a NUL, so this is the least string behind `after`.
        let behind = self.after.map(|key| format!("{key}\0")).unwrap_or_default();
        if behind.as_str() > self.prefix {
            behind
        } else {
            self.prefix.to_owned()
        }
    }

    /// Takes the page from all entries of the namespace from [`start`](Self::start) on, in order.
    pub fn page<E>(&self, entries: impl IntoIterator<Item = Result<Entry, E>>) -> Result<Page, E> {
        let mut page = Page::default();
        let mut bytes = 0;
        for entry in entries {
            let entry = entry?;
            if !entry.key.starts_with(self.prefix) {
                break;
            }
            if page.entries.len() == self.limit || bytes >= PAGE_BYTES {
                page.next = page.entries.last().map(|last| last.key.clone());
                break;
            }
            bytes += entry.key.len() + entry.record.value.len();
            page.entries.push(entry);
        }
        Ok(page)
    }
}

/// A key and its record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// What is stored under it.
    pub record: Record,
}

impl Entry {
    /// Makes an entry, for an adapter to answer with.
    pub fn new(key: impl Into<Arc<str>>, record: Record) -> Self {
        Self {
            key: key.into(),
            record,
        }
    }
}

/// Some entries in the order of their keys' bytes.
///
/// Walking pages meets every key that was there all the while exactly once, whatever is written meanwhile.
/// A page ends early behind [`PAGE_BYTES`]; only `next` tells whether there is more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The entries, fewer than asked for at the end or where they are large.
    pub entries: Vec<Entry>,
    /// The key after which the next page starts, if there is more.
    pub next: Option<Arc<str>>,
}
