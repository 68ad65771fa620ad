//! Tells on the bus what subscriptions drop; counting is done by each `queue`.

use std::time::Duration;

use octa_plugin_api::Payload;
use serde_json::json;

use super::{Bus, Event, Publisher};

/// The topic on which dropped events are told.
pub const OVERFLOW_TOPIC: &str = "kernel.bus.overflow";

/// What the overflow topic carries.
#[derive(Debug)]
pub(super) struct Notice<'a> {
    pub(super) subscription: &'a str,
    pub(super) pattern: &'a str,
    /// Events dropped since the last notice of this subscription.
    pub(super) dropped: u64,
}

impl Notice<'_> {
    /// Not waited for: who tells must not stand still for a full subscriber, which counts it as
    /// dropped.
    pub(super) fn tell(&self, publisher: &Publisher) {
        drop(publisher.publish(OVERFLOW_TOPIC, self.payload(), 0));
    }

    fn payload(&self) -> Payload {
        let Self {
            subscription,
            pattern,
            dropped,
        } = self;
        let notice = json!({"subscription": subscription, "pattern": pattern, "dropped": dropped});
        Payload::copy_from_slice(notice.to_string().as_bytes())
    }
}

pub(super) fn is_notice(event: &Event) -> bool {
    *event.topic == *OVERFLOW_TOPIC
}

/// Tells drops at once, then at most every `interval` for each subscription; ends when the bus
/// is closed.
pub(super) async fn report(bus: Bus, interval: Duration) {
    let publisher = bus.publisher("kernel");
    loop {
        bus.hub.wait_for_overflow().await;
        if bus.hub.is_closed() {
            return;
        }
        for queue in bus.hub.queues() {
            if let Some(notice) = queue.take_notice() {
                notice.tell(&publisher);
            }
        }
        tokio::time::sleep(interval).await;
    }
}
