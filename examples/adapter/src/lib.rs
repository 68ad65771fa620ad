//! A storage adapter over [redb](https://www.redb.org), as anybody can write one beside the kernel.
//!
//! An adapter brings a database; the kernel brings the rest:
//!
//! * what arrives is checked: names, values and batches keep their limits;
//! * [`Plan`](octa_kernel::storage::Plan) decides what a group of batches does, and which of them are refused;
//! * [`Tail`] keeps the latest changes for those who watch;
//! * [`conformance`](octa_kernel::storage::conformance) tells whether the adapter keeps its promises.
//!
//! Three decisions make this one, and most others:
//!
//! 1. **One thread writes** (`writer`). It takes the batches that wait, plans them together, and commits them in
//!    one transaction: one sync of the disk for all of them, and versions in the order of commits for nothing.
//! 2. **Reads run where they are asked for**, each in a transaction of its own: redb shows it one moment.
//! 3. **A lock stands for being open.** Who reads holds it for the read, so closing waits for reads, then for the
//!    writer, and then the file is free.

mod snapshot;
mod tables;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use octa_kernel::storage::{
    Address, Batch, BoxFuture, Change, Changes, Entry, Outcome, Page, Query, Record, Since,
    Snapshot, StorageAdapter, StorageError, Tail, Trouble, Usage,
};
use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable};
use tokio::sync::{oneshot, watch};

use crate::snapshot::Taken;
use crate::tables::{FORMAT, RECORDS, Tables, USAGE};
use crate::writer::{Job, Writer};

/// Storage in one redb file, durable when acknowledged.
///
/// The file belongs to one process at a time; redb locks it.
pub struct Redb {
    /// What errors call it.
    name: Arc<str>,
    /// Read-locked for the microseconds of a read, or to queue a write; `None`: closed.
    open: RwLock<Option<Open>>,
    tail: Arc<Tail>,
    /// Taken by whoever ends the storage, to join.
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Its sender is dropped as the writer ends, for closers to await.
    ended: watch::Receiver<()>,
}

/// What there is while the storage is open. Dropping it ends the writer, which finishes what is queued.
struct Open {
    database: Arc<Database>,
    jobs: mpsc::Sender<Job>,
}

/// Why a file cannot be used as a storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// redb does not open it.
    #[error("cannot open the storage `{store}`")]
    Redb {
        /// The file.
        store: Arc<str>,
        /// redb's own words.
        source: Box<redb::Error>,
    },
    /// It was written by another version of this adapter.
    #[error("storage `{store}` has format {found}, expected {FORMAT}")]
    Format {
        /// The file.
        store: Arc<str>,
        /// The format that was found.
        found: u64,
    },
    /// The system gives no thread.
    #[error("cannot start the thread that writes")]
    Thread(#[source] std::io::Error),
}

impl Redb {
    /// Opens the database at `path`, or creates it, and checks that it is whole.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let name: Arc<str> = path.as_ref().to_string_lossy().into();
        let refused = |error: redb::Error| OpenError::Redb {
            store: name.clone(),
            source: Box::new(error),
        };
        let database = Database::builder()
            .set_check_integrity_on_open(true)
            .create(path)
            .map_err(|error| refused(error.into()))?;
        let (format, last_version) = Tables::create(&database).map_err(refused)?;
        if format != FORMAT {
            let store = name.clone();
            return Err(OpenError::Format {
                store,
                found: format,
            });
        }
        let (database, tail) = (Arc::new(database), Arc::new(Tail::new(last_version)));
        let (jobs, queue) = mpsc::channel();
        let (running, ended) = watch::channel(());
        let writer = Writer::new(database.clone(), tail.clone(), name.clone());
        let thread = thread::Builder::new()
            .name("redb-storage".to_owned())
            .spawn(move || {
                writer.run(&queue);
                drop(running);
            })
            .map_err(OpenError::Thread)?;
        Ok(Self {
            name,
            open: RwLock::new(Some(Open { database, jobs })),
            tail,
            writer: Mutex::new(Some(thread)),
            ended,
        })
    }

    /// Reads at one moment.
    fn read<T>(
        &self,
        read: impl FnOnce(ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StorageError> {
        let open = self.open.read();
        let open = open.as_ref().ok_or(StorageError::Closed)?;
        let transaction = open.database.begin_read().map_err(redb::Error::from);
        transaction
            .and_then(read)
            .map_err(|error| unavailable(&self.name, error))
    }

    /// Has the writer do something, and waits for its answer.
    async fn write<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StorageError>>) -> Job,
    ) -> Result<T, StorageError> {
        let (reply, answer) = oneshot::channel();
        {
            let open = self.open.read();
            let open = open.as_ref().ok_or(StorageError::Closed)?;
            open.jobs
                .send(job(reply))
                .map_err(|_| StorageError::Closed)?;
        }
        answer.await.unwrap_or(Err(StorageError::Closed))
    }

    fn stop(&self) {
        self.open.write().take();
    }

    fn join(&self) {
        let writer = self.writer.lock().take();
        // A panic of the writer has been reported where it happened.
        writer.map(JoinHandle::join).map(drop).unwrap_or_default();
    }
}

