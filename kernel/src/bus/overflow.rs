//! Tells on the bus what subscriptions drop; counting is done by each `queue`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use octa_plugin_api::Payload;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::queue::Queue;
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
    // In the order in which they were told of; of each nothing more is told until its moment.
    let mut told: VecDeque<(Instant, Arc<Queue>)> = VecDeque::new();
    loop {
        let until = told.front().map_or_else(Instant::now, |(until, _)| *until);
        tokio::select! {
            () = bus.hub.wait_for_overflow() => {}
            () = sleep_until(until), if !told.is_empty() => {}
        }
        if bus.hub.is_closed() {
            return;
        }
        let now = Instant::now();
        let rested = told.partition_point(|(until, _)| *until <= now);
        let rested = told.drain(..rested).map(|(_, queue)| queue);
        for queue in rested.chain(bus.hub.take_overflowed()).collect::<Vec<_>>() {
            if let Some(notice) = queue.take_notice() {
                notice.tell(&publisher);
                told.push_back((now + interval, queue));
            }
        }
    }
}
