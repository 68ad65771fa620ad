//! The SQLite adapter: one writer thread that commits in groups, and reads on the caller's thread.

mod open;
mod readers;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use rusqlite::ErrorCode;
use tokio::sync::{mpsc, oneshot, watch};

use self::readers::Readers;
use self::writer::{Job, Writer};
use super::batch::{Batch, Outcome};
use super::record::{Address, Page, Query, Record};
use super::{BoxFuture, StorageAdapter, StorageError, Trouble};
pub use open::OpenError;

/// Batches that may wait for the writer; the next one waits for a place.
const QUEUE: usize = 1_024;

/// Storage in one SQLite file, durable when acknowledged (WAL, `synchronous=FULL`).
///
/// The file belongs to one kernel at a time: a lock on `<path>.lock`, which stays behind, keeps others out.
/// Reads run on the caller's thread and take microseconds; writes wait for the disk on a thread of their own.
/// Dropping it without [`close`](StorageAdapter::close) waits for the writes already accepted.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    readers: Readers,
    /// A channel, since the writer is a thread and callers are tasks; taken on close, which ends the writer.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    /// Taken by whoever ends the storage, to join.
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Its sender is dropped as the writer ends, for closers to await.
    ended: watch::Receiver<()>,
}

impl Sqlite {
    /// Opens the database at `path`; creates it, and the directories above it, if it is not there.
    ///
    /// A file that it creates can be read and written by its owner only.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let opened = open::open(path.as_ref())?;
        let name: Arc<str> = opened.path.to_string_lossy().into();
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (running, ended) = watch::channel(());
        let writer = Writer::new(opened.connection, opened.last_version, name.clone());
        let lock = opened.lock;
        let thread = thread::Builder::new()
            .name("octa-storage".to_owned())
            .spawn(move || {
                writer.run(jobs);
                // The next owner may come only now that the connection is closed.
                drop(lock);
                drop(running);
            })
            .map_err(|source| OpenError::Thread { source })?;
        Ok(Self {
            readers: Readers::new(opened.path.clone(), name),
            path: opened.path,
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(thread)),
            ended,
        })
    }

    /// Returns where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn stop(&self) {
        self.readers.close();
        self.queue.lock().take();
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
        Box::pin(async move { self.readers.get(at) })
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        Box::pin(async move {
            let queue = self.queue.lock().clone().ok_or(StorageError::Closed)?;
            let (reply, answer) = oneshot::channel();
            let job = Job { batch, reply };
            queue.send(job).await.map_err(|_| StorageError::Closed)?;
            // A caller that waits for its answer must not keep the writer from ending.
            drop(queue);
            answer.await.unwrap_or(Err(StorageError::Closed))
        })
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        Box::pin(async move { self.readers.list(query) })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async {
            self.stop();
            // Nothing is ever sent: this ends with an error, when the writer drops its end.
            drop(self.ended.clone().changed().await);
            self.join();
            Ok(())
        })
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.stop();
        self.join();
    }
}

fn unavailable(store: &Arc<str>, error: rusqlite::Error) -> StorageError {
    let trouble = trouble(&error);
    StorageError::Unavailable {
        store: store.clone(),
        trouble,
        source: Arc::new(error),
    }
}

fn trouble(error: &rusqlite::Error) -> Trouble {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Trouble::Full,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            Trouble::Permission
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Trouble::Corrupt,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::Busy,
        Some(ErrorCode::SystemIoFailure) => Trouble::Io,
        _ => Trouble::Other,
    }
}

#[cfg(test)]
mod tests;
