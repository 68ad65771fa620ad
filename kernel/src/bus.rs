//! Carries events from publishers to subscriptions in order, each through a bounded queue of its
//! own; running handlers is left to others.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use octa_loader::{NameError, NameKind};

mod consumption;
mod delivery;
mod event;
mod held;
mod hub;
mod latest;
mod matcher;
mod overflow;
mod publisher;
mod push;
mod queue;
mod retained;
mod routes;
mod store;
mod subscription;

pub use delivery::{Delivery, PublishOutcome};
pub use event::{Draft, Event, JSON};
pub use overflow::OVERFLOW_TOPIC;
pub use publisher::Publisher;
pub use retained::{RETAINED_BYTES_MAX, RETAINED_TOPICS_MAX, RetainError};
pub use subscription::{Counters, Subscription, SubscriptionHandle, SubscriptionOptions};

pub(crate) use held::Held;

use hub::Hub;

/// Tells wall-clock time, in nanoseconds since the Unix epoch.
pub type WallClock = dyn Fn() -> u64 + Send + Sync;

/// The event bus. Clones are the same bus.
#[derive(Debug, Clone)]
pub struct Bus {
    hub: Arc<Hub>,
}

impl Bus {
    /// A bus without subscriptions, whose events carry the time of `clock`.
    pub fn new(clock: Arc<WallClock>) -> Self {
        Self {
            hub: Arc::new(Hub::new(clock)),
        }
    }

    /// A new source of events with a sequence of its own.
    pub fn publisher(&self, source: &str) -> Publisher {
        Publisher::new(Arc::clone(&self.hub), source)
    }

    /// Subscribes to every event on a matching topic whose publish begins after this returns.
    ///
    /// First of all come the [retained](Publisher::retain) events of matching topics, in the order
    /// in which they were published, also beyond the capacity.
    pub fn subscribe(&self, options: SubscriptionOptions) -> Subscription {
        let queue = self.hub.subscribe(options);
        let handle = SubscriptionHandle::new(Arc::clone(&self.hub), queue);
        Subscription::new(handle)
    }

    /// All open subscriptions, oldest first.
    pub fn subscriptions(&self) -> Vec<SubscriptionHandle> {
        let queues = self.hub.queues().into_iter();
        queues
            .map(|queue| SubscriptionHandle::new(Arc::clone(&self.hub), queue))
            .collect()
    }

    /// Forgets the [retained](Publisher::retain) event of a topic; answers whether there was one.
    ///
    /// # Errors
    /// If the topic is not valid.
    pub fn clear_retained(&self, topic: &str) -> Result<bool, NameError> {
        NameKind::Topic.check(topic)?;
        let cleared = self.hub.retained().clear(topic);
        Ok(cleared.is_some())
    }

    /// Puts an event into the queue of one declared subscription alone, before all that waits
    /// there; gives it back if there is no such queue.
    pub(crate) fn replay(
        &self,
        plugin: &str,
        pattern: &str,
        which: usize,
        event: Arc<Event>,
    ) -> Result<(), Arc<Event>> {
        match self.hub.declared(plugin, pattern, which) {
            Some(queue) => queue.replay(event),
            None => Err(event),
        }
    }

    /// Closes every subscription: each consumer receives what is queued, then the end.
    pub fn close(&self) {
        self.hub.close();
    }

    /// Tells on [`OVERFLOW_TOPIC`] what subscriptions drop; to be run by one task for the life
    /// of the bus.
    ///
    /// The first drop of each subscription is told at once; what follows, and what is dropped at
    /// its end, is told together, at most every `interval`. Ends when the bus is closed. Needs tokio's time.
    pub fn report_overflow(&self, interval: Duration) -> impl Future<Output = ()> + Send + use<> {
        overflow::report(self.clone(), interval)
    }
}

#[cfg(test)]
mod tests;
