//! Subscriptions that an instance makes while it runs, by number.

use std::{
    collections::HashMap,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use octa_loader::{Outcome, Pattern, Submitted};
use octa_plugin_api::{Error, ErrorKind, Payload};
use parking_lot::Mutex;
use serde_json::json;

use super::errors;
use crate::bus::{Bus, Event, Subscription, SubscriptionOptions};

/// How many events wait if the plugin does not say.
const CAPACITY: usize = 1024;

/// The subscriptions of one instance.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Each is locked by itself while it is polled.
    table: Mutex<HashMap<u64, Arc<Mutex<Subscription>>>>,
    /// Numbers are never used again, also after [`clear`](Self::clear).
    last: AtomicU64,
}

impl Subscriptions {
    /// Subscribes; answers the number.
    pub(super) fn begin(
        &self,
        bus: &Bus,
        plugin: &str,
        pattern: &str,
        capacity: u64,
    ) -> Result<u64, Error> {
        let pattern: Pattern = pattern.parse().map_err(errors::name)?;
        let capacity = match usize::try_from(capacity) {
            Ok(0) | Err(_) => CAPACITY,
            Ok(wanted) => wanted.min(1 << 20),
        };
        let options = SubscriptionOptions::new(plugin, pattern).capacity(capacity);
        let subscription = Arc::new(Mutex::new(bus.subscribe(options)));
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        self.table.lock().insert(number, subscription);
        Ok(number)
    }

    /// Waits for the next event of a subscription.
    pub(super) fn next(&self, number: u64) -> Result<Submitted, Error> {
        let found = self.table.lock().get(&number).cloned();
        let subscription = found.ok_or_else(|| ended(number))?;
        Ok(Submitted::New(Box::pin(async move {
            let event = poll_fn(|cx| subscription.lock().poll_recv(cx)).await;
            event.map_or_else(|| ended(number).into(), |event| outcome(&event))
        })))
    }

    /// Ends a subscription, if there is one of this number.
    pub(super) fn end(&self, number: u64) -> Outcome {
        let ended = self.table.lock().remove(&number);
        if let Some(subscription) = &ended {
            subscription.lock().close();
        }
        Outcome::ok(u64::from(ended.is_some()), Payload::empty())
    }

    /// Ends all.
    pub(super) fn clear(&self) {
        for (_, subscription) in std::mem::take(&mut *self.table.lock()) {
            subscription.lock().close();
        }
    }
}

fn ended(number: u64) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the subscription {number} has ended"),
    )
}

fn outcome(event: &Event) -> Outcome {
    let headers = Payload::json(&json!({
        "id": event.id,
        "topic": &*event.topic,
        "source": &*event.source,
        "time": event.time,
        "sequence": event.sequence,
        "correlation": format!("{:032x}", event.correlation),
    }));
    Outcome {
        headers: headers.unwrap_or_default(),
        ..Outcome::ok(0, event.payload.clone())
    }
}
