//! Futures of the author on their way to the host: put into the host's slot if they fit,
//! polled and dropped under guard.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use octa_plugin_abi::{self as abi, code, status};

use crate::{
    Payload,
    error::{Error, Result},
    guard::{InPoll, guarded, guarded_quietly},
    waker::with_waker,
};

/// What comes out of a piece of work: a payload and a number, or an error.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) number: u64,
    pub(crate) result: Result<Payload>,
    pub(crate) headers: Payload,
}

impl From<Result<Payload>> for Answer {
    fn from(result: Result<Payload>) -> Self {
        Self {
            number: 0,
            result,
            headers: Payload::empty(),
        }
    }
}

/// Where the host wants the outcome, and the place it gives for a future.
pub(crate) struct Desk<'a> {
    pub(crate) waker: &'a abi::Waker,
    pub(crate) slot: &'a abi::Slot,
    pub(crate) future: &'a mut abi::Future,
    pub(crate) reply: &'a mut abi::Reply,
}

impl Desk<'_> {
    /// Answers at once.
    #[inline]
    pub(crate) fn ready(self, answer: Answer) -> u32 {
        write_reply(self.reply, answer);
        status::READY
    }

    /// Polls `future` once and leaves it with the host if it is not ready.
    #[inline]
    pub(crate) fn start<F: Future<Output = Answer> + Send>(self, future: F) -> u32 {
        if size_of::<F>() <= self.slot.size && align_of::<F>() <= self.slot.align {
            let place = self.slot.data.cast::<F>();
            // SAFETY: the slot is the host's gift: large and aligned enough, and nobody
            // else's until this future is ready or dropped.
            unsafe { place.write(future) };
            self.first_poll::<F>(place, false)
        } else {
            self.first_poll::<F>(Box::into_raw(Box::new(future)), true)
        }
    }

    fn first_poll<F: Future<Output = Answer> + Send>(self, place: *mut F, boxed: bool) -> u32 {
        let (poll, drop): (PollFn, DropFn) = if boxed {
            (poll_at::<F, true>, drop_at::<F, true>)
        } else {
            (poll_at::<F, false>, drop_at::<F, false>)
        };
        let status = poll(place.cast(), self.waker, self.reply);
        if status == status::PENDING {
            *self.future = abi::Future {
                data: place.cast(),
                poll,
                drop,
            };
        }
        status
    }
}

/// Boxes a future for the host, unpolled.
pub(crate) fn boxed<F: Future<Output = Answer> + Send + 'static>(future: F) -> abi::Future {
    abi::Future {
        data: Box::into_raw(Box::new(future)).cast(),
        poll: poll_at::<F, true>,
        drop: drop_at::<F, true>,
    }
}

#[inline]
pub(crate) fn write_reply(reply: &mut abi::Reply, answer: Answer) {
    reply.number = answer.number;
    reply.content_type = abi::content_type::JSON;
    reply.headers = answer.headers.into_abi();
    let payload = match answer.result {
        Ok(payload) => {
            reply.code = code::OK;
            payload
        }
        Err(error) => {
            reply.code = error.kind().code();
            error.to_document()
        }
    };
    reply.payload = payload.into_abi();
}

/// Reads and takes over what the other side wrote.
pub(crate) fn read_reply(reply: abi::Reply) -> Answer {
    // SAFETY: a reply hands its buffers over to who asked.
    let payload = unsafe { Payload::from_abi(reply.payload) };
    // SAFETY: as above.
    let headers = unsafe { Payload::from_abi(reply.headers) };
    let result = match reply.code {
        code::OK => Ok(payload),
        code => Err(Error::from_document(code, &payload)),
    };
    Answer {
        number: reply.number,
        result,
        headers,
    }
}

/// A reply to be written into.
pub(crate) fn empty_reply() -> abi::Reply {
    abi::Reply {
        code: code::OK,
        content_type: abi::content_type::JSON,
        number: 0,
        payload: Payload::empty().into_abi(),
        headers: Payload::empty().into_abi(),
    }
}

type PollFn = extern "C" fn(*mut (), &abi::Waker, &mut abi::Reply) -> u32;
type DropFn = extern "C" fn(*mut ());

extern "C" fn poll_at<F: Future<Output = Answer> + Send, const BOXED: bool>(
    data: *mut (),
    waker: &abi::Waker,
    reply: &mut abi::Reply,
) -> u32 {
    let place = data.cast::<F>();
    let polled = guarded(|| {
        let _inside = InPoll::enter();
        // SAFETY: the host polls a future only until it is ready or dropped, and never twice
        // at once: so it is alive, and ours alone now.
        let future = unsafe { &mut *place };
        // SAFETY: the host leaves a future where it is until it is dropped.
        let future = unsafe { Pin::new_unchecked(future) };
        with_waker(waker, |waker| future.poll(&mut Context::from_waker(waker)))
    });
    let answer = match polled {
        Ok(Poll::Pending) => return status::PENDING,
        Ok(Poll::Ready(answer)) => answer,
        Err(panic) => Err(panic).into(),
    };
    drop_at::<F, BOXED>(data);
    write_reply(reply, answer);
    status::READY
}

extern "C" fn drop_at<F, const BOXED: bool>(data: *mut ()) {
    let place = data.cast::<F>();
    guarded_quietly("dropping a future", || {
        if BOXED {
            // SAFETY: boxed by `start` or `boxed`; the host drops it at most once.
            drop(unsafe { Box::from_raw(place) });
        } else {
            // SAFETY: written by `start`; the host drops it at most once.
            unsafe { place.drop_in_place() };
        }
    });
}
