//! Events, as handlers and subscriptions made while the program runs see them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use octa_plugin_abi::{self as abi, operation};

use crate::{
    Context, Payload,
    error::Result,
    io::{Input, decode},
};

/// An event and where it comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Event<T = Payload> {
    /// Unique in this kernel.
    pub id: u64,
    /// What it is about.
    pub topic: String,
    /// Who published it.
    pub source: String,
    /// When it was published.
    pub time: SystemTime,
    /// Counted up by the publisher.
    pub sequence: u64,
    /// What ties together everything that one first call or event led to.
    pub correlation_id: u128,
    /// What it says.
    pub data: T,
}

/// What a handler of events can take: an [`Event`], or the data alone.
pub trait FromEvent: Sized {
    #[doc(hidden)]
    fn from_event(event: Event) -> Result<Self>;
}

impl<T: Input> FromEvent for Event<T> {
    fn from_event(event: Event) -> Result<Self> {
        event.decode()
    }
}

impl<T: Input> FromEvent for T {
    fn from_event(event: Event) -> Result<Self> {
        let topic = event.topic;
        decode::<T>(&event.data).map_err(|e| e.context(format_args!("the event on `{topic}`")))
    }
}

impl Event {
    /// Reads the data.
    ///
    /// # Errors
    ///
    /// If the data is not the JSON of a `T`.
    pub fn decode<T: Input>(self) -> Result<Event<T>> {
        let Self {
            id,
            topic,
            source,
            time,
            sequence,
            correlation_id,
            data,
        } = self;
        let data = decode(&data).map_err(|e| e.context(format_args!("the event on `{topic}`")))?;
        Ok(Event {
            id,
            topic,
            source,
            time,
            sequence,
            correlation_id,
            data,
        })
    }

    /// Copies an event of a delivery.
    ///
    /// # Safety
    ///
    /// The event is as `abi::Event` describes it.
    pub(crate) unsafe fn from_abi(event: &abi::Event<'_>) -> Self {
        Self {
            id: event.id,
            topic: event.topic.as_str().to_owned(),
            source: event.source.as_str().to_owned(),
            time: UNIX_EPOCH + Duration::from_nanos(event.time),
            sequence: event.sequence,
            correlation_id: (u128::from(event.correlation_high) << 64)
                | u128::from(event.correlation_low),
            // SAFETY: the caller's promise.
            data: unsafe { Payload::keep(&event.payload) },
        }
    }
}

/// A subscription made while the program runs. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    context: Context,
    id: u64,
}

impl Subscription {
    pub(crate) fn new(context: Context, id: u64) -> Self {
        Self { context, id }
    }

    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// If the subscription was ended, or the data is not the JSON of a `T`.
    pub async fn next<T: Input>(&mut self) -> Result<Event<T>> {
        let ask = self.context.ask(operation::NEXT_EVENT).number(self.id);
        let answer = ask.await;
        let wire: Wire = Payload::parse(&answer.headers)?;
        wire.with_data(answer.result?).decode()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let _ = self
            .context
            .ask(operation::UNSUBSCRIBE)
            .number(self.id)
            .now();
    }
}

/// An event's circumstances as they cross in the headers of a reply.
#[derive(serde::Deserialize)]
struct Wire {
    id: u64,
    topic: String,
    source: String,
    time: u64,
    sequence: u64,
    correlation: String,
}

impl Wire {
    fn with_data(self, data: Payload) -> Event {
        Event {
            id: self.id,
            topic: self.topic,
            source: self.source,
            time: UNIX_EPOCH + Duration::from_nanos(self.time),
            sequence: self.sequence,
            correlation_id: u128::from_str_radix(&self.correlation, 16).unwrap_or(0),
            data,
        }
    }
}
