//! The store of a subscription that keeps the latest event of each topic; locking and counting
//! are left to `queue`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Event;

/// Events in order, which give way to the newest of their own topic first.
///
/// As long as there are no more topics than places, the last event of each topic survives.
#[derive(Debug, Default)]
pub(super) struct LatestStore {
    /// By place in the order of arrival.
    events: BTreeMap<u64, Arc<Event>>,
    /// The place of each topic's newest event.
    newest: HashMap<Arc<str>, u64>,
    /// The places of all that are not the newest of their topic.
    superseded: BTreeSet<u64>,
    next: u64,
}

impl LatestStore {
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        let place = self.next;
        self.next += 1;
        if let Some(older) = self.newest.insert(Arc::clone(&event.topic), place) {
            self.superseded.insert(older);
        }
        self.events.insert(place, event);
    }

    pub(super) fn pop(&mut self) -> Option<Arc<Event>> {
        let (place, event) = self.events.pop_first()?;
        if !self.superseded.remove(&place) {
            self.newest.remove(&event.topic);
        }
        Some(event)
    }

    /// Takes out the oldest event that a newer one of its topic supersedes; if there is none,
    /// the oldest.
    pub(super) fn evict(&mut self) -> Option<Arc<Event>> {
        match self.superseded.pop_first() {
            Some(place) => self.events.remove(&place),
            None => self.pop(),
        }
    }
}
