//! One instance, from the moment it is to be made: what it asks of the kernel, and its tasks.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use octa_loader::Outcome;
use octa_plugin_abi::code;
use octa_plugin_api::{Error, Payload};
use octa_wire::{Answer, ToKernel};
use parking_lot::Mutex;

use crate::{listening::Listening, tasks::Tasks, worker::Worker};

/// An instance, or one that is being made.
pub(crate) struct Seat {
    pub(crate) worker: &'static Worker,
    pub(crate) number: u32,
    pub(crate) tasks: Tasks,
    pub(crate) listening: Listening,
    operations: Mutex<HashMap<u64, Arc<Mutex<Meeting>>>>,
    next: AtomicU64,
}

/// Where the outcome of an operation is handed over.
#[derive(Default)]
struct Meeting {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

impl Seat {
    pub(crate) fn new(worker: &'static Worker, number: u32) -> Arc<Self> {
        Arc::new(Self {
            worker,
            number,
            tasks: Tasks::default(),
            listening: Listening::default(),
            operations: Mutex::default(),
            next: AtomicU64::new(1),
        })
    }

    /// A number that neither an operation nor a task of this instance ever has again.
    pub(crate) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts an operation: `submit` makes the message of its number.
    pub(crate) fn ask<'a>(
        self: &Arc<Self>,
        submit: impl FnOnce(u64) -> ToKernel<'a>,
    ) -> Result<Operation, Error> {
        let number = self.next();
        let meeting = Arc::<Mutex<Meeting>>::default();
        self.operations.lock().insert(number, meeting.clone());
        self.worker.send(&submit(number)).inspect_err(|_| {
            self.operations.lock().remove(&number);
        })?;
        Ok(Operation {
            seat: self.clone(),
            number,
            meeting,
            is_taken: false,
        })
    }

    /// The kernel answers an operation; one that was ended meanwhile is not there. Wakes who waits,
    /// which may be code of the plugin's.
    pub(crate) fn reply(&self, operation: u64, answer: &Answer<'_>) {
        let Some(meeting) = self.operations.lock().remove(&operation) else {
            return;
        };
        let waker = {
            let mut meeting = meeting.lock();
            meeting.outcome = Some(outcome(answer));
            meeting.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn outcome(answer: &Answer<'_>) -> Outcome {
    Outcome {
        number: answer.number,
        result: match answer.code {
            code::OK => Ok(Payload::copy_from_slice(answer.payload)),
            code => Err(Error::from_document(code, answer.payload)),
        },
        headers: Payload::copy_from_slice(answer.headers),
    }
}

/// An operation that the kernel works on. Dropping it ends it there, or tells that its outcome was
/// not taken.
pub(crate) struct Operation {
    seat: Arc<Seat>,
    number: u64,
    meeting: Arc<Mutex<Meeting>>,
    is_taken: bool,
}

impl Operation {
    /// Who waits for it, if nobody has woken them.
    pub(crate) fn take_waker(&self) -> Option<Waker> {
        self.meeting.lock().waker.take()
    }
}

impl Future for Operation {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Self {
            meeting, is_taken, ..
        } = &mut *self;
        let mut meeting = meeting.lock();
        match meeting.outcome.take() {
            Some(outcome) => {
                *is_taken = true;
                Poll::Ready(outcome)
            }
            None => {
                let before = meeting.waker.replace(cx.waker().clone());
                drop(meeting);
                // Not under the lock: it may be code of the plugin's.
                drop(before);
                Poll::Pending
            }
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if !self.is_taken {
            self.seat.operations.lock().remove(&self.number);
            self.seat.worker.tell(&ToKernel::CancelOperation {
                instance: self.seat.number,
                number: self.number,
            });
        }
    }
}
