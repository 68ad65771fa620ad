//! Everything as it was at one moment, read in pieces while writes go on.

use std::iter::Peekable;
use std::sync::Arc;

use octa_kernel::Payload;
use octa_kernel::storage::{
    BoxFuture, Change, MAX_PAGE_ENTRIES, PAGE_BYTES, Snapshot, StorageError,
};
use redb::{Range, ReadTransaction, ReadableTableMetadata};

use crate::tables::{LAST_VERSION, NUMBERS, RECORDS};
use crate::unavailable;

type Rows = Range<'static, (&'static str, &'static str), (u64, &'static [u8])>;

/// A snapshot: redb keeps the pages of its moment until it is dropped.
pub(crate) struct Taken {
    rows: Peekable<Rows>,
    records: u64,
    last_version: u64,
    name: Arc<str>,
}

impl Taken {
    pub(crate) fn new(transaction: &ReadTransaction, name: Arc<str>) -> Result<Self, redb::Error> {
        let records = transaction.open_table(RECORDS)?;
        let last_version = transaction.open_table(NUMBERS)?.get(LAST_VERSION)?;
        Ok(Self {
            rows: records.range::<(&str, &str)>(..)?.peekable(),
            records: records.len()?,
            last_version: last_version.map_or(0, |version| version.value()),
            name,
        })
    }

    /// Reads on until there is enough.
    fn read(&mut self) -> Result<Vec<Change>, redb::Error> {
        let mut some = Vec::new();
        let mut bytes = 0;
        while some.len() < MAX_PAGE_ENTRIES {
            let size = match self.rows.peek() {
                Some(Ok((at, found))) => at.value().1.len() + found.value().1.len(),
                // Taken below, and told.
                Some(Err(_)) => 0,
                None => break,
            };
            if !some.is_empty() && bytes + size > PAGE_BYTES {
                break;
            }
            bytes += size;
            if let Some(row) = self.rows.next() {
                let (at, found) = row?;
                let ((namespace, key), (version, value)) = (at.value(), found.value());
                some.push(Change::new(
                    namespace,
                    key,
                    version,
                    Some(Payload::from(value)),
                ));
            }
        }
        Ok(some)
    }
}

impl Snapshot for Taken {
    fn last_version(&self) -> u64 {
        self.last_version
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Change>, StorageError>> {
        Box::pin(async {
            let name = self.name.clone();
            self.read().map_err(|error| unavailable(&name, error))
        })
    }
}
