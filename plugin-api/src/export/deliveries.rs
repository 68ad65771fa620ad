//! Deliveries: batches of events, handed to the author's function one by one.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use octa_plugin_abi::{self as abi, RSlice};

use super::{Exported, Instance, events, no_handler};
use crate::{
    Context, Payload,
    block_on::block_on,
    call::CallInfo,
    context::Identity,
    error::Result,
    guard::{InPoll, guarded},
    subscription::{Event, FromEvent},
    work::{Answer, Desk},
};

/// Handles one batch; the attribute makes one for each subscription.
pub type DeliveryHandler<T> = for<'i> fn(&'i T, Delivery<'_>) -> u32;

/// A batch of events on its way to its handler.
#[expect(
    missing_debug_implementations,
    reason = "pointers of the host, gone when it returns"
)]
pub struct Delivery<'a> {
    identity: &'static Arc<Identity>,
    events: Events,
    desk: Desk<'a>,
}

/// The events of a batch, which stay until its future is ready or dropped.
struct Events {
    events: &'static [abi::Event<'static>],
    /// The host's count of those that were handled well.
    handled: &'static AtomicUsize,
}

// SAFETY: the host's payloads, topics and names may be read from any thread.
unsafe impl Send for Events {}

impl Events {
    /// The event after those that were handled, and a context for its handler.
    fn next(&self, identity: &'static Arc<Identity>) -> Option<(Context, Event)> {
        let event = self.events.get(self.handled.load(Ordering::Acquire))?;
        // SAFETY: the handler ends before the delivery does, and gets a reference, or a context
        // of its future's own, which ends with it.
        let info = unsafe { CallInfo::event(event) };
        // SAFETY: the instance outlives its handlers.
        let ctx = unsafe { Context::borrowed(identity, info) };
        // SAFETY: the events of a delivery are as `abi::Event` describes them.
        Some((ctx, unsafe { Event::from_abi(event) }))
    }
}

impl Events {
    /// Counts an event that was handled well.
    fn count(&self) {
        self.handled.fetch_add(1, Ordering::Release);
    }
}

impl Delivery<'_> {
    /// Handles each event by a function that does not wait.
    pub fn ready<E: FromEvent>(self, mut handler: impl FnMut(&Context, E) -> Result<()>) -> u32 {
        self.each(|ctx, event| {
            let _inside = InPoll::enter();
            handler(ctx, event)
        })
    }

    /// Handles each event by a function that may block: the host gave a thread for it.
    pub fn blocking<E: FromEvent>(self, handler: impl FnMut(&Context, E) -> Result<()>) -> u32 {
        self.each(handler)
    }

    /// Handles each event by a future that may block: driven on the thread the host gave.
    pub fn blocking_future<E, F>(self, mut handler: impl FnMut(Context, E) -> F) -> u32
    where
        E: FromEvent,
        F: Future<Output = Result<()>>,
    {
        self.each(|ctx, event| block_on(handler(ctx.clone(), event)))
    }

    /// Handles each event by a future, one after the other.
    pub fn future<E, F>(self, mut handler: impl FnMut(Context, E) -> F + Send) -> u32
    where
        E: FromEvent + Send,
        F: Future<Output = Result<()>> + Send,
    {
        let Self {
            identity,
            events,
            desk,
        } = self;
        desk.start(async move {
            while let Some((ctx, event)) = events.next(identity) {
                let begun = guarded(|| Ok(handler(ctx, E::from_event(event)?))).and_then(|b| b);
                let result = match begun {
                    Ok(future) => contained(future).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = result {
                    return Err(error).into();
                }
                events.count();
            }
            all_handled()
        })
    }

    fn each<E: FromEvent>(self, mut handler: impl FnMut(&Context, E) -> Result<()>) -> u32 {
        while let Some((ctx, event)) = self.events.next(self.identity) {
            let result = guarded(|| handler(&ctx, E::from_event(event)?));
            if let Err(error) = result.and_then(|result| result) {
                return self.desk.ready(Err(error).into());
            }
            self.events.count();
        }
        self.desk.ready(all_handled())
    }
}

/// Drives one handler so that its panic, also in its drop, fails its event and no other.
async fn contained<F: Future<Output = Result<()>>>(future: F) -> Result<()> {
    let mut place = pin!(Some(future));
    let result = poll_fn(|cx| {
        let polled = guarded(|| match place.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx),
            None => Poll::Ready(Ok(())),
        });
        polled.unwrap_or_else(|panic| Poll::Ready(Err(panic)))
    })
    .await;
    guarded(|| place.set(None)).and(result)
}

fn all_handled() -> Answer {
    Ok(Payload::empty()).into()
}

pub(super) extern "C" fn deliver<T: Exported>(
    instance: *const (),
    handler: u32,
    batch: RSlice<'_, abi::Event<'_>>,
    handled: &AtomicUsize,
    waker: &abi::Waker,
    slot: &abi::Slot,
    future: &mut abi::Future,
    reply: &mut abi::Reply,
) -> u32 {
    // SAFETY: the host delivers to an instance only between `create` and `destroy`.
    let instance = unsafe { Instance::<T>::behind(instance) };
    let desk = Desk {
        waker,
        slot,
        future,
        reply,
    };
    let Some(handle) = T::DELIVERIES.get(handler as usize) else {
        return desk.ready(no_handler("subscription", handler));
    };
    // SAFETY: the host keeps the count until the future is ready or dropped, as the events.
    let handled = unsafe { std::mem::transmute::<&AtomicUsize, &'static AtomicUsize>(handled) };
    // SAFETY: the host keeps the events until the future is ready or dropped, and nothing
    // else of a delivery outlives that.
    let kept = unsafe {
        std::mem::transmute::<&[abi::Event<'_>], &'static [abi::Event<'static>]>(events(batch))
    };
    handle(
        &instance.tentacle,
        Delivery {
            identity: &instance.identity,
            events: Events {
                events: kept,
                handled,
            },
            desk,
        },
    )
}
