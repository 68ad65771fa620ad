//! Carries events from publishers to subscriptions in order, each through a bounded queue of its
//! own; running handlers is left to others.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

mod delivery;
mod event;
mod held;
mod hub;
mod latest;
mod matcher;
mod overflow;
mod publisher;
mod queue;
mod routes;
mod store;
mod subscription;

pub use delivery::{Delivery, PublishOutcome};
pub use event::{Draft, Event, JSON};
pub use overflow::OVERFLOW_TOPIC;
pub use publisher::Publisher;
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

    /// Closes every subscription: each consumer receives what is queued, then the end.
    pub fn close(&self) {
        self.hub.close();
    }

    /// Tells on [`OVERFLOW_TOPIC`] what subscriptions drop; to be run by one task for the life
    /// of the bus.
    ///
    /// The first drop is told at once, what follows is told together, at most every `interval`
    /// for each subscription. Ends when the bus is closed. Needs tokio's time.
    pub fn report_overflow(&self, interval: Duration) -> impl Future<Output = ()> + Send + use<> {
        overflow::report(self.clone(), interval)
    }
}

#[cfg(test)]
mod tests;
