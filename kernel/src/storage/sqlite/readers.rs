//! Read-only connections, opened when needed; which of them a thread uses is decided here.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags};

use super::super::StorageError;
use super::damage::Fault;
use super::health::Health;
use super::rows::Rows;
use super::snapshot::Snapshot;

/// More connections than threads that can read at once would only cost memory.
const MOST: usize = 8;

/// A pool of read-only connections; reads of different threads run beside each other.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    health: Arc<Health>,
    /// A lock each, held for one read; a thread waits only when all others are reading too.
    seats: Box<[Mutex<Seat>]>,
    /// Those that may still be read, to end with the storage; held while one begins. `None`: closed.
    snapshots: Mutex<Option<Vec<Weak<Mutex<Seat>>>>>,
}

/// A connection that is opened when it is first needed.
#[derive(Debug)]
pub(super) enum Seat {
    Unopened,
    Open(Connection),
    Closed,
}

impl Readers {
    pub(super) fn new(path: PathBuf, health: Arc<Health>) -> Self {
        let seats = thread::available_parallelism().map_or(2, |n| n.get().clamp(2, MOST));
        let seats = (0..seats).map(|_| Mutex::new(Seat::Unopened)).collect();
        Self {
            path,
            health,
            seats,
            snapshots: Mutex::new(Some(Vec::new())),
        }
    }

    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(Rows<'_>) -> Result<T, Fault>,
    ) -> Result<T, StorageError> {
        self.health.may_read()?;
        let mut seat = self.seat();
        if let Seat::Unopened = *seat {
            *seat = Seat::Open(self.connect()?);
        }
        let Seat::Open(connection) = &*seat else {
            return Err(StorageError::Closed);
        };
        read(Rows(connection)).map_err(|e| self.health.error(e))
    }

    /// Begins to read everything as it is now, on a connection of its own.
    pub(super) fn snapshot(&self) -> Result<Snapshot, StorageError> {
        self.health.may_read()?;
        let mut snapshots = self.snapshots.lock();
        // Asked first: behind the end of the storage, a connection would leave files behind.
        let all = snapshots.as_mut().ok_or(StorageError::Closed)?;
        let begun = Snapshot::begin(self.connect()?, self.health.clone());
        let snapshot = begun.map_err(|e| self.health.error(e))?;
        all.retain(|other| other.strong_count() > 0);
        all.push(snapshot.seat());
        Ok(snapshot)
    }

    /// Waits for reads under way.
    pub(super) fn close(&self) {
        let snapshots = self.snapshots.lock().take().unwrap_or_default();
        for seat in snapshots.iter().filter_map(Weak::upgrade) {
            *seat.lock() = Seat::Closed;
        }
        for seat in &self.seats {
            *seat.lock() = Seat::Closed;
        }
    }

    /// A thread comes back to the connection it used before, whose cache is warm, unless that is busy.
    fn seat(&self) -> MutexGuard<'_, Seat> {
        let own = thread_number() % self.seats.len();
        let (before, from_own) = self.seats.split_at(own);
        let free = from_own.iter().chain(before).find_map(Mutex::try_lock);
        free.unwrap_or_else(|| self.seats[own].lock())
    }

    fn connect(&self) -> Result<Connection, StorageError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags);
        connection.map_err(|e| self.health.error(e.into()))
    }
}

/// Numbers threads as they come; a plain number needs no destructor when its thread ends.
fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}
