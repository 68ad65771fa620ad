//! Operations of the host that a plugin waits for, by number.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;
use slab::Slab;

use crate::{
    bridge::{BoxFuture, Host},
    outcome::Outcome,
};

/// One operation; `None` once it is finished, so that a plugin that polls on is told so.
type Operation = Mutex<Option<BoxFuture<Outcome>>>;

/// The operations under way of one instance.
#[derive(Default)]
pub(crate) struct Operations {
    /// Numbers to operations; each is locked by itself while it is polled.
    table: Mutex<Slab<Arc<Operation>>>,
}

impl Operations {
    /// Polls a new operation once; answers its number if it waits.
    pub(crate) fn begin(
        &self,
        mut future: BoxFuture<Outcome>,
        cx: &mut Context<'_>,
    ) -> Result<Poll<Outcome>, u64> {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            Err(self.keep(future))
        } else {
            Ok(polled)
        }
    }

    /// Keeps an operation that was polled already; answers its number.
    pub(crate) fn keep(&self, future: BoxFuture<Outcome>) -> u64 {
        self.table.lock().insert(Arc::new(Mutex::new(Some(future)))) as u64
    }

    /// Goes on with an operation; `None` if there is none of this number.
    pub(crate) fn poll(&self, number: u64, cx: &mut Context<'_>) -> Option<Poll<Outcome>> {
        let key = usize::try_from(number).ok()?;
        let operation = self.table.lock().get(key)?.clone();
        let mut running = operation.lock();
        let polled = running.as_mut()?.as_mut().poll(cx);
        if polled.is_ready() {
            *running = None;
            drop(running);
            self.cancel(number);
        }
        Some(polled)
    }

    /// Ends an operation, if there is one of this number.
    pub(crate) fn cancel(&self, number: u64) {
        let Ok(key) = usize::try_from(number) else {
            return;
        };
        let ended = self.table.lock().try_remove(key);
        // Dropped here, with the table unlocked: its drop may come back to end others.
        drop(ended);
    }

    /// Ends all operations.
    pub(crate) fn clear(&self) {
        let ended = std::mem::take(&mut *self.table.lock());
        drop(ended);
    }
}

/// Drives a future on a thread of the host; what is returned only waits for it.
/// Dropping that drops the future at its next await.
pub(crate) fn elsewhere(host: &dyn Host, mut future: BoxFuture<Outcome>) -> BoxFuture<Outcome> {
    let meeting = Arc::new(Mutex::new(Meeting::default()));
    let there = meeting.clone();
    host.drive(Box::pin(std::future::poll_fn(move |cx| {
        if there.lock().nobody_waits(cx.waker()) {
            return Poll::Ready(());
        }
        let Poll::Ready(outcome) = future.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        there.lock().arrive(outcome);
        Poll::Ready(())
    })));
    Box::pin(Waiting(meeting))
}

/// Where an outcome is handed over between two threads.
#[derive(Default)]
struct Meeting {
    outcome: Option<Outcome>,
    waiting: Option<Waker>,
    driving: Option<Waker>,
    abandoned: bool,
}

impl Meeting {
    fn nobody_waits(&mut self, driving: &Waker) -> bool {
        self.driving = Some(driving.clone());
        self.abandoned
    }

    fn arrive(&mut self, outcome: Outcome) {
        self.outcome = Some(outcome);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }
}

struct Waiting(Arc<Mutex<Meeting>>);

impl Future for Waiting {
    type Output = Outcome;
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut meeting = self.0.lock();
        match meeting.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                meeting.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut meeting = self.0.lock();
        meeting.abandoned = true;
        if let Some(driving) = meeting.driving.take() {
            driving.wake();
        }
    }
}
