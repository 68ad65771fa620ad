//! Who writes and reads: so many tasks that share the work, and one who reads inline.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use octa_kernel::{
    Payload,
    storage::{Batch, Expect, Query, Storage, StorageAdapter},
};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::measure::{ready, timed};

/// The namespace of everything.
pub(crate) const NAMESPACE: &str = "bench";
/// How many records are filled in at once.
const AT_ONCE: u64 = 1_000;

/// A storage with some records, and who uses it.
pub(crate) struct Load {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) storage: Storage,
    /// How many keys there are.
    keys: u64,
    bytes: usize,
    /// How many operations there were, which chooses the keys.
    done: u64,
}

/// The key with a number; those that follow each other do not lie side by side.
pub(crate) fn key(number: u64, keys: u64) -> String {
    // A prime beyond any count of keys: every key has its turn before one has it again.
    let number = number.wrapping_mul(982_451_653) % keys;
    format!("key-{number:08}")
}

/// A JSON text of so many bytes.
pub(crate) fn value(bytes: usize) -> Payload {
    format!("\"{}\"", "x".repeat(bytes.saturating_sub(2)))
        .into_bytes()
        .into()
}

impl Load {
    /// Fills it with so many records of so many bytes.
    pub(crate) fn new(
        runtime: &Arc<Runtime>,
        adapter: impl StorageAdapter,
        keys: u64,
        bytes: usize,
    ) -> Result<Self> {
        let mut load = Self {
            runtime: runtime.clone(),
            storage: Storage::new(adapter),
            keys: 0,
            bytes,
            done: 0,
        };
        load.fill(keys)?;
        Ok(load)
    }

    /// Adds records until there are so many.
    pub(crate) fn fill(&mut self, keys: u64) -> Result<()> {
        let value = value(self.bytes);
        for first in (self.keys..keys).step_by(AT_ONCE as usize) {
            let mut batch = Batch::new();
            for number in first..keys.min(first + AT_ONCE) {
                let key = format!("key-{number:08}");
                batch.put(NAMESPACE, &key, Expect::Any, value.clone())?;
            }
            self.runtime.block_on(self.storage.apply(batch))?;
        }
        self.keys = keys;
        Ok(())
    }

    /// So many writes, each durable before its writer goes on with the next.
    pub(crate) fn write(&mut self, writers: u64, count: u64) -> Duration {
        let (next, end) = (Arc::new(AtomicU64::new(self.done)), self.done + count);
        self.done = end;
        let value = value(self.bytes);
        let began = Instant::now();
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..writers.min(count) {
                let (storage, next) = (self.storage.clone(), next.clone());
                let (keys, value) = (self.keys, value.clone());
                tasks.spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= end {
                            return;
                        }
                        let key = key(number, keys);
                        let set = storage.set(NAMESPACE, &key, value.clone()).await;
                        set.expect("the database takes it");
                    }
                });
            }
            tasks.join_all().await;
        });
        began.elapsed()
    }

    /// So many reads one after another, inline.
    pub(crate) fn read(&mut self, count: u64) -> Duration {
        let (storage, keys) = (&self.storage, self.keys);
        let mut number = self.done;
        self.done += count;
        timed(count, || {
            let record = ready(storage.get(NAMESPACE, &key(number, keys)));
            let record = record.expect("the database answers");
            drop(black_box(record.expect("it was written")));
            number += 1;
        })
    }

    /// The same, where the answer has to be waited for.
    pub(crate) fn read_waiting(&mut self, count: u64) -> Duration {
        let (storage, keys) = (&self.storage, self.keys);
        let mut number = self.done;
        self.done += count;
        self.runtime.block_on(async {
            let began = Instant::now();
            for _ in 0..count {
                let record = storage.get(NAMESPACE, &key(number, keys)).await;
                let record = record.expect("the database answers");
                drop(black_box(record.expect("it was written")));
                number += 1;
            }
            began.elapsed()
        })
    }

    /// So many pages of 100 records, from anywhere.
    pub(crate) fn list(&mut self, count: u64) -> Duration {
        let (storage, keys) = (&self.storage, self.keys);
        let mut number = self.done;
        self.done += count;
        self.runtime.block_on(async {
            let began = Instant::now();
            for _ in 0..count {
                let after = key(number, keys);
                let query = Query::new(NAMESPACE, "").and_then(|query| query.after(Some(&after)));
                let page = storage.list(query.expect("it is a key")).await;
                drop(black_box(page.expect("the database answers")));
                number += 1;
            }
            began.elapsed()
        })
    }

    pub(crate) fn close(self) -> Result<()> {
        Ok(self.runtime.block_on(self.storage.close())?)
    }
}
