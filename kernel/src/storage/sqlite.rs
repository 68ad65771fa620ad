//! The SQLite adapter: one writer thread that commits in groups, and reads on the caller's thread.

mod audit;
mod damage;
pub(super) mod files;
mod format;
mod header;
mod health;
mod lock;
mod log;
mod open;
mod page;
mod place;
mod readers;
mod rows;
mod salvage;
mod snapshot;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use self::health::Health;
use self::readers::Readers;
use self::writer::{Job, Mark, Reply, Writer};
use super::batch::{Batch, Outcome};
use super::change::{Change, Changes, Since, Usage};
use super::record::{Address, Page, Query, Record};
use super::tail::Tail;
use super::{BoxFuture, Snapshot, StorageAdapter, StorageError};
pub use damage::Damage;
pub use header::Header;
pub(super) use health::Brake;
pub use lock::{Holder, Lock};
pub use open::OpenError;
pub(super) use open::salvaged;
pub(super) use salvage::Salvage;
pub use salvage::{Lost, Name};

/// Storage in one SQLite file, durable when acknowledged (WAL, `synchronous=FULL`).
///
/// The file belongs to one kernel at a time: a lock on `<path>.lock`, which stays behind, keeps others out.
/// Reads run on the caller's thread and take microseconds; writes wait for the disk on a thread of their own.
/// A snapshot keeps the log from being emptied: what is written meanwhile takes space until it is dropped.
/// Closing it brings the log into the file, and fails if that cannot take it: then the log stays beside it,
/// and nothing is lost. Dropping it without [`close`](StorageAdapter::close) waits for the writes already accepted.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    health: Arc<Health>,
    readers: Readers,
    tail: Arc<Tail>,
    /// A channel, since the writer is a thread and callers are tasks; taken on close, which ends the writer.
    ///
    /// It has no bound: what lies in it is there for a caller that waits for its answer, and is left out once the
    /// caller does not. The future of a caller could keep a place from all others, and the writer from ending.
    queue: Mutex<Option<mpsc::UnboundedSender<Job>>>,
    /// Taken by whoever ends the storage, to join.
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Its sender is dropped as the writer ends, for closers to await; it has what went wrong then.
    ended: watch::Receiver<Option<StorageError>>,
}

/// How to open a database file; made by [`Sqlite::options`].
#[derive(Clone, Debug)]
#[must_use = "nothing is opened yet"]
pub struct SqliteOptions {
    is_checked: bool,
}

impl SqliteOptions {
    /// Says whether to look through the whole file for damage, as is done where nothing is said.
    ///
    /// It takes as long as reading the file. Each record that is read is checked anyway.
    pub fn check(self, check: bool) -> Self {
        Self { is_checked: check }
    }

    /// Opens the database at `path`; creates it, and the directories above it, if it is not there.
    ///
    /// A file that it creates can be read and written by its owner only. One of an older format is brought to
    /// the present one.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Sqlite, OpenError> {
        Sqlite::start(open::open(path.as_ref(), self.is_checked)?)
    }
}

