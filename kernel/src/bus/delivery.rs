//! What a publish resolves to, and the wait for room in back-pressure subscriptions; the waiting
//! event itself lies in `queue`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

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
        for (queue, ticket) in self.waiting.drain(..) {
            if queue.withdraw(ticket) {
                self.hub.overflowed();
            }
        }
    }
}
