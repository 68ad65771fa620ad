//! An event in the hands of its consumer, which may give it back; where it then lies is the
//! business of `queue`.

use std::sync::Arc;

use super::Event;

/// Places from here on are of events that came back after they had been given up.
pub(super) const REPLAYED: u64 = 1 << 63;

/// An event taken from its queue to be handled.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) event: Arc<Event>,
    /// How often it was tried before.
    pub(crate) attempt: u32,
    /// In how many deaths of its consumer it was being handled.
    pub(crate) deaths: u32,
    /// Its place in the order in which events were taken.
    pub(super) place: u64,
}

impl Held {
    /// One that was not tried yet.
    pub(super) fn new(event: Arc<Event>, place: u64) -> Self {
        Self {
            event,
            attempt: 0,
            deaths: 0,
            place,
        }
    }

    /// Whether it was in the hands of a handler before.
    pub(super) fn was_tried(&self) -> bool {
        self.attempt > 0 || self.place >= REPLAYED
    }
}
