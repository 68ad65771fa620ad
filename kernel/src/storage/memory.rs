//! The storage adapter that keeps everything in memory and forgets it with the process, for tests and trials.

use std::future::ready;

use parking_lot::RwLock;

use super::batch::{Batch, Outcome, Write};
use super::record::{Address, Conflict, Page, Query, Record};
use super::table::Table;
use super::{BoxFuture, StorageAdapter, StorageError};

/// Storage in memory: nothing in it outlives the process.
#[derive(Debug)]
pub struct Memory {
    /// One lock makes batches atomic and pages one moment; it is held for microseconds. `None`: closed.
    table: RwLock<Option<Table>>,
}

impl Memory {
    /// Makes an empty storage.
    pub fn new() -> Self {
        Self {
            table: RwLock::new(Some(Table::default())),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl StorageAdapter for Memory {
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>> {
        let table = self.table.read();
        let found = table
            .as_ref()
            .ok_or(StorageError::Closed)
            .map(|table| table.get(at).cloned());
        Box::pin(ready(found))
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        Box::pin(async move {
            let mut table = self.table.write();
            let table = table.as_mut().ok_or(StorageError::Closed)?;
            Ok(apply(table, batch.writes())?)
        })
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        let table = self.table.read();
        let page = table
            .as_ref()
            .ok_or(StorageError::Closed)
            .map(|table| table.page(query));
        Box::pin(ready(page))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async {
            self.table.write().take();
            Ok(())
        })
    }
}

fn apply(table: &mut Table, writes: &[Write]) -> Result<Vec<Outcome>, Conflict> {
    let mut before = Vec::with_capacity(writes.len());
    let mut outcomes = Vec::with_capacity(writes.len());
    for write in writes {
        let at = write.address();
        let found = table.get(at).cloned();
        match apply_one(table, write) {
            Ok(outcome) => outcomes.push(outcome),
            Err(conflict) => {
                before
                    .into_iter()
                    .rev()
                    .for_each(|(at, record)| table.replace(at, record));
                return Err(conflict);
            }
        }
        before.push((at, found));
    }
    Ok(outcomes)
}

fn apply_one(table: &mut Table, write: &Write) -> Result<Outcome, Conflict> {
    let (at, expect) = (write.address(), write.expect());
    match write.value() {
        Some(value) => table
            .put(at, expect, value.clone())
            .map(|version| Outcome::Put { version }),
        None => {
            let version = table.delete(at, expect)?;
            Ok(version.map_or(Outcome::Absent, |version| Outcome::Deleted { version }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::conformance;
    use super::*;

    #[test]
    fn conforms() {
        conformance::run(Memory::new);
    }
}
