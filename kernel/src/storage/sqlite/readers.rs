//! Read-only connections, opened when needed; which of them a thread uses is decided here.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use octa_plugin_api::Payload;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};

use super::super::StorageError;
use super::super::record::{Address, Entry, Page, Query, Record};
use super::unavailable;

const GET: &str = "SELECT version, value FROM records WHERE namespace = ?1 AND key = ?2";
/// The end of a prefix is found while reading: rows come one by one, in the order of the keys' bytes.
const LIST: &str = "SELECT version, value, key FROM records
    WHERE namespace = ?1 AND key >= ?2 ORDER BY key";

/// More connections than threads that can read at once would only cost memory.
const MOST: usize = 8;

/// A pool of read-only connections; reads of different threads run beside each other.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    name: Arc<str>,
    /// A lock each, held for one read; a thread waits only when all others are reading too.
    seats: Box<[Mutex<Seat>]>,
}

#[derive(Debug)]
enum Seat {
    Unopened,
    Open(Connection),
    Closed,
}

impl Readers {
    pub(super) fn new(path: PathBuf, name: Arc<str>) -> Self {
        let seats = thread::available_parallelism().map_or(2, |n| n.get().clamp(2, MOST));
        let seats = (0..seats).map(|_| Mutex::new(Seat::Unopened)).collect();
        Self { path, name, seats }
    }

    pub(super) fn get(&self, at: Address<'_>) -> Result<Option<Record>, StorageError> {
        self.read(|connection| {
            connection
                .prepare_cached(GET)?
                .query_row((at.namespace(), at.key()), record)
                .optional()
        })
    }

    pub(super) fn list(&self, query: Query<'_>) -> Result<Page, StorageError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(LIST)?;
            let rows = statement.query_map((query.namespace(), query.start()), entry)?;
            query.page(rows)
        })
    }

    /// Waits for reads under way.
    pub(super) fn close(&self) {
        for seat in &self.seats {
            *seat.lock() = Seat::Closed;
        }
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StorageError> {
        let mut seat = self.seat();
        if let Seat::Unopened = *seat {
            *seat = Seat::Open(self.connect().map_err(|e| unavailable(&self.name, e))?);
        }
        match &*seat {
            Seat::Open(connection) => read(connection).map_err(|e| unavailable(&self.name, e)),
            _ => Err(StorageError::Closed),
        }
    }

    /// A thread comes back to the connection it used before, whose cache is warm, unless that is busy.
    fn seat(&self) -> MutexGuard<'_, Seat> {
        let own = thread_number() % self.seats.len();
        let (before, from_own) = self.seats.split_at(own);
        let free = from_own.iter().chain(before).find_map(Mutex::try_lock);
        free.unwrap_or_else(|| self.seats[own].lock())
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        // In KiB: small, for the operating system has the file in its own cache.
        connection.pragma_update(None, "cache_size", -512)?;
        Ok(connection)
    }
}

fn record(row: &Row<'_>) -> rusqlite::Result<Record> {
    let version: i64 = row.get(0)?;
    let value = Payload::from(row.get_ref(1)?.as_blob()?);
    Ok(Record::new(value, version.cast_unsigned()))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let key = row.get_ref(2)?.as_str()?;
    Ok(Entry::new(key, record(row)?))
}

/// Numbers threads as they come; a plain number needs no destructor when its thread ends.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}
