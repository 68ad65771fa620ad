//! Storage: durable JSON values under a namespace and a key, the only way to a database.
//!
//! [`Storage`] is what the kernel holds; behind it stands a [`StorageAdapter`].
//! Who may use which namespace is decided by permissions, before a handle is made.

mod backup;
mod batch;
mod change;
mod check;
mod configured;
pub mod conformance;
mod copy;
mod delegate;
mod half;
mod memory;
mod plan;
#[cfg(feature = "postgres")]
mod postgres;
mod quota;
mod record;
mod sqlite;
pub mod standby;
pub(crate) mod table;
mod tail;
mod watch;

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use octa_plugin_api::Payload;

pub use backup::{
    BackupError, Missing, Restored, SalvageError, Salvaged, backup, restore, restore_into, salvage,
};
pub use batch::{Batch, Outcome, Write, appended};
pub use change::{Change, Changes, Since, Usage};
pub(crate) use check::value as check_value;
pub use check::{
    Invalid, MAX_BATCH_BYTES, MAX_BATCH_WRITES, MAX_KEY_BYTES, MAX_PAGE_ENTRIES, MAX_VALUE_BYTES,
};
pub(crate) use configured::open_followed;
pub use configured::{ConfiguredError, open, open_exclusive};
pub use copy::{Contents, CopyError, Progress, Step, clear, contents, copy};
pub use half::{Half, half};
pub use memory::Memory;
pub use plan::{Found, Plan, Present, Refusal};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresConfig, PostgresError};
pub use quota::{Quota, QuotaSpent, Quotas};
pub use record::{Address, Conflict, Entry, Expect, PAGE_BYTES, Page, Query, Record};
pub use sqlite::{Damage, Header, Holder, Lock, Lost, Name, OpenError, Sqlite, SqliteOptions};
pub use tail::{KEPT_BYTES, KEPT_CHANGES, Tail, Wakers};
pub use watch::{Notice, Watched, Watcher};

/// A boxed future, so that adapters can stand behind `dyn`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Namespaces, each with what it holds.
pub type Usages = Vec<(Arc<str>, Usage)>;

/// A database that can stand behind [`Storage`].
///
/// Inputs arrive checked: an [`Address`], a [`Query`], a [`Since`] or a [`Batch`] that breaks a limit cannot be
/// made. [`conformance::run`] tells whether an adapter keeps this contract.
///
/// Every write that changes something takes the next number of one counter of the whole database, in the order
/// of commits; those of one batch follow each other. That number is the record's version, so a key that is
/// deleted and written again never repeats one.
///
/// [`Plan`] decides what batches do, and [`Tail`] keeps changes for who watches: an adapter brings the database.
pub trait StorageAdapter: Send + Sync + fmt::Debug + 'static {
    /// Reads one record; sees every write acknowledged before the call.
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>>;

    /// Applies the writes in order, all or none, and answers once they are durable.
    ///
    /// A later write sees the earlier ones of its batch. A batch that would let a namespace grow beyond its
    /// [`quota`](Batch::quotas) is refused; one that does not let it grow never is.
    /// Nothing happens before the first poll; after it, the batch may be applied even if the future is dropped.
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>>;

    /// Reads one page in the order of the keys' bytes, as it was at one moment.
    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>>;

    /// Waits for committed changes: every one behind [`Since::after`] that is asked for, once, in order.
    ///
    /// Without a version to start behind it answers at once, with no changes and the last version.
    /// What has been told can be read. Changes may be told in several answers, also those of one batch.
    /// An adapter keeps some of the latest changes; who asks for older ones is told that they are
    /// [missed](Changes::missed). Dropping the future loses nothing.
    fn changes<'a>(&'a self, since: Since<'a>) -> BoxFuture<'a, Result<Changes, StorageError>>;

    /// Tells what each namespace holds that holds anything, in the order of their names.
    fn usage(&self) -> BoxFuture<'_, Result<Usages, StorageError>>;

    /// Reads everything as it is at one moment; writes go on meanwhile.
    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StorageError>>;

    /// Writes changes of another database as they are, versions and all, and answers once they are durable.
    ///
    /// All of one call or none; a change without a value deletes. The counter is at least `last_version`
    /// afterwards, and never lower than before. No quota holds; who watches is told.
    fn replicate<'a>(
        &'a self,
        changes: &'a [Change],
        last_version: u64,
    ) -> BoxFuture<'a, Result<(), StorageError>>;

    /// Finishes the writes already accepted and releases everything; afterwards all answers are [`StorageError::Closed`].
    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>>;
}

/// All records of a database at one moment; dropping it early is fine.
pub trait Snapshot: Send {
    /// Returns the last version that is in it.
    fn last_version(&self) -> u64;

    /// Returns how many records it has.
    fn records(&self) -> u64;

    /// Reads the next records, in the order of the bytes of namespaces and keys; none at the end.
    ///
    /// Each has a value. A read holds at most 1,000 records and, but for a single one, 1 MiB.
    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Change>, StorageError>>;
}

/// The storage of one kernel: checks what comes in and hands it to the adapter; clones share it.
///
/// A name or value beyond the limits is [`StorageError::Invalid`], an expectation not met
/// [`StorageError::Conflict`], a namespace that would grow too large [`StorageError::Quota`]; nothing was
/// written then.
#[derive(Clone, Debug)]
pub struct Storage {
    adapter: Arc<dyn StorageAdapter>,
    quotas: Arc<Quotas>,
}

