//! Everything in a database as it was at one moment, read in order on a connection of its own.

use std::future::ready;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use rusqlite::Connection;

use super::super::change::Change;
use super::super::check::MAX_PAGE_ENTRIES;
use super::super::record::PAGE_BYTES;
use super::super::{BoxFuture, StorageError};
use super::damage::Fault;
use super::header::Header;
use super::health::Health;
use super::readers::Seat;
use super::rows::Rows;

/// A read transaction; while it lasts, the log keeps what was written since.
pub(super) struct Snapshot {
    health: Arc<Health>,
    /// Held for one read; closed from outside with the storage.
    seat: Arc<Mutex<Seat>>,
    last_version: u64,
    records: u64,
    /// Where the next read goes on.
    namespace: Arc<str>,
    key: Arc<str>,
}

impl Snapshot {
    pub(super) fn begin(connection: Connection, health: Arc<Health>) -> Result<Self, Fault> {
        connection.execute_batch("BEGIN")?;
        // The transaction sees what there is at its first read.
        let last_version = Header::read(&connection)?.last_version;
        let usages = Rows(&connection).usages()?;
        Ok(Self {
            health,
            seat: Arc::new(Mutex::new(Seat::Open(connection))),
            last_version,
            records: usages.iter().map(|(_, usage)| usage.records).sum(),
            namespace: "".into(),
            key: "".into(),
        })
    }

    pub(super) fn seat(&self) -> Weak<Mutex<Seat>> {
        Arc::downgrade(&self.seat)
    }

    fn read(&mut self) -> Result<Vec<Change>, StorageError> {
        self.health.may_read()?;
        let seat = self.seat.lock();
        let Seat::Open(connection) = &*seat else {
            return Err(StorageError::Closed);
        };
        let mut page: Vec<Change> = Vec::new();
        let mut bytes = 0;
        let mut namespace = self.namespace.clone();
        let behind = (&*self.namespace, &*self.key);
        let walked = Rows(connection).walk(behind, |at, record| {
            if *namespace != *at.namespace() {
                namespace = at.namespace().into();
            }
            let value = Some(record.value);
            let change = Change::new(namespace.clone(), at.key(), record.version, value);
            bytes += change.bytes();
            let fits = page.is_empty() || bytes <= PAGE_BYTES;
            if fits {
                page.push(change);
            }
            fits && page.len() < MAX_PAGE_ENTRIES
        });
        walked.map_err(|e| self.health.error(e))?;
        drop(seat);
        if let Some(last) = page.last() {
            self.namespace = last.namespace.clone();
            self.key = last.key.clone();
        }
        Ok(page)
    }
}

impl super::super::Snapshot for Snapshot {
    fn last_version(&self) -> u64 {
        self.last_version
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Change>, StorageError>> {
        Box::pin(ready(self.read()))
    }
}
