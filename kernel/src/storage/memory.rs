//! The storage adapter that keeps everything in memory and forgets it with the process, for tests and trials.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::vec;

use parking_lot::RwLock;

use super::batch::{Batch, Outcome};
use super::change::{Change, Changes, Since, Usage};
use super::check::MAX_PAGE_ENTRIES;
use super::plan::{Found, Plan, Present};
use super::record::{Address, PAGE_BYTES, Page, Query, Record};
use super::table::Table;
use super::tail::Tail;
use super::{BoxFuture, Snapshot, StorageAdapter, StorageError};

/// Storage in memory: nothing in it outlives the process.
#[derive(Debug)]
pub struct Memory {
    /// One lock makes batches atomic and pages one moment; it is held for microseconds. `None`: closed.
    table: RwLock<Option<Table>>,
    tail: Tail,
}

impl Memory {
    /// Makes an empty storage.
    pub fn new() -> Self {
        Self {
            table: RwLock::new(Some(Table::default())),
            tail: Tail::new(0),
        }
    }

    fn read<T>(&self, read: impl FnOnce(&Table) -> T) -> Result<T, StorageError> {
        let table = self.table.read();
        table.as_ref().map(read).ok_or(StorageError::Closed)
    }

    /// Changes the table and tells who watches; waking them is left until the lock is gone.
    fn write<T>(
        &self,
        write: impl FnOnce(&mut Table) -> Result<(T, Vec<Change>), StorageError>,
    ) -> Result<T, StorageError> {
        let mut table = self.table.write();
        let open = table.as_mut().ok_or(StorageError::Closed)?;
        let (answer, changes) = write(open)?;
        let wakers = self.tail.push(open.last_version(), || changes);
        drop(table);
        wakers.wake();
        Ok(answer)
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl StorageAdapter for Memory {
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>> {
        Box::pin(ready(self.read(|table| table.get(at).cloned())))
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        Box::pin(async move {
            self.write(|table| {
                let mut plan = Plan::new(table.last_version());
                let outcomes = match plan.add(&batch, &mut Known(table)) {
                    Ok(answer) => answer?,
                    Err(never) => match never {},
                };
                plan.records().for_each(|change| put(table, change));
                table.raise_version(plan.last_version());
                Ok((outcomes, plan.into_changes()))
            })
        })
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        Box::pin(ready(self.read(|table| table.page(query))))
    }

    fn changes<'a>(&'a self, since: Since<'a>) -> BoxFuture<'a, Result<Changes, StorageError>> {
        Box::pin(self.tail.since(since))
    }

    fn usage(&self) -> BoxFuture<'_, Result<Vec<(Arc<str>, Usage)>, StorageError>> {
        Box::pin(ready(self.read(Table::usages)))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StorageError>> {
        let taken = self.read(|table| {
            let records = table.all();
            let taken = Taken {
                last_version: table.last_version(),
                count: records.len() as u64,
                records: records.into_iter(),
            };
            Box::new(taken) as Box<dyn Snapshot>
        });
        Box::pin(ready(taken))
    }

    fn replicate<'a>(
        &'a self,
        changes: &'a [Change],
        last_version: u64,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            self.write(|table| {
                changes.iter().for_each(|change| put(table, change));
                table.raise_version(last_version);
                Ok(((), changes.to_vec()))
            })
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async {
            self.table.write().take();
            self.tail.close().wake();
            Ok(())
        })
    }
}

fn put(table: &mut Table, change: &Change) {
    let record = change.value.clone();
    let record = record.map(|value| Record::new(value.fitted(), change.version));
    table.replace(Address::checked(&change.namespace, &change.key), record);
}

/// What a table has, for a plan.
struct Known<'a>(&'a Table);

impl Present for Known<'_> {
    type Error = Infallible;

    fn found(&mut self, at: Address<'_>) -> Result<Option<Found>, Infallible> {
        let record = self.0.get(at);
        Ok(record.map(|record| Found {
            version: record.version,
            bytes: (at.key().len() + record.value.len()) as u64,
        }))
    }

    fn usage(&mut self, namespace: &str) -> Result<Usage, Infallible> {
        Ok(self.0.usage(namespace))
    }
}

/// The records as they were; their values are shared, not copied.
struct Taken {
    last_version: u64,
    count: u64,
    records: vec::IntoIter<Change>,
}

impl Snapshot for Taken {
    fn last_version(&self) -> u64 {
        self.last_version
    }

    fn records(&self) -> u64 {
        self.count
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Change>, StorageError>> {
        let mut page = Vec::new();
        let mut bytes = 0;
        while page.len() < MAX_PAGE_ENTRIES
            && let Some(change) = self.records.as_slice().first()
            && (page.is_empty() || bytes + change.bytes() <= PAGE_BYTES)
        {
            bytes += change.bytes();
            page.extend(self.records.next());
        }
        Box::pin(ready(Ok(page)))
    }
}

#[cfg(test)]
mod tests {
    use octa_plugin_api::Payload;

    use super::super::{Storage, conformance};
    use super::*;

    #[tokio::test]
    async fn a_value_is_kept_without_the_room_it_was_written_in() {
        let storage = Storage::new(Memory::new());
        let value = Payload::json(&true).expect("JSON");
        let written = storage.set("a", "k", value.clone()).await;
        written.expect("it is written");
        let record = storage.get("a", "k").await.expect("it is read");
        let kept = record.expect("it is there").value;
        assert_eq!(kept, value);
        assert_ne!(kept.as_ptr(), value.as_ptr(), "it is copied");
    }

    #[test]
    fn conforms() {
        conformance::run(Memory::new);
    }
}
