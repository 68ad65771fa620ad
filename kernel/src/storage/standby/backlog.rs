//! What was read from the primary and is not in the standby yet, in order: some in memory, more in files.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::{Change, Usage};
use super::spill::{Spill, size};
use super::trouble::Broken;

/// The bytes that are held in memory; what comes behind them goes into files.
const HELD_BYTES: usize = 16 << 20;
/// The bytes that may wait in files in any case.
const WAITING_BYTES: u64 = 1 << 30;
/// What a record takes beside its key and value, or a bit more.
const RECORD_BYTES: u64 = 64;
/// The most files at once: each is open.
const FILES: u64 = 64;

/// Changes that belong together: with them, the standby is as the primary was at one moment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit {
    pub(super) changes: Vec<Change>,
    /// The primary's last version at that moment.
    pub(super) last_version: u64,
    /// That moment, by the monotonic clock.
    pub(super) at: Duration,
}

impl Unit {
    fn and(mut self, next: Self) -> Self {
        self.changes.extend(next.changes);
        Self {
            changes: self.changes,
            ..next
        }
    }

    /// The bytes of what it says; each change also needs some for itself.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |change: &Change| change.namespace.len() + change.bytes() + 64;
        self.changes.iter().map(bytes).sum()
    }
}

/// The most bytes that wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// In memory.
    held: usize,
    /// And in files behind those.
    waiting: u64,
}

impl Most {
    /// What may wait beside a primary that holds so much.
    ///
    /// A standby is copied and then read back, or both are read and compared. If its disk is faster than the writes,
    /// less comes meanwhile than twice what there is; after that, it becomes less.
    pub(super) fn beside<'a>(usages: impl IntoIterator<Item = &'a Usage>) -> Self {
        let bytes = |usage: &Usage| usage.bytes + RECORD_BYTES * usage.records;
        let bytes = usages.into_iter().map(bytes).sum::<u64>();
        Self {
            held: HELD_BYTES,
            waiting: WAITING_BYTES.max(2 * bytes),
        }
    }

    fn file_length(self) -> u64 {
        (self.waiting / FILES).max(self.held as u64)
    }
}

/// A queue of one task, which reads the primary and writes the standby by turns: it needs no lock.
#[derive(Debug)]
pub(super) struct Backlog {
    queue: RefCell<Queue>,
    /// A place for one permit, since one side waits: for a unit.
    filled: Notify,
}

#[derive(Debug)]
struct Queue {
    held: VecDeque<Unit>,
    bytes: usize,
    most: Most,
    /// Units behind the held ones.
    spill: Spill,
    /// Why no more units come behind those.
    broken: Option<Broken>,
}

impl Backlog {
    pub(super) fn new(most: Most, directory: PathBuf) -> Self {
        let queue = Queue {
            held: VecDeque::new(),
            bytes: 0,
            most,
            spill: Spill::new(directory, most.file_length()),
            broken: None,
        };
        Self {
            queue: RefCell::new(queue),
            filled: Notify::new(),
        }
    }

    /// # Errors
    ///
    /// If too much waits, or the disk does not take it; nothing may follow then.
    pub(super) fn push(&self, unit: Unit) -> Result<(), Broken> {
        self.queue.borrow_mut().push(unit)?;
        self.filled.notify_one();
        Ok(())
    }

    /// No more units come.
    pub(super) fn end(&self, broken: Broken) {
        self.queue.borrow_mut().broken = Some(broken);
        self.filled.notify_one();
    }

    /// Waits for the next units; those that are held become one, to be written at once.
    ///
    /// # Errors
    ///
    /// Why no more come, or if a file cannot be read.
    pub(super) async fn pop(&self) -> Result<Unit, Broken> {
        loop {
            if let Some(unit) = self.take()? {
                return Ok(unit);
            }
            self.filled.notified().await;
        }
    }

    fn take(&self) -> Result<Option<Unit>, Broken> {
        let mut queue = self.queue.borrow_mut();
        let unit = queue.pop();
        let directory = queue.spill.directory();
        let unit = unit.map_err(Broken::file("read what waits in", directory))?;
        match (unit, queue.broken.take()) {
            (None, Some(broken)) => Err(broken),
            (unit, broken) => {
                queue.broken = broken;
                Ok(unit)
            }
        }
    }
}

impl Queue {
    fn push(&mut self, unit: Unit) -> Result<(), Broken> {
        let waiting = self.spill.waiting();
        if self.bytes < self.most.held && waiting == 0 {
            self.hold(unit);
            return Ok(());
        }
        let most = self.most.waiting;
        if waiting + size(&unit) > most {
            return Err(Broken::Behind { waiting, most });
        }
        let pushed = self.spill.push(&unit);
        pushed.map_err(Broken::file("write what waits to", self.spill.directory()))
    }

    fn hold(&mut self, unit: Unit) {
        self.bytes += unit.bytes();
        self.held.push_back(unit);
    }

    fn pop(&mut self) -> io::Result<Option<Unit>> {
        while self.held.is_empty() || self.bytes < self.most.held {
            match self.spill.pop()? {
                Some(unit) => self.hold(unit),
                None => break,
            }
        }
        self.bytes = 0;
        Ok(self.held.drain(..).reduce(Unit::and))
    }
}

#[cfg(test)]
mod tests;
