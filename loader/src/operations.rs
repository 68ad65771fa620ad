//! Operations of the host that a plugin waits for, by number.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use parking_lot::Mutex;

use crate::{
    bridge::{BoxFuture, Host},
    outcome::Outcome,
};

/// One operation.
struct Operation {
    /// `None` once it is finished, so that a plugin that polls on is told so.
    future: Mutex<Option<BoxFuture<Outcome>>>,
    /// Who waits, to be told when the instance ends.
    waker: Mutex<Option<Waker>>,
}

/// The operations under way of one instance.
pub(crate) struct Operations {
    /// By number; `None` when the instance has ended. Each is locked by itself while it is polled.
    table: Mutex<Option<HashMap<u64, Arc<Operation>>>>,
    next: AtomicU64,
}

impl Default for Operations {
    fn default() -> Self {
        Self {
            table: Mutex::new(Some(HashMap::new())),
            next: AtomicU64::new(1),
        }
    }
}

impl Operations {
    /// Polls a new operation once; answers its number if it waits. `None` if the instance has
    /// ended.
    pub(crate) fn begin(
        &self,
        mut future: BoxFuture<Outcome>,
        cx: &mut Context<'_>,
    ) -> Option<Result<Poll<Outcome>, u64>> {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            self.keep(future, cx).map(Err)
        } else {
            Some(Ok(polled))
        }
    }

    /// Keeps an operation that was polled already; answers its number, never one again.
    pub(crate) fn keep(&self, future: BoxFuture<Outcome>, cx: &Context<'_>) -> Option<u64> {
        let operation = Arc::new(Operation {
            future: Mutex::new(Some(future)),
            waker: Mutex::new(Some(cx.waker().clone())),
        });
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.table.lock().as_mut()?.insert(number, operation);
        Some(number)
    }

    /// Goes on with an operation; `None` if there is none of this number.
    pub(crate) fn poll(&self, number: u64, cx: &mut Context<'_>) -> Option<Poll<Outcome>> {
        let operation = self.table.lock().as_ref()?.get(&number)?.clone();
        let mut running = operation.future.lock();
        let polled = running.as_mut()?.as_mut().poll(cx);
        if polled.is_ready() {
            *running = None;
            drop(running);
            self.cancel(number);
        } else {
            *operation.waker.lock() = Some(cx.waker().clone());
        }
        Some(polled)
    }

    /// Ends an operation, if there is one of this number.
    pub(crate) fn cancel(&self, number: u64) {
        let ended = self
            .table
            .lock()
            .as_mut()
            .and_then(|table| table.remove(&number));
        // Dropped here, with the table unlocked: its drop may come back to end others.
        drop(ended);
    }

    /// Ends all operations, for good. Who waits is woken, polls again, and is told.
    pub(crate) fn clear(&self) {
        let Some(ended) = self.table.lock().take() else {
            return;
        };
        let waiting = |operation: &Arc<Operation>| operation.waker.lock().take();
        let wakers: Vec<Waker> = ended.values().filter_map(waiting).collect();
        drop(ended);
        wakers.into_iter().for_each(Waker::wake);
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
        let waiting = there.lock().arrive(outcome);
        // Not under the lock: waking may poll at once.
        if let Some(waiting) = waiting {
            waiting.wake();
        }
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

    fn arrive(&mut self, outcome: Outcome) -> Option<Waker> {
        self.outcome = Some(outcome);
        self.waiting.take()
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
        let driving = {
            let mut meeting = self.0.lock();
            meeting.abandoned = true;
            meeting.driving.take()
        };
        if let Some(driving) = driving {
            driving.wake();
        }
    }
}
