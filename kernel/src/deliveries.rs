//! Carries events from a subscription's queue into a plugin's handler, batch by batch.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use octa_loader::{EventParts, EventView, Instance, Outcome, Started, Subscription as Declared};
use octa_plugin_api::{Error, ErrorKind, Payload, block_on};
use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    bus::{Event, Publisher, Subscription},
    pool::Pool,
    spare::Spare,
};

/// The topic that events are told on which a handler could not handle.
pub(crate) const DEAD_LETTER: &str = "kernel.dead_letter";

/// The most events of one batch.
const BATCH: usize = 64;

/// An event on its way, and how often it was tried.
struct Letter {
    event: Arc<Event>,
    attempt: u32,
}

impl EventView for Letter {
    fn view(&self) -> EventParts<'_> {
        let event = &self.event;
        EventParts {
            id: event.id,
            sequence: event.sequence,
            time: event.time,
            correlation: event.correlation,
            attempt: self.attempt,
            content_type: event.content_type,
            topic: &event.topic,
            source: &event.source,
            payload: &event.payload,
        }
    }
}

/// Delivers the events of one subscription to one handler.
#[derive(Clone)]
pub(crate) struct Deliveries {
    pub(crate) instance: Instance,
    pub(crate) handler: u32,
    pub(crate) declared: Declared,
    pub(crate) publisher: Publisher,
    pub(crate) spare: Spare,
}

impl Deliveries {
    /// Begins to deliver, as many events at a time as was declared.
    pub(crate) fn begin(self, subscription: Subscription, pool: &Pool) {
        let lanes = self.declared.concurrency;
        let most = if lanes > 1 { 1 } else { BATCH };
        let queue = Arc::new(Mutex::new(subscription));
        for _ in 1..lanes {
            pool.spawn(self.clone().run(queue.clone(), most));
        }
        pool.spawn(self.run(queue, most));
    }

    /// Delivers until the subscription ends or the instance lets no more in. The lanes of one
    /// queue take turns at taking from it; that is the order in which events are begun.
    async fn run(self, queue: Arc<Mutex<Subscription>>, most: usize) {
        let mut batch = Vec::new();
        while queue.lock().await.recv_batch(&mut batch, most).await > 0 {
            if !self.deliver_all(&mut batch).await {
                return;
            }
        }
    }

    /// Delivers a batch; false if the instance lets no more in.
    async fn deliver_all(&self, batch: &mut Vec<Arc<Event>>) -> bool {
        let mut attempt = 0;
        while !batch.is_empty() {
            let Some((handled, result)) = self.deliver(batch, attempt).await else {
                // Taken from the queue already: what was not begun is told, not lost.
                let error = Error::new(ErrorKind::Interrupted, "the plugin was stopped before");
                batch
                    .drain(..)
                    .for_each(|event| self.give_up(&event, &error));
                return false;
            };
            batch.drain(..handled.min(batch.len()));
            let Err(error) = result else {
                batch.clear();
                continue;
            };
            if handled > 0 {
                attempt = 0;
            }
            if attempt < self.declared.retries && error.kind() != ErrorKind::Interrupted {
                attempt += 1;
            } else if !batch.is_empty() {
                self.give_up(&batch.remove(0), &error);
                attempt = 0;
            }
        }
        true
    }

    /// Delivers what is left of a batch: how many events were handled well, and how the one
    /// after them failed. `None` if the instance lets nothing in.
    async fn deliver(
        &self,
        batch: &[Arc<Event>],
        attempt: u32,
    ) -> Option<(usize, Result<Payload, Error>)> {
        let letters = batch.iter().enumerate().map(|(index, event)| {
            // Only the first of a batch can have been tried before.
            let attempt = if index == 0 { attempt } else { 0 };
            Letter {
                event: event.clone(),
                attempt,
            }
        });
        let letters = letters.collect::<Vec<_>>();
        let handled = Arc::new(AtomicUsize::new(0));
        let outcome = if self.declared.blocking {
            self.deliver_elsewhere(letters, handled.clone()).await?
        } else {
            finish(begin(&self.instance, self.handler, letters, &handled).await).await?
        };
        Some((handled.load(Ordering::Acquire), outcome.result))
    }

    /// Delivers to a handler that may block, on a thread to spare.
    async fn deliver_elsewhere(
        &self,
        letters: Vec<Letter>,
        handled: Arc<AtomicUsize>,
    ) -> Option<Outcome> {
        let (instance, handler) = (self.instance.clone(), self.handler);
        let told = self.spare.run(move || {
            block_on(async { finish(begin(&instance, handler, letters, &handled).await).await })
        });
        told.await.unwrap_or_else(|_| {
            let error = Error::new(
                ErrorKind::Internal,
                "the thread of the delivery ended early",
            );
            Some(error.into())
        })
    }

    /// Tells of an event that the handler failed at too often, and goes on.
    fn give_up(&self, event: &Event, error: &Error) {
        let plugin = self.instance.name();
        log::warn!(
            "plugin `{plugin}` could not handle an event on `{}`: {error:?}",
            event.topic
        );
        if &*event.topic == DEAD_LETTER {
            return;
        }
        let letter = json!({
            "plugin": &**plugin,
            "subscription": self.declared.pattern.as_str(),
            "cause": error.message(),
            "kind": error.kind().label(),
            "topic": &*event.topic,
            "source": &*event.source,
            "id": event.id,
            "payload": String::from_utf8_lossy(&event.payload),
        });
        let payload = Payload::json(&letter).unwrap_or_default();
        // Never waits for room: who publishes here is the delivery itself.
        drop(
            self.publisher
                .publish(DEAD_LETTER, payload, event.correlation),
        );
    }
}

async fn begin(
    instance: &Instance,
    handler: u32,
    letters: Vec<Letter>,
    handled: &Arc<AtomicUsize>,
) -> Started {
    let mut letters = Some(letters);
    poll_fn(|cx| {
        let letters = letters.take().unwrap_or_default();
        Poll::Ready(instance.deliver(handler, letters, handled, cx))
    })
    .await
}

/// `None` if the instance let nothing in.
async fn finish(started: Started) -> Option<Outcome> {
    match started {
        Started::TurnedAway(_) => None,
        begun => Some(begun.finish().await),
    }
}
