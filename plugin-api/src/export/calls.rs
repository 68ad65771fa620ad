//! Calls: from the handler's number to the author's function and back.

use std::{future::Future, sync::Arc};

use octa_plugin_abi as abi;

use super::{Exported, Instance, no_handler};
use crate::{
    Context, Payload,
    block_on::block_on,
    call::CallInfo,
    context::Identity,
    error::Result,
    guard::{InPoll, guarded},
    io::{Input, Output},
    work::Desk,
};

/// Handles one call; the attribute makes one for each capability.
pub type CallHandler<T> = for<'i> fn(&'i T, Call<'_>) -> u32;

/// A call on its way to its handler.
#[expect(
    missing_debug_implementations,
    reason = "pointers of the host, gone when it returns"
)]
pub struct Call<'a> {
    identity: &'static Arc<Identity>,
    envelope: &'a abi::Envelope<'a>,
    payload: &'a abi::Bytes<'a>,
    desk: Desk<'a>,
}

impl Call<'_> {
    /// Handles it by a function that does not wait.
    #[inline]
    pub fn ready<I, O>(self, handler: impl FnOnce(&Context, I) -> Result<O>) -> u32
    where
        I: Input,
        O: Output,
    {
        self.handle(|ctx, input| {
            let _inside = InPoll::enter();
            handler(ctx, input)
        })
    }

    /// Handles it by a function that reads the bytes where they lie.
    #[inline]
    pub fn ready_bytes<O: Output>(self, handler: impl FnOnce(&Context, &[u8]) -> Result<O>) -> u32 {
        let ctx = self.synchronous();
        let bytes = self.payload.bytes.as_slice();
        let result = guarded(|| {
            let _inside = InPoll::enter();
            handler(&ctx, bytes)?.into_payload()
        });
        self.desk.ready(result.and_then(|result| result).into())
    }

    /// Handles it by a function that may block: the host gave a thread for it.
    pub fn blocking<I, O>(self, handler: impl FnOnce(&Context, I) -> Result<O>) -> u32
    where
        I: Input,
        O: Output,
    {
        // It may work for long and then ask for something: its deadline has to run.
        let ctx = self.asynchronous();
        self.handle_with(&ctx, handler)
    }

    /// Handles it by a future that may block: it is driven on the thread the host gave.
    pub fn blocking_future<I, O, F>(self, handler: impl FnOnce(Context, I) -> F) -> u32
    where
        I: Input,
        O: Output,
        F: Future<Output = Result<O>>,
    {
        self.blocking(|ctx, input| block_on(handler(ctx.clone(), input)))
    }

    /// Handles it by a future.
    #[inline]
    pub fn future<I, O, F>(self, handler: impl FnOnce(Context, I) -> F) -> u32
    where
        I: Input,
        O: Output,
        F: Future<Output = Result<O>> + Send,
    {
        let ctx = self.asynchronous();
        let started = guarded(|| Ok(handler(ctx, input(self.payload)?)));
        match started.and_then(|started| started) {
            Ok(future) => self
                .desk
                .start(async move { future.await.and_then(|o| o.into_payload()).into() }),
            Err(error) => self.desk.ready(Err(error).into()),
        }
    }

    /// A context for a handler that cannot wait.
    #[inline]
    fn synchronous(&self) -> Context {
        // SAFETY: the handler gets a reference, and has returned before the call is answered.
        let info = unsafe { CallInfo::synchronous(self.envelope) };
        // SAFETY: the instance outlives its handlers.
        unsafe { Context::borrowed(self.identity, info) }
    }

    /// A context for a future.
    #[inline]
    fn asynchronous(&self) -> Context {
        // SAFETY: the future owns the context, lends it to the author's own, and ends before the
        // call is answered or with it.
        let info = unsafe { CallInfo::asynchronous(self.envelope) };
        // SAFETY: the instance outlives its futures.
        unsafe { Context::borrowed(self.identity, info) }
    }

    #[inline]
    fn handle<I, O>(self, handler: impl FnOnce(&Context, I) -> Result<O>) -> u32
    where
        I: Input,
        O: Output,
    {
        let ctx = self.synchronous();
        self.handle_with(&ctx, handler)
    }

    #[inline]
    fn handle_with<I, O>(self, ctx: &Context, handler: impl FnOnce(&Context, I) -> Result<O>) -> u32
    where
        I: Input,
        O: Output,
    {
        let result = guarded(|| handler(ctx, input(self.payload)?)?.into_payload());
        self.desk.ready(result.and_then(|result| result).into())
    }
}

#[inline]
fn input<I: Input>(payload: &abi::Bytes<'_>) -> Result<I> {
    // SAFETY: the payload of a call is as `abi::Bytes` describes it while it is handled.
    I::decode(payload.bytes.as_slice(), &|| unsafe {
        Payload::keep(payload)
    })
    .map_err(|e| e.context("the input"))
}

pub(super) extern "C" fn call<T: Exported>(
    instance: *const (),
    handler: u32,
    envelope: &abi::Envelope<'_>,
    payload: &abi::Bytes<'_>,
    waker: &abi::Waker,
    slot: &abi::Slot,
    future: &mut abi::Future,
    reply: &mut abi::Reply,
) -> u32 {
    // SAFETY: the host calls an instance only between `create` and `destroy`.
    let instance = unsafe { Instance::<T>::behind(instance) };
    let desk = Desk {
        waker,
        slot,
        future,
        reply,
    };
    let Some(handle) = T::CALLS.get(handler as usize) else {
        return desk.ready(no_handler("capability", handler));
    };
    let identity = &instance.identity;
    handle(
        &instance.tentacle,
        Call {
            identity,
            envelope,
            payload,
            desk,
        },
    )
}
