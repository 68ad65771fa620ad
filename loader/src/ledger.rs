//! What an instance has running: entered when it first waits, gone before the instance is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use slab::Slab;

use crate::work::Cell;

/// How many locks the ledger has, so that threads rarely meet; a power of two.
const SHARDS: usize = 16;

/// The unfinished work of an instance.
#[derive(Default)]
pub(crate) struct Ledger {
    shards: [Mutex<Slab<Arc<Cell>>>; SHARDS],
    next: AtomicUsize,
}

impl Ledger {
    /// The number of the next work; no other work of this instance ever has it.
    pub(crate) fn next_serial(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn enter(&self, cell: Arc<Cell>) -> usize {
        let shard = cell.serial() % SHARDS;
        self.shards[shard].lock().insert(cell) * SHARDS + shard
    }

    pub(crate) fn leave(&self, key: usize) {
        self.shards[key % SHARDS].lock().try_remove(key / SHARDS);
    }

    /// The work of this number, if it is unfinished.
    pub(crate) fn get(&self, serial: usize) -> Option<Arc<Cell>> {
        let shard = self.shards[serial % SHARDS].lock();
        let mut cells = shard.iter().map(|(_, cell)| cell);
        cells.find(|cell| cell.serial() == serial).cloned()
    }

    /// How much is unfinished. What was interrupted stays entered until its owner looks again,
    /// and does not count.
    pub(crate) fn unfinished(&self) -> usize {
        let unfinished = |(_, cell): &(usize, &Arc<Cell>)| cell.is_unfinished();
        let count = |shard: &Mutex<Slab<Arc<Cell>>>| shard.lock().iter().filter(unfinished).count();
        self.shards.iter().map(count).sum()
    }

    /// Ends everything; answers how much could not be ended, because its code blocks.
    pub(crate) fn interrupt_all(&self, patience: Duration) -> usize {
        let mut stuck = 0;
        for shard in &self.shards {
            let cells: Vec<_> = shard.lock().iter().map(|(_, cell)| cell.clone()).collect();
            stuck += cells
                .iter()
                .filter(|cell| !cell.interrupt(patience))
                .count();
        }
        stuck
    }
}
