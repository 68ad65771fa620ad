//! The function table of an instance that lives in a worker: each function says it there, and what
//! is pending is answered from there.

use std::{
    sync::{Arc, atomic::AtomicUsize},
    task::Poll,
    thread,
    time::{Duration, Instant},
};

use octa_plugin_abi::{
    self as abi, PluginFunctions, PluginFunctions_Ref, RSlice,
    abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef},
    code, status,
};
use octa_wire::ToWorker;

use super::{
    pending::{Pending, Raw},
    seat::Seat,
    session::Session,
};
use crate::{generation::Generation, wakers};

/// How long destroying an instance may take. Its process can be ended instead.
const DESTROYED_WITHIN: Duration = Duration::from_secs(5);

/// An instance in a worker.
pub(super) struct Remote {
    pub(super) session: Arc<Session>,
    pub(super) seat: Arc<Seat>,
    pub(super) generation: Arc<Generation>,
}

impl Remote {
    /// What stands for the instance in the table.
    pub(super) fn into_pointer(self) -> *const () {
        Arc::into_raw(Arc::new(self)).cast()
    }
}

/// A future of the worker's, as the boundary knows futures.
pub(super) fn future(pending: Arc<Pending>) -> abi::Future {
    abi::Future {
        data: Arc::into_raw(pending).cast_mut().cast(),
        poll,
        drop: abandon,
    }
}

/// The table.
pub(super) const FUNCTIONS: PluginFunctions_Ref = {
    const TABLE: &WithMetadata<PluginFunctions> = &WithMetadata::new(PluginFunctions {
        create,
        destroy,
        call,
        deliver,
        control,
    });
    PluginFunctions_Ref(
        // SAFETY: a constant, so it lives for ever.
        unsafe { StaticRef::from_raw(TABLE) }.as_prefix(),
    )
};

/// The instance behind the table's pointer.
///
/// # Safety
///
/// `instance` came from [`Remote::into_pointer`] and is not destroyed during `'a`.
unsafe fn remote<'a>(instance: *const ()) -> &'a Remote {
    // SAFETY: the caller's promise.
    unsafe { &*instance.cast::<Remote>() }
}

/// Instances are made by messages: there would be no telling in which worker.
extern "C" fn create(_: &abi::CreateRequest<'_>, _: &mut *const (), reply: &mut abi::Reply) -> u32 {
    reply.code = code::UNSUPPORTED;
    code::UNSUPPORTED
}

extern "C" fn destroy(instance: *const ()) {
    // SAFETY: made by `into_pointer`, and destroyed once.
    let remote = unsafe { Arc::from_raw(instance.cast::<Remote>()) };
    remote.seat.let_go();
    let instance = remote.seat.number();
    let until = Instant::now() + DESTROYED_WITHIN;
    while Instant::now() < until {
        let pending = (remote.session).ask(|id| ToWorker::Destroy { id, instance });
        let answer = pending.wait(DESTROYED_WITHIN).map(Raw::into_result);
        if let Some(Ok((0, _))) = answer {
            // What was interrupted is on its way out.
            thread::park_timeout(Duration::from_millis(5));
            continue;
        }
        break;
    }
    // If it cannot be destroyed in time, its process is ended with its generation.
    remote.session.seat_up(instance);
}

extern "C" fn call(
    instance: *const (),
    handler: u32,
    envelope: &abi::Envelope<'_>,
    payload: &abi::Bytes<'_>,
    waker: &abi::Waker,
    _: &abi::Slot,
    future: &mut abi::Future,
    reply: &mut abi::Reply,
) -> u32 {
    // SAFETY: the instance is there while it is called.
    let remote = unsafe { remote(instance) };
    let payload = payload.bytes.as_slice();
    let asked = remote.session.ask_quick(|id| ToWorker::Call {
        id,
        instance: remote.seat.number(),
        handler,
        envelope: plain(envelope),
        payload,
    });
    match asked {
        Ok(answer) => ready(answer, reply),
        Err(pending) => {
            let capabilities = &remote.generation.manifest().capabilities;
            let called = capabilities.get(handler as usize);
            pending.note(envelope.caller.as_str(), called.map_or("", |it| &it.name));
            go_on(remote, pending, waker, future, reply)
        }
    }
}

