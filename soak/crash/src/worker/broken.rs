//! Bugs that a database or a kernel could have, each to be asked for by name, to see that they are seen.

use std::sync::Arc;

use anyhow::Result;
use clap::ValueEnum;
use octa_kernel::storage::{self, Batch, Expect, Memory, Query, Since, StorageAdapter};

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bug {
    /// Writes are acknowledged when they are in memory; the database gets them a little later.
    AckEarly,
    /// Batches are written in two parts.
    Split,
    /// Events are published before their facts are written.
    PublishEarly,
    /// Events that were not published before a crash are forgotten.
    ForgetOutbox,
    /// What is recorded again is recorded under another key.
    Double,
    /// A consumer keeps its cursor before it takes what it read.
    SkipAhead,
}

impl Bug {
    /// What it is asked for by.
    pub(crate) fn name(self) -> String {
        let value = self.to_possible_value();
        value
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// Deletes the events that were left to be published.
pub(super) async fn forget_outbox(adapter: &dyn StorageAdapter) -> Result<()> {
    let page = adapter
        .list(Query::new("kernel.outbox.crash", "")?.limit(1_000)?)
        .await?;
    let mut batch = Batch::new();
    for entry in &page.entries {
        batch.delete("kernel.outbox.crash", &entry.key, Expect::Any)?;
    }
    adapter.apply(batch).await?;
    adapter.close().await?;
    Ok(())
}

/// An adapter that keeps everything in memory; the database gets it a little later.
pub(super) async fn write_behind(
    database: Arc<dyn StorageAdapter>,
) -> Result<Arc<dyn StorageAdapter>> {
    let memory = Arc::new(Memory::new());
    storage::copy(&*database, &*memory, |_| ()).await?;
    tokio::spawn(write_later(memory.clone(), database));
    Ok(memory)
}

async fn write_later(memory: Arc<Memory>, database: Arc<dyn StorageAdapter>) -> Result<()> {
    let mut after = None;
    loop {
        let changes = memory.changes(Since::all(after)).await?;
        database.replicate(&changes.changes, changes.next).await?;
        after = Some(changes.next);
    }
}
