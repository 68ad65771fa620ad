//! The receiving end; the events lie in `queue`, which one consumer can hand to the next.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use octa_loader::{Overflow, Pattern};

use super::held::Held;
use super::hub::Hub;
use super::queue::Queue;
use super::{Event, Publisher};

/// What to subscribe to, and how.
#[derive(Debug, Clone)]
pub struct SubscriptionOptions {
    /// Who subscribes; for diagnostics.
    pub name: String,
    /// The topics wanted.
    pub pattern: Pattern,
    /// How many events may wait for the consumer; 0 is taken as 1.
    pub capacity: usize,
    /// What gives way when as many wait already.
    ///
    /// To keep the latest is to drop first what a newer event of its topic supersedes, oldest
    /// first;
    /// if there is none, the oldest of all.
    pub overflow: Overflow,
    /// Which of those to this pattern that a plugin has declared, if it has.
    pub(crate) declared: Option<usize>,
}

/// What a subscription has done so far. Of the matched, each is delivered, dropped, queued or
/// waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Events that matched the pattern.
    pub matched: u64,
    /// Events taken by the consumer.
    pub delivered: u64,
    /// Events given up: by the overflow policy, by a publisher that stopped waiting, or by the
    /// end.
    pub dropped: u64,
    /// Events that wait for the consumer.
    pub queued: usize,
    /// Events that wait for room.
    pub waiting: usize,
    /// How often an event was to be tried again, since its handler failed.
    pub retried: u64,
    /// Events of the delivered that were given up: dead letters.
    pub dead: u64,
}

/// How a subscription is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) capacity: usize,
    pub(crate) overflow: Overflow,
    pub(crate) concurrency: u32,
    pub(crate) is_declared: bool,
}

/// A subscription seen from outside: for diagnostics, and to close it while its consumer waits.
#[derive(Debug, Clone)]
pub struct SubscriptionHandle {
    hub: Arc<Hub>,
    queue: Arc<Queue>,
}

/// The right to receive one subscription's events; dropping it unsubscribes.
///
/// A receive that is cancelled has taken nothing, so the queue can be handed from one consumer
/// to the next.
#[derive(Debug)]
pub struct Subscription {
    handle: SubscriptionHandle,
}

impl SubscriptionOptions {
    /// Room for 1,024 events, of which the oldest give way.
    pub fn new(name: impl Into<String>, pattern: Pattern) -> Self {
        Self {
            name: name.into(),
            pattern,
            capacity: 1024,
            overflow: Overflow::default(),
            declared: None,
        }
    }

    /// The same with another capacity.
    #[must_use]
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// The same with another overflow policy.
    #[must_use]
    pub fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }
}

impl SubscriptionHandle {
    pub(super) fn new(hub: Arc<Hub>, queue: Arc<Queue>) -> Self {
        Self { hub, queue }
    }

    /// Who subscribed.
    pub fn name(&self) -> &str {
        &self.queue.name
    }

    /// The topics wanted.
    pub fn pattern(&self) -> &Pattern {
        &self.queue.pattern
    }

    /// What the subscription has done so far.
    pub fn counters(&self) -> Counters {
        self.queue.counters()
    }

    pub(crate) fn settings(&self) -> Settings {
        self.queue.settings()
    }

    /// Which of its plugin's to this pattern it is, if it was declared.
    pub(crate) fn which(&self) -> Option<usize> {
        self.queue.declared
    }

    /// Counts an event that is to be tried again.
    pub(crate) fn count_retry(&self) {
        self.queue.consumption.count_retry();
    }

    /// Counts an event that is given up.
    pub(crate) fn count_dead(&self) {
        self.queue.consumption.count_dead();
    }

    /// Takes no more events in and lets waiting publishers go; what is queued can still be
    /// received.
    pub fn close(&self) {
        self.hub.unsubscribe(&self.queue);
    }
}

impl Subscription {
    pub(super) fn new(handle: SubscriptionHandle) -> Self {
        Self { handle }
    }

    /// The next event; none once the subscription is closed and its queue empty.
    pub async fn recv(&mut self) -> Option<Arc<Event>> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Waits for an event, then moves up to `max` to the end of `buffer`, and says how many: 0
    /// once closed and empty.
    pub async fn recv_batch(&mut self, buffer: &mut Vec<Arc<Event>>, max: usize) -> usize {
        poll_fn(|cx| self.poll_batch(cx, buffer, max)).await
    }

    /// The next event if one is queued.
    pub fn try_recv(&mut self) -> Option<Arc<Event>> {
        self.handle.queue.try_next()
    }

    /// The poll form of [`recv`](Self::recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Arc<Event>>> {
        let polled = self.handle.queue.poll_next(cx);
        polled.map(|held| held.map(|held| held.event))
    }

    /// The same of one that may be [given back](Self::give_back).
    pub(crate) fn poll_next_held(&self, cx: &mut Context<'_>) -> Poll<Option<Held>> {
        self.handle.queue.poll_next(cx)
    }

    /// The poll form of [`recv_batch`](Self::recv_batch).
    pub fn poll_batch(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<Arc<Event>>,
        max: usize,
    ) -> Poll<usize> {
        let queue = &self.handle.queue;
        queue.poll_batch(cx, max, |held| buffer.push(held.event))
    }

    /// Takes events that may be [given back](Self::give_back). For consumers that take turns;
    /// one may wait at a time.
    pub(crate) fn poll_held(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<Held>,
        max: usize,
    ) -> Poll<usize> {
        let queue = &self.handle.queue;
        queue.poll_batch(cx, max, |held| buffer.push(held))
    }

    /// Gives events back: they are the next to be taken, in the order they were taken first.
    /// After the [end](Self::end) what was tried before comes back, and the rest is dropped.
    pub(crate) fn give_back(&self, held: Vec<Held>) -> Vec<Held> {
        self.handle.queue.give_back(held)
    }

    /// Goes on with another capacity and overflow policy. They are for what comes: what waits
    /// stays, also beyond a smaller capacity.
    pub(crate) fn reshape(&self, capacity: usize, overflow: Overflow) {
        self.handle.queue.reshape(capacity, overflow);
    }

    /// Says how many events are handled at once, for diagnostics.
    pub(crate) fn set_concurrency(&self, concurrency: u32) {
        self.handle.queue.consumption.set_concurrency(concurrency);
    }

    /// Wakes a consumer that waits, to look at something else than the queue.
    pub(crate) fn wake(&self) {
        self.handle.queue.wake_consumer();
    }

    /// Closes it and drops what waits; answers what was tried before and given back.
    pub(crate) fn end(&self) -> Vec<Held> {
        self.close();
        self.handle.queue.end()
    }

    /// Whether what is given back is dropped.
    pub(crate) fn is_ended(&self) -> bool {
        self.handle.queue.is_ended()
    }

    /// Tells what was dropped up to its [end](Self::end).
    pub(crate) fn tell_last(&self, publisher: &Publisher) {
        if let Some(notice) = self.handle.queue.take_last_notice() {
            notice.tell(publisher);
        }
    }

    /// What the subscription has done so far.
    pub fn counters(&self) -> Counters {
        self.handle.counters()
    }

    /// Takes no more events in; what is queued can still be received.
    pub fn close(&self) {
        self.handle.close();
    }

    /// A view of it for others than the consumer.
    pub fn handle(&self) -> SubscriptionHandle {
        self.handle.clone()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let SubscriptionHandle { hub, queue } = &self.handle;
        hub.unsubscribe(queue);
        hub.clear(queue);
    }
}