impl StorageAdapter for Redb {
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>> {
        Box::pin(async move {
            self.read(|transaction| {
                let found = transaction
                    .open_table(RECORDS)?
                    .get((at.namespace(), at.key()))?;
                Ok(found.map(|found| tables::record(found.value())))
            })
        })
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        Box::pin(self.write(|reply| Job::Apply { batch, reply }))
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        Box::pin(async move {
            self.read(|transaction| {
                let (namespace, start) = (query.namespace(), query.start());
                let table = transaction.open_table(RECORDS)?;
                let rows = table.range((namespace, start.as_str())..)?;
                // The query knows its prefix, its limit, and when a page is long enough.
                let entries = rows.map_while(|row| match row {
                    Ok((at, found)) if at.value().0 == namespace => {
                        let record = tables::record(found.value());
                        Some(Ok(Entry::new(at.value().1, record)))
                    }
                    Ok(_) => None,
                    Err(error) => Some(Err(error.into())),
                });
                query.page(entries)
            })
        })
    }

    fn changes<'a>(&'a self, since: Since<'a>) -> BoxFuture<'a, Result<Changes, StorageError>> {
        Box::pin(self.tail.since(since))
    }

    fn usage(&self) -> BoxFuture<'_, Result<Vec<(Arc<str>, Usage)>, StorageError>> {
        Box::pin(async {
            self.read(|transaction| {
                let table = transaction.open_table(USAGE)?;
                let rows = table.iter()?.map(|row| {
                    let (namespace, usage) = row?;
                    Ok((namespace.value().into(), tables::usage(usage.value())))
                });
                rows.collect()
            })
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StorageError>> {
        Box::pin(async {
            let name = self.name.clone();
            let taken = self.read(|transaction| Taken::new(&transaction, name))?;
            Ok(Box::new(taken) as Box<dyn Snapshot>)
        })
    }

    fn replicate<'a>(
        &'a self,
        changes: &'a [Change],
        last_version: u64,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let changes = changes.to_vec();
        Box::pin(self.write(move |reply| Job::Replicate {
            changes,
            last_version,
            reply,
        }))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async {
            self.stop();
            // Nothing is ever sent: this ends with an error, when the writer drops its end.
            drop(self.ended.clone().changed().await);
            self.join();
            self.tail.close().wake();
            Ok(())
        })
    }
}

impl Drop for Redb {
    fn drop(&mut self) {
        self.stop();
        self.join();
    }
}

impl fmt::Debug for Redb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redb")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Says what kind of trouble an error is, so that the kernel can say what to do about it.
fn unavailable(store: &Arc<str>, error: redb::Error) -> StorageError {
    use std::io::ErrorKind;

    let trouble = match &error {
        redb::Error::DatabaseClosed => return StorageError::Closed,
        redb::Error::Io(error) => match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Trouble::Full,
            ErrorKind::PermissionDenied => Trouble::Permission,
            _ => Trouble::Io,
        },
        // After a failed write redb refuses all others until it is opened again.
        redb::Error::PreviousIo => Trouble::Io,
        redb::Error::Corrupted(_) => Trouble::Corrupt,
        redb::Error::DatabaseAlreadyOpen => Trouble::Busy,
        _ => Trouble::Other,
    };
    StorageError::Unavailable {
        store: store.clone(),
        trouble,
        source: Arc::new(error),
    }
}
