//! Events on their way into a plugin.

use std::sync::{Arc, atomic::AtomicUsize};

use octa_plugin_abi::{self as abi, RSlice};
use octa_plugin_api::Payload;

/// An event that can be delivered: cheap to hold, and unchanging while it is held.
pub trait EventView: Send + Sync + 'static {
    /// What it says.
    fn view(&self) -> EventParts<'_>;
}

/// What a plugin is told of an event.
#[derive(Debug, Clone, Copy)]
pub struct EventParts<'a> {
    /// Unique in this kernel.
    pub id: u64,
    /// Counted up by the publisher.
    pub sequence: u64,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// What ties together everything that one first call or event led to.
    pub correlation: u128,
    /// How often it was delivered before.
    pub attempt: u32,
    /// One of the codes of content types.
    pub content_type: u32,
    /// What it is about.
    pub topic: &'a str,
    /// Who published it.
    pub source: &'a str,
    /// What it says.
    pub payload: &'a Payload,
}

/// Events and their form for the boundary, which refers to them.
pub(crate) struct Batch<E> {
    /// Refers to `events`; declared first, so dropped first.
    views: Vec<abi::Event<'static>>,
    _events: Box<[E]>,
    /// What the plugin counts in.
    _handled: Arc<AtomicUsize>,
}

// SAFETY: the views point into the events, which are `Send` and are not changed.
unsafe impl<E: EventView> Send for Batch<E> {}

impl<E: EventView> Batch<E> {
    pub(crate) fn new(events: Vec<E>, handled: Arc<AtomicUsize>) -> Self {
        let events = events.into_boxed_slice();
        let views = events
            .iter()
            .map(|event| forever(to_abi(event.view())))
            .collect();
        Self {
            views,
            _events: events,
            _handled: handled,
        }
    }

    /// The events, for as long as this batch lives, wherever it is moved.
    pub(crate) fn as_abi(&self) -> RSlice<'static, abi::Event<'static>> {
        // SAFETY: the vector is not changed, so its elements stay where they are; who uses the
        // slice keeps this batch.
        unsafe { RSlice::from_raw_parts(self.views.as_ptr(), self.views.len()) }
    }
}

fn to_abi<'a>(event: EventParts<'a>) -> abi::Event<'a> {
    abi::Event {
        id: event.id,
        sequence: event.sequence,
        time: event.time,
        correlation_high: (event.correlation >> 64) as u64,
        correlation_low: event.correlation as u64,
        attempt: event.attempt,
        content_type: event.content_type,
        topic: event.topic.into(),
        source: event.source.into(),
        payload: event.payload.as_abi(),
        headers: RSlice::EMPTY,
    }
}

/// Forgets what the view borrows from: the batch holds it in a box that stays where it is.
fn forever(event: abi::Event<'_>) -> abi::Event<'static> {
    // SAFETY: only the lifetime changes; `Batch` keeps what it stands for.
    unsafe { std::mem::transmute::<abi::Event<'_>, abi::Event<'static>>(event) }
}