extern "C" fn deliver(
    instance: *const (),
    handler: u32,
    events: RSlice<'_, abi::Event<'_>>,
    handled: &AtomicUsize,
    waker: &abi::Waker,
    _: &abi::Slot,
    future: &mut abi::Future,
    reply: &mut abi::Reply,
) -> u32 {
    // SAFETY: the instance is there while it is called.
    let remote = unsafe { remote(instance) };
    let events = events.as_slice().iter().map(event).collect();
    let message = |id| ToWorker::Deliver {
        id,
        instance: remote.seat.number(),
        handler,
        events,
    };
    let pending = (remote.session).ask_counting(message, &raw const *handled);
    go_on(remote, pending, waker, future, reply)
}

extern "C" fn control(
    instance: *const (),
    what: u32,
    number: u64,
    argument: &abi::Bytes<'_>,
    waker: &abi::Waker,
    _: &abi::Slot,
    future: &mut abi::Future,
    reply: &mut abi::Reply,
) -> u32 {
    // SAFETY: the instance is there while it is asked.
    let remote = unsafe { remote(instance) };
    let payload = argument.bytes.as_slice();
    let pending = remote.session.ask(|id| ToWorker::Control {
        id,
        instance: remote.seat.number(),
        what,
        number,
        payload,
    });
    go_on(remote, pending, waker, future, reply)
}

fn ready(answer: Raw, reply: &mut abi::Reply) -> u32 {
    answer.write(reply);
    status::READY
}

/// Answers what is answered already, or leaves a future that waits for it.
fn go_on(
    remote: &Remote,
    pending: Arc<Pending>,
    waker: &abi::Waker,
    place: &mut abi::Future,
    reply: &mut abi::Reply,
) -> u32 {
    // SAFETY: the host lends the waker for the duration of this call.
    let owned = || unsafe { wakers::borrow(waker, &remote.generation, std::task::Waker::clone) };
    match pending.poll_raw(owned) {
        Poll::Ready(answer) => ready(answer, reply),
        Poll::Pending => {
            *place = future(pending);
            status::PENDING
        }
    }
}

extern "C" fn poll(data: *mut (), waker: &abi::Waker, reply: &mut abi::Reply) -> u32 {
    // SAFETY: made by `future`, and neither ready nor dropped yet.
    let pending = unsafe { &*data.cast::<Pending>() };
    // SAFETY: the host lends a waker of its own for the duration of this call.
    let owned = || unsafe { wakers::of_host(waker) };
    match pending.poll_raw(owned) {
        Poll::Ready(answer) => {
            // SAFETY: the future is gone from now on.
            drop(unsafe { Arc::from_raw(data.cast::<Pending>()) });
            ready(answer, reply)
        }
        Poll::Pending => status::PENDING,
    }
}

extern "C" fn abandon(data: *mut ()) {
    // SAFETY: made by `future`, and dropped once instead of any further poll.
    let pending = unsafe { Arc::from_raw(data.cast::<Pending>()) };
    pending.abandon();
}

fn event<'a>(event: &abi::Event<'a>) -> octa_wire::Event<'a> {
    octa_wire::Event {
        id: event.id,
        sequence: event.sequence,
        time: event.time,
        correlation: whole(event.correlation_high, event.correlation_low),
        attempt: event.attempt,
        content_type: event.content_type,
        topic: event.topic.as_str(),
        source: event.source.as_str(),
        payload: event.payload.bytes.as_slice(),
    }
}

fn plain<'a>(envelope: &'a abi::Envelope<'a>) -> octa_wire::Envelope<'a> {
    octa_wire::Envelope {
        remaining_nanos: envelope.remaining_nanos,
        correlation: whole(envelope.correlation_high, envelope.correlation_low),
        attempt: envelope.attempt,
        caller: envelope.caller.as_str(),
        chain: envelope.chain.as_str(),
        trace: envelope.trace.as_str(),
        routing_key: envelope.routing_key.as_str(),
        idempotency_key: envelope.idempotency_key.as_str(),
        headers: envelope.headers.as_slice(),
    }
}

fn whole(high: u64, low: u64) -> u128 {
    (u128::from(high) << 64) | u128::from(low)
}
