//! An event in the hands of its consumer, which may give it back; where it then lies is the
//! business of `queue`.

use std::sync::Arc;

use super::Event;

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
