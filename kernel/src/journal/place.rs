//! Where the records of a stream lie in the storage.

use std::fmt;
use std::sync::Arc;

use octa_loader::NameKind;

use super::error::JournalError;
use super::limits;
use super::outbox::line_of;
use crate::storage::{Page, Query, Storage, StorageError, appended};

/// What the keys of all consumers' places begin with.
pub(super) const CURSORS: &str = "cursor/";
/// What the keys begin with that tell of consumers that have begun.
pub(super) const BEGINNINGS: &str = "consumers/";

/// A checked stream of a namespace. Neither its name nor that of a consumer has a slash, so that
/// no key of one stream is one of another.
#[derive(Clone, Debug)]
pub(super) struct Place {
    namespace: Arc<str>,
    /// The namespace of the records.
    records: Arc<str>,
    /// The namespace of events that wait to be told.
    events: Arc<str>,
    stream: Arc<str>,
}

impl Place {
    pub(super) fn new(namespace: &str, stream: &str) -> Result<Self, JournalError> {
        NameKind::Namespace.check(namespace)?;
        let records = format!("kernel.journal.{namespace}");
        NameKind::Namespace.check(&records)?;
        limits::name("stream", stream)?;
        Ok(Self {
            namespace: namespace.into(),
            records: records.into(),
            events: line_of(namespace).into(),
            stream: stream.into(),
        })
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    /// The namespace of the records.
    pub(super) fn records(&self) -> &str {
        &self.records
    }

    /// The namespace of events that wait to be told.
    pub(super) fn events(&self) -> &Arc<str> {
        &self.events
    }

    /// What the keys of the facts begin with; behind it is the position.
    pub(super) fn log(&self) -> String {
        format!("log/{}/", self.stream)
    }

    /// The key of a fact.
    pub(super) fn fact(&self, position: u64) -> String {
        appended(&self.log(), position)
    }

    /// The key of what tells that an idempotency key has a fact: its version is that of the fact
    /// and one.
    pub(super) fn marker(&self, key: &str) -> String {
        format!("key/{}/{key}", self.stream)
    }

    /// The key of the parts of a fact; without an idempotency key, what all of them begin with.
    pub(super) fn parts(&self, key: &str) -> String {
        format!("part/{}/{key}", self.stream)
    }

    /// The key of a consumer's place; without a name, what all of them begin with.
    pub(super) fn cursor(&self, consumer: &str) -> String {
        format!("{CURSORS}{}/{consumer}", self.stream)
    }

    /// The key of what is written whenever a consumer begins, so that who trims sees it.
    pub(super) fn beginnings(&self) -> String {
        format!("{BEGINNINGS}{}", self.stream)
    }

    /// An idempotency key of the stream, in words.
    pub(super) fn key<'a>(&'a self, key: &'a str) -> KeyOf<'a> {
        KeyOf(self, key)
    }

    /// An error of the storage, while something was done here.
    pub(super) fn failed<'a>(
        &'a self,
        doing: impl fmt::Display + 'a,
    ) -> impl FnOnce(StorageError) -> JournalError + 'a {
        move |source| JournalError::Storage {
            what: format!("cannot {doing}"),
            source,
        }
    }

    /// What is there is not what the journal writes.
    pub(super) fn unreadable(&self, key: &str, reason: impl fmt::Display) -> JournalError {
        JournalError::Unreadable {
            namespace: self.records.to_string(),
            key: key.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// Reads a page of the records whose keys begin so.
    pub(super) async fn page(
        &self,
        storage: &Storage,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StorageError> {
        let query = Query::new(&self.records, prefix)?;
        storage.list(query.after(after)?.limit(limit)?).await
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream `{}` of `{}`", self.stream, self.namespace)
    }
}

/// An idempotency key of a stream.
#[derive(Clone, Copy)]
pub(super) struct KeyOf<'a>(&'a Place, &'a str);

impl fmt::Display for KeyOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}` in {}", self.1, self.0)
    }
}
