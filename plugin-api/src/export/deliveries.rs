//! Deliveries: batches of events, handed to the author's function one by one.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
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
pub type DeliveryHandler<T> = fn(&'static T, Delivery<'_>) -> u32;

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
struct Events(&'static [abi::Event<'static>]);

// SAFETY: the host's payloads, topics and names may be read from any thread.
unsafe impl Send for Events {}

impl Events {
    /// An event, and a context for its handler.
    fn get(&self, index: usize, identity: &'static Arc<Identity>) -> Option<(Context, Event)> {
        let event = self.0.get(index)?;
        // SAFETY: the handler ends before the delivery does, and gets a reference, or a context
        // of its future's own, which ends with it.
        let info = unsafe { CallInfo::event(event) };
        // SAFETY: the instance outlives its handlers.
        let ctx = unsafe { Context::borrowed(identity, info) };
        // SAFETY: the events of a delivery are as `abi::Event` describes them.
        Some((ctx, unsafe { Event::from_abi(event) }))
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
    pub fn future<E, F>(self, mut handler: impl FnMut(Context, E) -> F + Send + 'static) -> u32
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
            let mut handled = 0;
            while let Some((ctx, event)) = events.get(handled, identity) {
                let begun = guarded(|| Ok(handler(ctx, E::from_event(event)?))).and_then(|b| b);
                let result = match begun {
                    Ok(future) => contained(future).await,
                    Err(error) => Err(error),
                };
                if let Err(error) = result {
                    return outcome(handled, Err(error));
                }
                handled += 1;
            }
            outcome(handled, Ok(()))
        })
    }

    fn each<E: FromEvent>(self, mut handler: impl FnMut(&Context, E) -> Result<()>) -> u32 {
        let mut handled = 0;
        while let Some((ctx, event)) = self.events.get(handled, self.identity) {
            let result = guarded(|| handler(&ctx, E::from_event(event)?));
            if let Err(error) = result.and_then(|result| result) {
                return self.desk.ready(outcome(handled, Err(error)));
            }
            handled += 1;
        }
        self.desk.ready(outcome(handled, Ok(())))
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

fn outcome(handled: usize, result: Result<()>) -> Answer {
    let number = handled as u64;
    Answer {
        number,
        ..result.map(|()| Payload::empty()).into()
    }
}

pub(super) extern "C" fn deliver<T: Exported>(
    instance: *const (),
    handler: u32,
    batch: RSlice<'_, abi::Event<'_>>,
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
    // SAFETY: the host keeps the events until the future is ready or dropped, and nothing
    // else of a delivery outlives that.
    let kept = unsafe {
        std::mem::transmute::<&[abi::Event<'_>], &'static [abi::Event<'static>]>(events(batch))
    };
    handle(
        &instance.tentacle,
        Delivery {
            identity: &instance.identity,
            events: Events(kept),
            desk,
        },
    )
}
