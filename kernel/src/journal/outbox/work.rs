//! Which lines there is something to tell in, and who is at it. What it is lies in the storage.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::namespace_of;
use crate::bus::Delivery;

/// What is to be done by one kernel.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Locked for some instructions.
    state: Mutex<State>,
    /// Tells the one task that there is a line to be told.
    is_to_do: Notify,
    /// Tells the one who gives signs of life that there is something to tell, or will be.
    has_begun: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// How much is being written.
    under_way: usize,
    /// Where something may have been written since it was begun to be told.
    written: BTreeSet<Arc<str>>,
    /// Where it is being told.
    told: BTreeSet<Arc<str>>,
    /// Behind which key a line goes on, where something lies before it that cannot be told.
    stays: BTreeMap<Arc<str>, Arc<str>>,
    /// Where something may come without being written by us now.
    late: BTreeSet<Arc<str>>,
    /// Whom a line was given up on for, also while there is nothing in it.
    stuck: BTreeMap<Arc<str>, Delivery>,
    /// Where nothing is told: something lies there first that cannot be read.
    damaged: BTreeSet<Arc<str>>,
    has_ended: bool,
}

/// A line that is to be told.
#[derive(Debug)]
pub(super) struct ToTell {
    pub(super) line: Arc<str>,
    /// The key behind which it goes on.
    pub(super) after: Option<Arc<str>>,
    /// Whom it does not wait for.
    pub(super) stuck: Option<Delivery>,
}

impl Work {
    /// Something is begun to be written; each is [ended](Self::written) once.
    pub(super) fn begin(&self) {
        self.state.lock().under_way += 1;
        self.has_begun.notify_one();
    }

    /// What was begun has ended; it may have been written there, or is known not to be.
    pub(super) fn written(&self, line: &Arc<str>, is_perhaps: bool) {
        let mut state = self.state.lock();
        state.under_way -= 1;
        if is_perhaps && !state.has_ended {
            state.written.insert(line.clone());
        }
        drop(state);
        self.is_to_do.notify_one();
    }

    /// Something is there that others wrote.
    pub(super) fn found(&self, line: &Arc<str>) {
        self.state.lock().written.insert(line.clone());
        self.is_to_do.notify_one();
        self.has_begun.notify_one();
    }

    /// Whether something may come late into a line from now on, and could not before.
    pub(super) fn is_first_late(&self, line: &Arc<str>) -> bool {
        self.state.lock().late.insert(line.clone())
    }

    /// Takes the lines that are to be told, and are not being told.
    pub(super) fn take(&self) -> Vec<ToTell> {
        let mut state = self.state.lock();
        let State {
            written,
            told,
            stays,
            stuck,
            damaged,
            ..
        } = &mut *state;
        let is_to_tell = |line: &Arc<str>| !told.contains(line) && !damaged.contains(line);
        let taken: Vec<_> = written.extract_if(.., |line| is_to_tell(line)).collect();
        told.extend(taken.iter().cloned());
        let to_tell = |line| ToTell {
            after: stays.get(&line).cloned(),
            stuck: stuck.remove(&line),
            line,
        };
        taken.into_iter().map(to_tell).collect()
    }

    /// Nothing is told in a line any more; whether it was until now.
    pub(super) fn damaged(&self, line: &Arc<str>) -> bool {
        self.state.lock().damaged.insert(line.clone())
    }

    /// There is something up to a key of a line that cannot be told, and stays.
    pub(super) fn stays(&self, line: &Arc<str>, last: Arc<str>) {
        self.state.lock().stays.insert(line.clone(), last);
    }

    /// A line that was taken is not told any more. Whoever made no room in it is remembered.
    pub(super) fn done(&self, line: &Arc<str>, stuck: Option<Delivery>) {
        let mut state = self.state.lock();
        state.told.remove(line);
        // There is none yet: it was taken with the line.
        state.stuck.extend(stuck.map(|stuck| (line.clone(), stuck)));
    }

    /// What is in a line is left: told again by this kernel, some of it would come twice.
    pub(super) fn leave(&self, line: &str) {
        self.state.lock().written.remove(line);
    }

    /// What is written from now on is left.
    pub(super) fn end(&self) {
        self.state.lock().has_ended = true;
    }

    /// Whether something of this kernel's may be there that is not told.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.state.lock();
        state.under_way > 0 || !state.written.is_empty() || !state.told.is_empty()
    }

    /// The namespaces that have something to be told.
    pub(super) fn left(&self) -> Vec<String> {
        let state = self.state.lock();
        let lines = state.written.union(&state.told);
        lines
            .filter_map(|line| namespace_of(line).map(str::to_owned))
            .collect()
    }

    pub(super) async fn is_to_do(&self) {
        self.is_to_do.notified().await;
    }

    pub(super) async fn has_begun(&self) {
        self.has_begun.notified().await;
    }
}
