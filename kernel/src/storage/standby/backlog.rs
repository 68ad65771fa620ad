//! What was read from the primary and is not in the standby yet, in order: some in memory, more in a file.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::Change;
use super::spill::Spill;
use super::trouble::Broken;

/// The bytes that are held in memory; what comes behind them goes into the file.
pub(super) const HELD_BYTES: usize = 16 << 20;

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
    most: usize,
    /// Units behind the held ones.
    spill: Spill,
    /// Why no more units come behind those.
    broken: Option<Broken>,
}

impl Backlog {
    pub(super) fn new(most: usize, file: PathBuf) -> Self {
        let queue = Queue {
            held: VecDeque::new(),
            bytes: 0,
            most,
            spill: Spill::new(file),
            broken: None,
        };
        Self {
            queue: RefCell::new(queue),
            filled: Notify::new(),
        }
    }

    /// # Errors
    ///
    /// If the file does not take it.
    pub(super) fn push(&self, unit: Unit) -> Result<(), Broken> {
        let mut queue = self.queue.borrow_mut();
        let pushed = queue.push(unit);
        pushed.map_err(Broken::file("write", queue.spill.path()))?;
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
    /// Why no more come, or if the file cannot be read.
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
        let unit = unit.map_err(Broken::file("read", queue.spill.path()))?;
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
    fn push(&mut self, unit: Unit) -> io::Result<()> {
        if self.bytes >= self.most || !self.spill.is_empty() {
            return self.spill.push(&unit);
        }
        self.hold(unit);
        Ok(())
    }

    fn hold(&mut self, unit: Unit) {
        self.bytes += unit.bytes();
        self.held.push_back(unit);
    }

    fn pop(&mut self) -> io::Result<Option<Unit>> {
        while self.held.is_empty() || self.bytes < self.most {
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
mod tests {
    use octa_plugin_api::Payload;
    use proptest::prelude::*;

    use super::*;

    fn unit(version: u64, bytes: usize) -> Unit {
        let value = (bytes > 0).then(|| Payload::from(vec![b'1'; bytes]));
        Unit {
            changes: vec![Change::new("a", format!("k{version}"), version, value)],
            last_version: version,
            at: Duration::from_nanos(version * 7),
        }
    }

    proptest! {
        #[test]
        fn everything_comes_out_in_order_with_little_in_memory(
            steps in prop::collection::vec((prop::bool::weighted(0.6), 0_usize..200), 0..200),
            most in 0_usize..2_000,
        ) {
            let directory = tempfile::tempdir().expect("a directory");
            let file = directory.path().join("spill");
            let backlog = Backlog::new(most, file.clone());
            let [mut pushed, mut popped] = [0, 0];
            let mut waiting = VecDeque::new();
            for (is_push, bytes) in steps {
                if is_push {
                    pushed += 1;
                    waiting.push_back(unit(pushed, bytes));
                    backlog.push(unit(pushed, bytes)).expect("there is room");
                } else {
                    let found = backlog.queue.borrow_mut().pop().expect("the file is good");
                    prop_assert_eq!(found.is_some(), !waiting.is_empty());
                    let Some(found) = found else { continue };
                    let expect = waiting.drain(..found.changes.len()).reduce(Unit::and);
                    popped = found.last_version;
                    prop_assert_eq!(Some(found), expect);
                }
                let queue = backlog.queue.borrow();
                let largest = unit(999_999, 200).bytes();
                prop_assert!(queue.bytes <= most + largest, "{} bytes are held", queue.bytes);
            }
            prop_assert_eq!(popped + waiting.len() as u64, pushed);
            drop(backlog);
            prop_assert!(!file.exists(), "the file outlives its backlog");
        }
    }

    #[test]
    fn a_file_that_takes_no_more_is_told() {
        let backlog = Backlog::new(0, PathBuf::from("/nowhere/spill"));
        let error = backlog.push(unit(1, 1)).expect_err("no such directory");
        let expect = "cannot write `/nowhere/spill` for the standby";
        assert_eq!(error.to_string(), expect);
    }

    #[tokio::test]
    async fn an_end_comes_behind_what_is_there() {
        let backlog = Backlog::new(1_000, "nowhere".into());
        backlog.push(unit(1, 1)).expect("it is held");
        backlog.end(Broken::Missed);
        assert_eq!(backlog.pop().await.expect("it is held"), unit(1, 1));
        assert!(matches!(backlog.pop().await, Err(Broken::Missed)));
    }
}
