//! What lies in a queue, and what gives way in it; locking and counting are left to `queue`.

use std::collections::VecDeque;
use std::sync::Arc;

use octa_loader::Overflow;

use super::Event;
use super::latest::LatestStore;

/// The events of a queue, in order.
#[derive(Debug)]
pub(super) enum Store {
    Fifo(VecDeque<Arc<Event>>),
    Latest(LatestStore),
}

impl Store {
    /// An empty store that can give way by this policy.
    pub(super) fn new(overflow: Overflow) -> Self {
        match overflow {
            Overflow::KeepLatest => Self::Latest(LatestStore::default()),
            _ => Self::Fifo(VecDeque::new()),
        }
    }

    /// The same events for another policy.
    pub(super) fn reshape(&mut self, overflow: Overflow) {
        let mut before = std::mem::replace(self, Self::new(overflow));
        while let Some(event) = before.pop() {
            self.push(event);
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Fifo(events) => events.len(),
            Self::Latest(events) => events.len(),
        }
    }

    pub(super) fn push(&mut self, event: Arc<Event>) {
        match self {
            Self::Fifo(events) => events.push_back(event),
            Self::Latest(events) => events.push(event),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Arc<Event>> {
        match self {
            Self::Fifo(events) => events.pop_front(),
            Self::Latest(events) => events.pop(),
        }
    }

    /// Takes an event into the full store and gives back the one that makes room for it.
    pub(super) fn displace(&mut self, event: Arc<Event>) -> Option<Arc<Event>> {
        match self {
            Self::Fifo(events) => {
                let oldest = events.pop_front();
                events.push_back(event);
                oldest
            }
            Self::Latest(events) => {
                events.push(event);
                events.evict()
            }
        }
    }
}
