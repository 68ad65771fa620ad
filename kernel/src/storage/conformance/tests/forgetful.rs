//! A disk in memory, and adapters on it that forget something with each reopening.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::super::super::{
    Address, Batch, BoxFuture, Change, Changes, Memory, Outcome, Page, Query, Record, Since,
    Snapshot, StorageAdapter, StorageError, Usage,
};
use super::super::snapshots::read;

/// What is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lapse {
    None,
    TheLastWrite,
    TheCounter,
    HalfOfABatch,
    WhatIsWrittenWhileClosing,
}

/// What outlives an adapter: its records and its counter.
#[derive(Debug)]
pub(super) struct Disk {
    lapse: Lapse,
    content: Arc<Mutex<Option<Arc<Memory>>>>,
}

impl Disk {
    pub(super) fn new(lapse: Lapse) -> Self {
        let content = Arc::default();
        Self { lapse, content }
    }

    /// Opens what was left, less what is forgotten.
    pub(super) fn open(&self) -> Forgetful {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime starts");
        let before = self.content.lock().take();
        let memory = Arc::new(Memory::new());
        runtime.block_on(async {
            let Some(before) = before else { return };
            let mut snapshot = before.snapshot().await.expect("a snapshot is taken");
            let mut all = read(&mut *snapshot).await;
            let newest = all.iter().map(|change| change.version).max().unwrap_or(0);
            let mut last_version = snapshot.last_version();
            match self.lapse {
                Lapse::TheLastWrite => all.retain(|change| change.version != newest),
                Lapse::TheCounter => last_version = newest,
                Lapse::HalfOfABatch => all.retain(|change| !change.key.ends_with("7-too")),
                _ => {}
            }
            let written = memory.replicate(&all, last_version).await;
            written.expect("the records are written");
        });
        *self.content.lock() = Some(memory.clone());
        Forgetful {
            memory,
            lapse: self.lapse,
            is_closed: AtomicBool::new(false),
        }
    }
}

/// An adapter on such a disk.
#[derive(Debug)]
pub(super) struct Forgetful {
    memory: Arc<Memory>,
    lapse: Lapse,
    is_closed: AtomicBool,
}

impl Forgetful {
    fn open(&self) -> Result<&Memory, StorageError> {
        match self.is_closed.load(Ordering::SeqCst) {
            true => Err(StorageError::Closed),
            false => Ok(&self.memory),
        }
    }
}

impl StorageAdapter for Forgetful {
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>> {
        Box::pin(async move { self.open()?.get(at).await })
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        Box::pin(async move {
            let is_forgotten = self.lapse == Lapse::WhatIsWrittenWhileClosing
                && batch
                    .writes()
                    .iter()
                    .any(|it| **it.namespace() == *"flight" && it.key(0).starts_with("8"));
            let memory = self.open()?;
            match is_forgotten {
                true => Memory::new().apply(batch).await,
                false => memory.apply(batch).await,
            }
        })
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        Box::pin(async move { self.open()?.list(query).await })
    }

    fn changes<'a>(&'a self, since: Since<'a>) -> BoxFuture<'a, Result<Changes, StorageError>> {
        Box::pin(async move { self.open()?.changes(since).await })
    }

    fn usage(&self) -> BoxFuture<'_, Result<Vec<(Arc<str>, Usage)>, StorageError>> {
        Box::pin(async move { self.open()?.usage().await })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StorageError>> {
        Box::pin(async move { self.open()?.snapshot().await })
    }

    fn replicate<'a>(
        &'a self,
        changes: &'a [Change],
        last_version: u64,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move { self.open()?.replicate(changes, last_version).await })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        self.is_closed.store(true, Ordering::SeqCst);
        Box::pin(async { Ok(()) })
    }
}