impl Sqlite {
    /// Opens the database at `path` as [`SqliteOptions::open`] does, looking for damage.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::options().open(path)
    }

    /// Returns how a database is opened, to be changed.
    pub fn options() -> SqliteOptions {
        SqliteOptions { is_checked: true }
    }

    /// Reads what the file at `path` says of itself, also while a kernel has it open; nothing if there is no
    /// database in it yet.
    ///
    /// It is not checked, and not brought to the present format.
    pub fn header(path: impl AsRef<Path>) -> Result<Option<Header>, OpenError> {
        open::header(path.as_ref())
    }

    /// Tells which kernel has the file at `path` open, if one does; one that has ended does not.
    pub fn holder(path: impl AsRef<Path>) -> Result<Option<Holder>, OpenError> {
        lock::holder(path.as_ref())
    }

    /// Tells whether a path is that of a database file, or of what belongs beside it, whatever links lead there.
    pub fn is_part(database: &Path, path: &Path) -> bool {
        files::is_part(database, path)
    }

    /// Returns where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what the file says of itself now.
    pub fn own_header(&self) -> Result<Header, StorageError> {
        self.readers.read(|rows| Header::read(rows.0))
    }

    /// Makes the file one that follows the database `id`, in the same epoch.
    pub async fn follow(&self, id: &str, epoch: u64) -> Result<Header, StorageError> {
        let id = id.into();
        self.ask(|reply| Job::Mark(Mark::Follow { id, epoch }, reply))
            .await
    }

    /// Makes the file one that leads, above every other with its id: it follows no more, in the next epoch.
    pub async fn raise_epoch(&self) -> Result<Header, StorageError> {
        self.ask(|reply| Job::Mark(Mark::Lead, reply)).await
    }

    /// Returns what ends its writes from elsewhere.
    pub(super) fn brake(&self) -> Brake {
        Brake(self.health.clone())
    }

    fn start(opened: open::Opened) -> Result<Self, OpenError> {
        let health = Arc::new(Health::new(opened.path.to_string_lossy().into()));
        let tail = Arc::new(Tail::new(opened.header.last_version));
        let (queue, jobs) = mpsc::unbounded_channel();
        let (running, ended) = watch::channel(None);
        let writer = Writer::new(
            opened.connection,
            opened.place,
            opened.header,
            health.clone(),
            tail.clone(),
        );
        let lock = opened.lock;
        let thread = thread::Builder::new()
            .name("octa-storage".to_owned())
            .spawn(move || {
                let sealed = writer.run(jobs);
                // The next owner may come only now that the connection is closed.
                drop(lock);
                running.send_replace(sealed.err());
            })
            .map_err(|source| OpenError::Thread { source })?;
        Ok(Self {
            readers: Readers::new(opened.path.clone(), health.clone()),
            health,
            path: opened.path,
            tail,
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(thread)),
            ended,
        })
    }

    /// Has the writer do something, and waits for its answer.
    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T, StorageError> {
        let (reply, answer) = oneshot::channel();
        let sent = match &*self.queue.lock() {
            Some(queue) => queue.send(job(reply)).is_ok(),
            None => false,
        };
        if !sent {
            return Err(StorageError::Closed);
        }
        answer.await.unwrap_or(Err(StorageError::Closed))
    }

    fn stop(&self) {
        self.readers.close();
        self.queue.lock().take();
        self.tail.close().wake();
    }

    /// The writer does not panic; if it did, its panic has been reported where it happened.
    fn join(&self) {
        if let Some(writer) = self.writer.lock().take() {
            drop(writer.join());
        }
    }
}

impl StorageAdapter for Sqlite {
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>> {
        Box::pin(async move { self.readers.read(|rows| rows.get(at)) })
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        Box::pin(self.ask(|reply| Job::Apply(batch, reply)))
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        Box::pin(async move { self.readers.read(|rows| rows.page(query)) })
    }

    fn changes<'a>(&'a self, since: Since<'a>) -> BoxFuture<'a, Result<Changes, StorageError>> {
        Box::pin(self.tail.since(since))
    }

    fn usage(&self) -> BoxFuture<'_, Result<Vec<(Arc<str>, Usage)>, StorageError>> {
        Box::pin(async { self.readers.read(|rows| rows.usages()) })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StorageError>> {
        Box::pin(async { Ok(Box::new(self.readers.snapshot()?) as Box<dyn Snapshot>) })
    }

    fn replicate<'a>(
        &'a self,
        changes: &'a [Change],
        last_version: u64,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(self.ask(move |reply| Job::Replicate(changes.to_vec(), last_version, reply)))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async {
            self.stop();
            let mut ended = self.ended.clone();
            // This ends with an error, when the writer drops its end.
            while ended.changed().await.is_ok() {}
            self.join();
            let failed = ended.borrow().clone();
            failed.map_or(Ok(()), Err)
        })
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.stop();
        self.join();
    }
}

#[cfg(test)]
mod tests;
