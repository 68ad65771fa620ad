//! What can be seen of subscriptions, and of events that could not be handled.

use std::sync::Arc;

use octa_loader::Overflow;
use serde::Serialize;

use crate::bus::{Event, SubscriptionHandle};

/// A subscription and what it has done so far.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SubscriptionStatus {
    /// Who subscribes: a plugin, or `host`.
    pub plugin: String,
    /// The topics.
    pub pattern: String,
    /// Whether it stands in the plugin's manifest; otherwise it was made while that ran.
    pub declared: bool,
    /// What gives way when the queue is full.
    pub policy: Overflow,
    /// How many events may wait.
    pub capacity: usize,
    /// How many events are handled at once.
    pub concurrency: u32,
    /// Events that matched.
    pub matched: u64,
    /// Events that were handed over.
    pub delivered: u64,
    /// Events that were given up because the queue was full.
    pub dropped: u64,
    /// Events that wait.
    pub queued: usize,
    /// Events whose publishers wait for room.
    pub waiting: usize,
    /// How often an event was to be tried again, since its handler failed.
    pub retried: u64,
    /// Events that its handler failed on too often.
    pub dead: u64,
}

impl SubscriptionStatus {
    pub(crate) fn of(handle: &SubscriptionHandle) -> Self {
        let (settings, counters) = (handle.settings(), handle.counters());
        Self {
            plugin: handle.name().to_owned(),
            pattern: handle.pattern().to_string(),
            declared: settings.is_declared,
            policy: settings.overflow,
            capacity: settings.capacity,
            concurrency: settings.concurrency,
            matched: counters.matched,
            delivered: counters.delivered,
            dropped: counters.dropped,
            queued: counters.queued,
            waiting: counters.waiting,
            retried: counters.retried,
            dead: counters.dead,
        }
    }
}

/// An event that a handler could not handle, as often as it was tried.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its number: above that of every one that was kept when it was added.
    pub id: u64,
    /// When it was given up, in nanoseconds since 1970.
    pub time: u64,
    /// Whose handler it was.
    pub plugin: String,
    /// The pattern of the subscription.
    pub subscription: String,
    /// Which of the plugin's subscriptions to that pattern, from 0.
    pub which: usize,
    /// What the last error said.
    pub cause: String,
    /// What kind of error that was.
    pub kind: String,
    /// How often it was tried since it was published or replayed.
    pub attempts: u32,
    /// The event as it was published.
    pub event: Arc<Event>,
}
