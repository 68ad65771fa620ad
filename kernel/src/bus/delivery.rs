//! What a publish resolves to, and the wait for room in back-pressure subscriptions; the waiting
//! event itself lies in `queue`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::hub::Hub;
use super::queue::Queue;

/// What came of a publish. Awaiting it gives the number of matched subscriptions in either case.
#[derive(Debug)]
#[must_use = "an event that waits for room is withdrawn when its outcome is dropped"]
pub enum PublishOutcome {
    /// Every subscription has dealt with the event; this many matched.
    Ready(usize),
    /// Some back-pressure subscriptions are full; the others have the event already.
    Waiting(Delivery),
}

/// Resolves when no subscription waits for room any more.
///
/// Dropped before, it withdraws the event from the subscriptions that are still full; each
/// counts it as dropped.
#[derive(Debug)]
#[must_use = "an event that waits for room is withdrawn when its delivery is dropped"]
pub struct Delivery {
    hub: Arc<Hub>,
    matched: usize,
    waiting: Vec<(Arc<Queue>, u64)>,
}

impl Delivery {
    pub(super) fn new(hub: Arc<Hub>, matched: usize, waiting: Vec<(Arc<Queue>, u64)>) -> Self {
        Self {
            hub,
            matched,
            waiting,
        }
    }

    /// Whether any subscription still waits for room. Nobody is woken when none does any more.
    pub(crate) fn is_pending(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(self).poll(&mut cx).is_pending()
    }

    /// Withdraws the event from the subscriptions that `stuck` waits for, and from no others.
    pub(crate) fn give_up_on(&mut self, stuck: &Self) {
        let is_stuck =
            |queue: &Arc<Queue>| stuck.waiting.iter().any(|(it, _)| Arc::ptr_eq(it, queue));
        let given_up = self.waiting.extract_if(.., |(queue, _)| is_stuck(queue));
        withdraw(&self.hub, given_up);
    }

    /// Waits from now on for what `other` waits for, too.
    pub(crate) fn join(&mut self, mut other: Self) {
        self.waiting.append(&mut other.waiting);
    }
}

/// Takes an event back from where it still waits.
fn withdraw(hub: &Hub, tickets: impl Iterator<Item = (Arc<Queue>, u64)>) {
    for (queue, ticket) in tickets {
        if queue.withdraw(ticket) {
            hub.overflowed(&queue);
        }
    }
}

impl Future for PublishOutcome {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        match self.get_mut() {
            Self::Ready(matched) => Poll::Ready(*matched),
            Self::Waiting(delivery) => Pin::new(delivery).poll(cx),
        }
    }
}

impl Future for Delivery {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        self.waiting
            .retain(|(queue, ticket)| queue.poll_admitted(*ticket, cx).is_pending());
        if self.waiting.is_empty() {
            Poll::Ready(self.matched)
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        withdraw(&self.hub, self.waiting.drain(..));
    }
}
