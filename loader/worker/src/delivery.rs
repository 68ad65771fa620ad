//! Events on their way into an instance, one after the other.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    vec,
};

use octa_loader::{EventParts, EventView, Instance, Outcome, Started, Work};
use octa_plugin_api::Payload;
use octa_wire::{Event, ToKernel};

use crate::{jobs::Cut, worker::Worker};

/// A delivery: the kernel is told of each event that was handled well, and ready is how it ended.
pub(crate) struct Delivery {
    pub(crate) worker: &'static Worker,
    pub(crate) id: u64,
    pub(crate) instance: Instance,
    pub(crate) handler: u32,
    pub(crate) events: vec::IntoIter<Kept>,
    pub(crate) cut: Cut,
    /// The event that is being handled.
    pub(crate) work: Option<Work>,
}

impl Delivery {
    /// Goes on with the event that is being handled, or begins the next; `None` if there is none.
    fn poll_one(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        if let Some(work) = &mut self.work {
            return Pin::new(work).poll(cx).map(Some);
        }
        let event = match self.cut.load(Ordering::SeqCst) {
            true => None,
            false => self.events.next(),
        };
        let Some(event) = event else {
            return Poll::Ready(None);
        };
        let handled = Arc::new(AtomicUsize::new(0));
        match self
            .instance
            .deliver(self.handler, vec![event], &handled, cx)
        {
            Started::Ready(outcome) => Poll::Ready(Some(outcome)),
            Started::TurnedAway(error) => Poll::Ready(Some(error.into())),
            Started::Pending(work) => {
                self.work = Some(work);
                Poll::Pending
            }
        }
    }
}

impl Future for Delivery {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            let outcome = ready!(self.poll_one(cx));
            self.work = None;
            match outcome {
                None => return Poll::Ready(Outcome::ok(0, Payload::empty())),
                Some(failed) if failed.result.is_err() => return Poll::Ready(failed),
                Some(_) => self.worker.tell(&ToKernel::Handled { id: self.id }),
            }
        }
    }
}

/// An event, apart from the message that it came in.
pub(crate) struct Kept {
    event: Event<'static>,
    texts: String,
    /// How much of the texts is the topic; the rest is the source.
    topic: usize,
    payload: Payload,
}

impl Kept {
    pub(crate) fn of(event: &Event<'_>) -> Self {
        Self {
            texts: [event.topic, event.source].concat(),
            topic: event.topic.len(),
            payload: Payload::copy_from_slice(event.payload),
            event: Event {
                topic: "",
                source: "",
                payload: &[],
                ..*event
            },
        }
    }
}

impl EventView for Kept {
    fn view(&self) -> EventParts<'_> {
        let (topic, source) = self.texts.split_at(self.topic);
        let event = &self.event;
        EventParts {
            id: event.id,
            sequence: event.sequence,
            time: event.time,
            correlation: event.correlation,
            attempt: event.attempt,
            content_type: event.content_type,
            topic,
            source,
            payload: &self.payload,
        }
    }
}
