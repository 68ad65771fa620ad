//! An adapter over another that refuses, or is cut off, before or after any commit, as it is told.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, Notify};

use crate::storage::{
    Address, Batch, BoxFuture, Outcome, Page, Query, Record, Since, StorageAdapter, StorageError,
    Trouble,
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
    /// It fails, and is done when it is let.
    Late,
    /// The adapter panics.
    Panics,
    /// The kernel ends before it is done.
    CutBefore,
    /// The kernel ends once it is done, before it is answered.
    CutAfter,
}

/// What others commit just before a batch.
type Others = dyn Fn(&Batch) -> Option<Batch> + Send + Sync;

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
    others: OnceLock<Box<Others>>,
    /// How many entries were listed, and how often.
    listed: AtomicUsize,
    lists: AtomicUsize,
    /// The namespace and the key that no list can have.
    damaged: OnceLock<[Arc<str>; 2]>,
    late: Mutex<Vec<Batch>>,
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
            others: OnceLock::new(),
            listed: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
            damaged: OnceLock::new(),
            late: Mutex::default(),
            cut: Notify::new(),
        })
    }

    pub(super) fn look(&self, look: impl Fn(u64) + Send + Sync + 'static) {
        assert!(self.look.set(Box::new(look)).is_ok(), "one looks");
    }

    pub(super) fn others(&self, others: impl Fn(&Batch) -> Option<Batch> + Send + Sync + 'static) {
        assert!(self.others.set(Box::new(others)).is_ok(), "there are some");
    }

    pub(super) fn damage(&self, namespace: &str, key: &str) {
        let record = [namespace, key].map(Arc::from);
        assert!(self.damaged.set(record).is_ok(), "one is damaged");
    }

    fn is_damaged(&self, namespace: &str, page: &Page) -> bool {
        self.damaged.get().is_some_and(|[of, key]| {
            namespace == &**of && page.entries.iter().any(|entry| entry.key == *key)
        })
    }

    pub(super) fn listed(&self) -> usize {
        self.listed.load(Ordering::Relaxed)
    }

    pub(super) fn lists(&self) -> usize {
        self.lists.load(Ordering::Relaxed)
    }

    /// Does what has failed before.
    pub(super) async fn land(&self) {
        let late = std::mem::take(&mut *self.late.lock());
        for batch in late {
            self.inner.apply(batch).await.expect("it is done");
        }
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
        let others = self.others.get().and_then(|others| others(&batch));
        if let Some(others) = others {
            drop(self.inner.apply(others).await);
        }
        let applied = self.inner.apply(batch).await;
        let versions = applied.iter().flatten().filter_map(Outcome::version);
        let last = versions.max().unwrap_or(0);
        self.committed.fetch_max(last, Ordering::SeqCst);
        applied
    }
}

fn refused() -> StorageError {
    unavailable(Trouble::Io)
}

fn unavailable(trouble: Trouble) -> StorageError {
    StorageError::Unavailable {
        store: "faulty".into(),
        trouble,
        source: Arc::new(fmt::Error),
    }
}

impl StorageAdapter for Faulty {
    crate::delegate_storage!(inner: changes, usage, snapshot, replicate, close);

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
                Fate::Late => {
                    self.late.lock().push(batch);
                    Err(refused())
                }
                Fate::Panics => panic!("on purpose"),
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
            self.lists.fetch_add(1, Ordering::Relaxed);
            let page = self.inner.list(query).await?;
            if self.is_damaged(query.namespace(), &page) {
                return Err(unavailable(Trouble::Corrupt));
            }
            self.listed.fetch_add(page.entries.len(), Ordering::Relaxed);
            Ok(page)
        })
    }
}

impl fmt::Debug for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}