impl Storage {
    /// Puts a storage in front of `adapter`, without quotas.
    pub fn new(adapter: impl StorageAdapter) -> Self {
        Self::of(Arc::new(adapter))
    }

    /// Puts a storage in front of an adapter that others hold too, without quotas.
    pub fn of(adapter: Arc<dyn StorageAdapter>) -> Self {
        Self {
            adapter,
            quotas: Arc::default(),
        }
    }

    /// Bounds what namespaces hold.
    #[must_use]
    pub fn with_quotas(self, quotas: Quotas) -> Self {
        let quotas = Arc::new(quotas);
        Self { quotas, ..self }
    }

    /// Returns what bounds the namespaces.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Returns the adapter behind it.
    pub fn adapter(&self) -> &Arc<dyn StorageAdapter> {
        &self.adapter
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
        let outcomes = self.apply(batch).await?;
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
        let outcomes = self.apply(batch).await?;
        Ok(outcomes.first().and_then(Outcome::version).is_some())
    }

    /// Applies the writes of `batch` in order, all or none.
    pub async fn apply(&self, mut batch: Batch) -> Result<Vec<Outcome>, StorageError> {
        self.bound(&mut batch);
        self.adapter.apply(batch).await
    }

    /// Reads one page of a namespace.
    pub async fn list(&self, query: Query<'_>) -> Result<Page, StorageError> {
        self.adapter.list(query).await
    }

    /// Waits for changes; see [`StorageAdapter::changes`].
    pub async fn changes(&self, since: Since<'_>) -> Result<Changes, StorageError> {
        self.adapter.changes(since).await
    }

    /// Watches the keys of a namespace that start with `prefix` (all if it is empty), from now on.
    ///
    /// To follow values from what they are now, watch first and read then.
    pub async fn watch(
        &self,
        namespace: &str,
        prefix: &str,
    ) -> Result<Watcher<Self>, StorageError> {
        Watcher::begin(self.clone(), namespace, prefix, None).await
    }

    /// The same, from behind a version on: that of a watcher before.
    pub async fn watch_after(
        &self,
        namespace: &str,
        prefix: &str,
        version: u64,
    ) -> Result<Watcher<Self>, StorageError> {
        Watcher::begin(self.clone(), namespace, prefix, Some(version)).await
    }

    /// Tells what each namespace holds that holds anything, in the order of their names.
    pub async fn usage(&self) -> Result<Vec<(Arc<str>, Usage)>, StorageError> {
        self.adapter.usage().await
    }

    /// Finishes the writes already accepted and closes the database, for every clone of this storage.
    pub async fn close(&self) -> Result<(), StorageError> {
        self.adapter.close().await
    }

    fn bound(&self, batch: &mut Batch) {
        if *self.quotas == Quotas::default() {
            return;
        }
        let mut last: Option<Arc<str>> = None;
        for at in 0..batch.writes().len() {
            let namespace = batch.writes()[at].namespace().clone();
            if last.as_ref() != Some(&namespace) {
                if let Some(quota) = self.quotas.of(&namespace) {
                    batch.bound(namespace.clone(), quota);
                }
                last = Some(namespace);
            }
        }
    }
}

/// Why a storage operation was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// A record was not as expected; nothing of the batch was written.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A namespace would hold more than it may; nothing of the batch was written.
    #[error(transparent)]
    Quota(#[from] QuotaSpent),
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
            Self::Quota(spent) => spent.hint(),
            Self::Invalid(invalid) => invalid.hint(),
            Self::Unavailable { store, trouble, .. } => trouble.hint(store),
            Self::Closed => None,
        }
    }
}

impl From<Refusal> for StorageError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Conflict(conflict) => conflict.into(),
            Refusal::Quota(spent) => spent.into(),
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
    /// Its file is not the one any more that was opened.
    Replaced,
    /// Its standby is the primary now; it can still be read.
    TakenOver,
    /// Its server cannot be reached.
    Unreachable,
    /// Its server does not take the user or the password.
    Credentials,
    /// Its server did not answer in time.
    Timeout,
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
            Self::Corrupt => Some(format!(
                "stop the kernel; then restore `{store}` with `octa storage restore BACKUP --force`, go on with its \
                 standby, or save what can be read: `octa storage salvage --to NEW`"
            )),
            Self::Busy => Some(format!("end the other program that uses `{store}`")),
            Self::Io => Some(format!(
                "check the disk that holds `{store}`, then start again"
            )),
            Self::Replaced => Some(format!(
                "put the file back that was `{store}`, or start again on what is there now"
            )),
            Self::TakenOver => Some(format!(
                "stop and start again: the later primary leads, and `{store}` is kept aside"
            )),
            Self::Unreachable => Some(format!(
                "check that the server of `{store}` runs and can be reached; it is tried again by itself"
            )),
            Self::Credentials => Some(format!("check the user and the password for `{store}`")),
            Self::Timeout => Some(format!("see what keeps the server of `{store}` busy")),
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
            Self::Replaced => "its file was replaced, moved or deleted while it was open",
            Self::TakenOver => "a standby took over from it",
            Self::Unreachable => "its server cannot be reached",
            Self::Credentials => "its server refused the user or the password",
            Self::Timeout => "its server did not answer in time",
            Self::Other => "the database refused",
        })
    }
}
