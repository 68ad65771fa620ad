//! An adapter over another that refuses, or is cut off, before or after any commit, as it is told.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, Notify};

use crate::storage::{
    Address, Batch, BoxFuture, Change, Changes, Outcome, Page, Query, Record, Since, Snapshot,
    StorageAdapter, StorageError, Trouble, Usage,
};

/// What becomes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is done after so many turns of others.
    Done(u8),
    /// It fails, and nothing was done.
    RefusedBefore,
    /// It fails, but was done.
    RefusedAfter,
    /// The kernel ends before it is done.
    CutBefore,
    /// The kernel ends once it is done, before it is answered.
    CutAfter,
}

/// One life of a kernel's storage.
pub(super) struct Faulty {
    inner: Arc<dyn StorageAdapter>,
    /// What becomes of each batch, in turn; then all is done.
    fates: Mutex<std::vec::IntoIter<Fate>>,
    /// One at a time, so that it is known what is committed.
    turn: Turn<()>,
    /// The last version that is committed.
    committed: AtomicU64,
    /// Looks at the world just before each commit.
    look: OnceLock<Box<dyn Fn(u64) + Send + Sync>>,
    cut: Notify,
}

impl Faulty {
    pub(super) async fn over(inner: Arc<dyn StorageAdapter>, fates: Vec<Fate>) -> Arc<Self> {
        let seen = inner.changes(Since::all(None)).await.expect("it is open");
        Arc::new(Self {
            inner,
            fates: Mutex::new(fates.into_iter()),
            turn: Turn::new(()),
            committed: AtomicU64::new(seen.next),
            look: OnceLock::new(),
            cut: Notify::new(),
        })
    }

    pub(super) fn look(&self, look: impl Fn(u64) + Send + Sync + 'static) {
        assert!(self.look.set(Box::new(look)).is_ok(), "one looks");
    }

    /// Waits until the kernel ends hard.
    pub(super) async fn cut(&self) {
        self.cut.notified().await;
    }

    async fn end(&self) -> ! {
        self.cut.notify_one();
        std::future::pending().await
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Outcome>, StorageError> {
        if let Some(look) = self.look.get() {
            look(self.committed.load(Ordering::SeqCst));
        }
        let applied = self.inner.apply(batch).await;
        let versions = applied.iter().flatten().filter_map(Outcome::version);
        let last = versions.max().unwrap_or(0);
        self.committed.fetch_max(last, Ordering::SeqCst);
        applied
    }
}

fn refused() -> StorageError {
    StorageError::Unavailable {
        store: "faulty".into(),
        trouble: Trouble::Io,
        source: Arc::new(fmt::Error),
    }
}

impl StorageAdapter for Faulty {
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            self.inner.get(at).await
        })
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        Box::pin(async move {
            let fate = self.fates.lock().next().unwrap_or(Fate::Done(0));
            if let Fate::Done(turns) = fate {
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
            let _turn = self.turn.lock().await;
            match fate {
                Fate::Done(_) => self.commit(batch).await,
                Fate::RefusedBefore => Err(refused()),
                Fate::RefusedAfter => self.commit(batch).await.and(Err(refused())),
                Fate::CutBefore => self.end().await,
                Fate::CutAfter => {
                    drop(self.commit(batch).await);
                    self.end().await
                }
            }
        })
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        Box::pin(async move {
            let _turn = self.turn.lock().await;
            self.inner.list(query).await
        })
    }

    fn changes<'a>(&'a self, since: Since<'a>) -> BoxFuture<'a, Result<Changes, StorageError>> {
        self.inner.changes(since)
    }

    fn usage(&self) -> BoxFuture<'_, Result<Vec<(Arc<str>, Usage)>, StorageError>> {
        self.inner.usage()
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StorageError>> {
        self.inner.snapshot()
    }

    fn replicate<'a>(
        &'a self,
        changes: &'a [Change],
        last_version: u64,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        self.inner.replicate(changes, last_version)
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        self.inner.close()
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}
