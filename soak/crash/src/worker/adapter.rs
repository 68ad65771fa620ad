//! Stands between the kernel and its adapter: for who witnesses events, and for a bug of batches.

use std::sync::Arc;

use octa_kernel::storage::{Batch, BoxFuture, Outcome, StorageAdapter, StorageError};

use super::witness::Hearing;
use crate::layout;

const OUTBOX: &str = "kernel.outbox.crash";

/// The adapter, and what is done before it.
#[derive(Debug)]
pub(super) struct Between {
    pub(super) adapter: Arc<dyn StorageAdapter>,
    pub(super) hearing: Arc<Hearing>,
    /// Whether batches are written in two parts.
    pub(super) splits: bool,
}

impl Between {
    async fn apply_witnessed(&self, batch: Batch) -> Result<Vec<Outcome>, StorageError> {
        self.hearing.all_told().await;
        self.adapter.apply(batch).await
    }

    async fn apply_split(&self, batch: Batch) -> Result<Vec<Outcome>, StorageError> {
        let mut outcomes = Vec::new();
        let (first, second) = batch.writes().split_at(batch.writes().len() / 2);
        for writes in [first, second] {
            let mut part = Batch::new();
            for write in writes {
                let (namespace, key) = (write.namespace(), write.key(0));
                match write.value() {
                    Some(value) => part.put(namespace, &key, write.expect(), value.clone())?,
                    None => part.delete(namespace, &key, write.expect())?,
                };
            }
            outcomes.extend(self.adapter.apply(part).await?);
        }
        Ok(outcomes)
    }
}

/// Whether events are deleted that were published.
fn forgets_events(batch: &Batch) -> bool {
    let mut writes = batch.writes().iter();
    writes.any(|write| **write.namespace() == *OUTBOX && write.value().is_none())
}

/// Whether it can be written in parts: other keys depend on the versions that they get.
fn can_be_split(batch: &Batch) -> bool {
    let ours = [layout::NAMESPACE, layout::BESIDE];
    let mut writes = batch.writes().iter();
    batch.writes().len() > 1 && writes.all(|write| ours.contains(&&**write.namespace()))
}

impl StorageAdapter for Between {
    octa_kernel::delegate_storage!(adapter: get, list, changes, usage, snapshot, replicate, close);

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        if self.splits && can_be_split(&batch) {
            Box::pin(self.apply_split(batch))
        } else if forgets_events(&batch) {
            Box::pin(self.apply_witnessed(batch))
        } else {
            self.adapter.apply(batch)
        }
    }
}
