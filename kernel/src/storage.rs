//! Storage: durable JSON values under a namespace and a key, the only way to a database.
//!
//! [`Storage`] is what the kernel holds; behind it stands a [`StorageAdapter`].
//! Who may use which namespace is decided by permissions, before a handle is made.

mod batch;
mod check;
pub mod conformance;
mod memory;
mod record;
mod sqlite;
pub(crate) mod table;

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use octa_plugin_api::Payload;

pub use batch::{Batch, Outcome, Write};
pub(crate) use check::value as check_value;
pub use check::{
    Invalid, MAX_BATCH_BYTES, MAX_BATCH_WRITES, MAX_KEY_BYTES, MAX_PAGE_ENTRIES, MAX_VALUE_BYTES,
};
pub use memory::Memory;
pub use record::{Address, Conflict, Entry, Expect, PAGE_BYTES, Page, Query, Record};
pub use sqlite::{OpenError, Sqlite};

/// A boxed future, so that adapters can stand behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A database that can stand behind [`Storage`].
///
/// Inputs arrive checked: an [`Address`], a [`Query`] or a [`Batch`] that breaks a limit cannot be made.
/// [`conformance::run`] tells whether an adapter keeps this contract.
///
/// Every write that changes something takes the next number of one counter of the whole database.
/// That number is the record's version, so a key that is deleted and written again never repeats one.
pub trait StorageAdapter: Send + Sync + fmt::Debug + 'static {
    /// Reads one record; sees every write acknowledged before the call.
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>>;

    /// Applies the writes in order, all or none, and answers once they are durable.
    ///
    /// A later write sees the earlier ones of its batch.
    /// Nothing happens before the first poll; after it, the batch may be applied even if the future is dropped.
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>>;

    /// Reads one page in the order of the keys' bytes, as it was at one moment.
    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>>;

    /// Finishes the writes already accepted and releases everything; afterwards all answers are [`StorageError::Closed`].
    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>>;
}

/// The storage of one kernel: checks what comes in and hands it to the adapter; clones share it.
///
/// A name or value beyond the limits is [`StorageError::Invalid`], an expectation not met
/// [`StorageError::Conflict`]; nothing was written then.
#[derive(Clone, Debug)]
pub struct Storage {
    adapter: Arc<dyn StorageAdapter>,
}

impl Storage {
    /// Puts a storage in front of `adapter`.
    pub fn new(adapter: impl StorageAdapter) -> Self {
        Self {
            adapter: Arc::new(adapter),
        }
    }

    /// Reads one record.
    pub async fn get(&self, namespace: &str, key: &str) -> Result<Option<Record>, StorageError> {
        self.adapter.get(Address::new(namespace, key)?).await
    }

    /// Writes a value whatever was there; returns its version.
    pub async fn set(
        &self,
        namespace: &str,
        key: &str,
        value: impl Into<Payload>,
    ) -> Result<u64, StorageError> {
        self.compare_and_set(namespace, key, Expect::Any, value.into())
            .await
    }

    /// Writes a value if the record is as expected; returns its version.
    pub async fn compare_and_set(
        &self,
        namespace: &str,
        key: &str,
        expect: Expect,
        value: impl Into<Payload>,
    ) -> Result<u64, StorageError> {
        let mut batch = Batch::new();
        batch.put(namespace, key, expect, value)?;
        let outcomes = self.adapter.apply(batch).await?;
        Ok(outcomes
            .first()
            .and_then(Outcome::version)
            .unwrap_or_default())
    }

    /// Deletes a record; tells whether there was one.
    pub async fn delete(&self, namespace: &str, key: &str) -> Result<bool, StorageError> {
        self.compare_and_delete(namespace, key, Expect::Any).await
    }

    /// Deletes a record if it is as expected; tells whether there was one.
    pub async fn compare_and_delete(
        &self,
        namespace: &str,
        key: &str,
        expect: Expect,
    ) -> Result<bool, StorageError> {
        let mut batch = Batch::new();
        batch.delete(namespace, key, expect)?;
        let outcomes = self.adapter.apply(batch).await?;
        Ok(outcomes.first().and_then(Outcome::version).is_some())
    }

    /// Applies the writes of `batch` in order, all or none.
    pub async fn apply(&self, batch: Batch) -> Result<Vec<Outcome>, StorageError> {
        self.adapter.apply(batch).await
    }

    /// Reads one page of a namespace.
    pub async fn list(&self, query: Query<'_>) -> Result<Page, StorageError> {
        self.adapter.list(query).await
    }

    /// Finishes the writes already accepted and closes the database, for every clone of this storage.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.adapter.close().await
    }
}

/// Why a storage operation was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A record was not as expected; nothing of the batch was written.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A name or value that storage does not take.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The database did not do it; nothing was acknowledged.
    #[error("storage `{store}` is unavailable: {trouble}")]
    Unavailable {
        /// The path or address of the database.
        store: Arc<str>,
        /// What kind of trouble it is in.
        trouble: Trouble,
        /// The database's own words.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The storage has been closed.
    #[error("storage is closed")]
    Closed,
}

impl StorageError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Conflict(conflict) => conflict.hint(),
            Self::Invalid(invalid) => invalid.hint(),
            Self::Unavailable { store, trouble, .. } => trouble.hint(store),
            Self::Closed => None,
        }
    }
}

/// The trouble that makes a database unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// No space is left for it.
    Full,
    /// The operating system does not let us read or write it.
    Permission,
    /// Its content is damaged.
    Corrupt,
    /// Another program holds a lock on it.
    Busy,
    /// Reading, writing or syncing failed; after that, writes are refused until it is opened again.
    Io,
    /// Something else, told by the error's source.
    Other,
}

impl Trouble {
    fn hint(self, store: &str) -> Option<String> {
        match self {
            Self::Full => Some(format!("free some space on the disk that holds `{store}`")),
            Self::Permission => Some(format!(
                "let this user read and write `{store}` and its directory"
            )),
            Self::Corrupt => Some(format!("restore `{store}` from a backup")),
            Self::Busy => Some(format!("end the other program that uses `{store}`")),
            Self::Io => Some(format!(
                "check the disk that holds `{store}`, then start again"
            )),
            Self::Other => None,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "no space is left",
            Self::Permission => "permission was denied",
            Self::Corrupt => "its content is damaged",
            Self::Busy => "another program holds a lock on it",
            Self::Io => "input or output failed",
            Self::Other => "the database refused",
        })
    }
}
