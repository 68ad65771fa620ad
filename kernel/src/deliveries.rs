//! Carries events from the queues of a plugin's subscriptions into its handlers, generation
//! after generation.

use std::{
    future::poll_fn,
    sync::{Arc, atomic::AtomicUsize},
    task::Poll,
    time::Duration,
};

use octa_loader::{EventParts, EventView, Instance, Outcome, Started, Subscription as Declared};
use octa_plugin_api::{Error, ErrorKind, block_on};

use crate::{
    backoff::backoff,
    bus::{Held, Publisher},
    fate::Fate,
    services::Probation,
    spare::Spare,
    time::Clock,
};

mod dead_letter;
mod lane;
mod lanes;
mod mailbox;

pub(crate) use lanes::Lanes;
pub(crate) use mailbox::Mailbox;

use lane::is_any_handled;
use mailbox::Taking;

#[cfg(test)]
mod tests;

impl EventView for Held {
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

/// How long the first repetition waits, and any at most, if the plugin does not say.
const BACKOFF: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

/// Delivers the events of one subscription to one handler of one generation.
#[derive(Clone)]
pub(crate) struct Deliveries {
    pub(crate) instance: Instance,
    pub(crate) handler: u32,
    pub(crate) declared: Declared,
    pub(crate) publisher: Publisher,
    pub(crate) spare: Spare,
    /// What repetitions wait by.
    pub(crate) clock: Arc<dyn Clock>,
    /// Where it is noted how deliveries end, in a generation's first seconds.
    pub(crate) probation: Option<Arc<Probation>>,
    /// Where it is noted what was in hand when its process died.
    pub(crate) fate: Fate,
}

impl Deliveries {
    /// Delivers a batch: how the event after those that `handled` counts failed, or that they
    /// were all handled. `None` if the instance lets nothing in, or is dead.
    ///
    /// What `begun` answers is dropped when the handler has run until it waits; of one that may
    /// block, when its thread is about to enter it.
    async fn deliver(
        &self,
        letters: Vec<Held>,
        handled: &Arc<AtomicUsize>,
        begun: impl FnOnce() -> Option<Taking>,
    ) -> Option<Result<(), Error>> {
        let outcome = if self.declared.blocking {
            let told = self.deliver_elsewhere(letters, handled.clone(), begun());
            told.await?
        } else {
            let started = begin(&self.instance, self.handler, letters, handled).await;
            drop(begun());
            finish(started).await?
        };
        // Who has handled any had let them in: then the error is the handler's own.
        let refused = |error: &Error| !is_any_handled(handled) && self.fate.has_refused(error);
        match outcome.result {
            Err(error) if refused(&error) => None,
            result => Some(result.map(drop)),
        }
    }

    /// How long an event waits until it is tried again. By chance, so that those who failed at the
    /// same moment do not all come back at once.
    fn pause(&self, held: &Held) -> Duration {
        let declared = &self.declared;
        let (first, most) = (declared.backoff, declared.backoff_max);
        let first = first.unwrap_or(BACKOFF);
        let seed = (&self.instance.name(), self.handler, held.event.id);
        backoff(
            first,
            most.unwrap_or(BACKOFF_MAX),
            held.attempt,
            (seed, held.attempt),
        )
    }

    /// Delivers to a handler that may block, on a thread to spare.
    async fn deliver_elsewhere(
        &self,
        letters: Vec<Held>,
        handled: Arc<AtomicUsize>,
        taking: Option<Taking>,
    ) -> Option<Outcome> {
        let (instance, handler) = (self.instance.clone(), self.handler);
        let told = self.spare.run(move || {
            drop(taking);
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
}

async fn begin(
    instance: &Instance,
    handler: u32,
    letters: Vec<Held>,
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
