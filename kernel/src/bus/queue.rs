//! The bounded queue of one subscription, which outlives its consumers; who is matched, and who
//! consumes, is decided elsewhere.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use octa_loader::{Overflow, Pattern};
use parking_lot::{Mutex, MutexGuard};

use super::Event;
use super::latest::LatestStore;
use super::overflow::{self, Notice};
use super::subscription::{Counters, SubscriptionOptions};

/// One subscription's events, between its publishers and its consumer.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) number: u64,
    pub(super) name: Arc<str>,
    pub(super) pattern: Pattern,
    capacity: usize,
    overflow: Overflow,
    /// Held for a few instructions by a publisher or the consumer, never across a wake or a drop
    /// of an event.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    store: Store,
    /// Set only while the consumer waits, and taken by the one who wakes it: it is woken once
    /// for a burst.
    consumer: Option<Waker>,
    /// Publishers that found no room, in order. While there are any, the store is full.
    waiting: VecDeque<Waiting>,
    next_ticket: u64,
    closed: bool,
    matched: u64,
    delivered: u64,
    dropped: u64,
    /// How many of the dropped have been told on the overflow topic.
    told: u64,
    /// Whether a drop is to be told that has not been.
    untold: bool,
}

#[derive(Debug)]
enum Store {
    Fifo(VecDeque<Arc<Event>>),
    Latest(LatestStore),
}

/// A publisher's event that waits for room. It lies here, and not with its publisher, so that
/// none overtakes it.
#[derive(Debug)]
struct Waiting {
    ticket: u64,
    event: Arc<Event>,
    publisher: Option<Waker>,
}

/// What became of an event at one queue.
#[derive(Debug)]
pub(super) enum Push {
    /// It is in the queue; the consumer is to be woken if there is one.
    Queued(Option<Waker>),
    /// An event was dropped, this or an older one; `tell` if the overflow report has to be woken.
    Dropped {
        event: Option<Arc<Event>>,
        tell: bool,
    },
    /// It waits for room under this ticket.
    Waiting(u64),
    /// The subscription is closed.
    Closed,
}

impl Queue {
    pub(super) fn new(number: u64, options: SubscriptionOptions) -> Self {
        let store = match options.overflow {
            Overflow::KeepLatest => Store::Latest(LatestStore::default()),
            _ => Store::Fifo(VecDeque::new()),
        };
        Self {
            number,
            name: options.name.into(),
            pattern: options.pattern,
            capacity: options.capacity.max(1),
            overflow: options.overflow,
            state: Mutex::new(State::new(store)),
        }
    }

    /// Offers an event; never waits for anything but the short lock.
    pub(super) fn push(&self, event: Arc<Event>) -> Push {
        let mut state = self.state.lock();
        if state.closed {
            return Push::Closed;
        }
        state.matched += 1;
        if state.store.len() < self.capacity {
            state.store.push(event);
            return Push::Queued(state.consumer.take());
        }
        state.push_full(event, self.overflow)
    }

    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Arc<Event>>> {
        let mut state = self.state.lock();
        let Some((event, publisher)) = state.pop() else {
            return wait(state, cx).map(|()| None);
        };
        drop(state);
        wake(publisher);
        Poll::Ready(Some(event))
    }

    /// Moves up to `max` events to the end of `buffer` and says how many; 0 once closed and
    /// empty.
    pub(super) fn poll_batch(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<Arc<Event>>,
        max: usize,
    ) -> Poll<usize> {
        let mut state = self.state.lock();
        let mut publishers = Vec::new();
        let before = buffer.len();
        while buffer.len() - before < max {
            let Some((event, publisher)) = state.pop() else {
                break;
            };
            buffer.push(event);
            publishers.extend(publisher);
        }
        let moved = buffer.len() - before;
        if moved == 0 && max > 0 {
            return wait(state, cx).map(|()| 0);
        }
        drop(state);
        wake(publishers);
        Poll::Ready(moved)
    }

    pub(super) fn try_next(&self) -> Option<Arc<Event>> {
        let (event, publisher) = self.state.lock().pop()?;
        wake(publisher);
        Some(event)
    }

    /// Whether the event under this ticket waits no longer: it has its place, or the queue was
    /// closed.
    pub(super) fn poll_admitted(&self, ticket: u64, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        let Some(index) = state.find_waiting(ticket) else {
            return Poll::Ready(());
        };
        let previous = state.waiting[index].publisher.replace(cx.waker().clone());
        drop(state);
        drop(previous);
        Poll::Pending
    }

    /// Takes back an event that still waits; says whether the overflow report has to be woken.
    pub(super) fn withdraw(&self, ticket: u64) -> bool {
        let mut state = self.state.lock();
        let Some(index) = state.find_waiting(ticket) else {
            return false;
        };
        let waiting = state.waiting.remove(index);
        let tell = waiting
            .as_ref()
            .is_some_and(|waiting| state.count_drop(overflow::is_notice(&waiting.event)));
        drop(state);
        tell
    }

    /// Takes nothing more in; what is queued can still be received.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let waiting = std::mem::take(&mut state.waiting);
        state.dropped += waiting.len() as u64;
        let consumer = state.consumer.take();
        drop(state);
        wake(consumer);
        wake(waiting.into_iter().filter_map(|waiting| waiting.publisher));
    }

    /// Drops what is queued. For a queue whose consumer is gone.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        let store = std::mem::replace(&mut state.store, Store::Fifo(VecDeque::new()));
        state.dropped += store.len() as u64;
        drop(state);
        drop(store);
    }

    pub(super) fn counters(&self) -> Counters {
        let state = self.state.lock();
        Counters {
            matched: state.matched,
            delivered: state.delivered,
            dropped: state.dropped,
            queued: state.store.len(),
            waiting: state.waiting.len(),
        }
    }

    /// What is to be told on the overflow topic, once.
    pub(super) fn take_notice(&self) -> Option<Notice<'_>> {
        let mut state = self.state.lock();
        if !std::mem::take(&mut state.untold) {
            return None;
        }
        let dropped = state.dropped - state.told;
        state.told = state.dropped;
        Some(Notice {
            subscription: &self.name,
            pattern: self.pattern.as_str(),
            dropped,
        })
    }
}

impl State {
    fn new(store: Store) -> Self {
        Self {
            store,
            consumer: None,
            waiting: VecDeque::new(),
            next_ticket: 0,
            closed: false,
            matched: 0,
            delivered: 0,
            dropped: 0,
            told: 0,
            untold: false,
        }
    }

    #[cold]
    fn push_full(&mut self, event: Arc<Event>, overflow: Overflow) -> Push {
        let quiet = overflow::is_notice(&event);
        let event = match overflow {
            Overflow::DropNewest => Some(event),
            Overflow::DropOldest | Overflow::KeepLatest => self.store.displace(event),
            Overflow::BackPressure => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.waiting.push_back(Waiting {
                    ticket,
                    event,
                    publisher: None,
                });
                return Push::Waiting(ticket);
            }
        };
        let tell = self.count_drop(quiet);
        Push::Dropped { event, tell }
    }

    /// Counts a dropped event; says whether it is the first that is to be told.
    ///
    /// What is dropped because of a notice is counted in the next one, but is no reason for one:
    /// a full queue that receives notices would otherwise be told of for ever.
    fn count_drop(&mut self, quiet: bool) -> bool {
        self.dropped += 1;
        !quiet && !std::mem::replace(&mut self.untold, true)
    }

    /// Takes the next event, and lets the first that waits for room have its place.
    fn pop(&mut self) -> Option<(Arc<Event>, Option<Waker>)> {
        let event = self.store.pop()?;
        self.delivered += 1;
        let publisher = self.waiting.pop_front().and_then(|waiting| {
            self.store.push(waiting.event);
            waiting.publisher
        });
        Some((event, publisher))
    }

    fn find_waiting(&self, ticket: u64) -> Option<usize> {
        self.waiting
            .binary_search_by_key(&ticket, |waiting| waiting.ticket)
            .ok()
    }
}

impl Store {
    fn len(&self) -> usize {
        match self {
            Self::Fifo(events) => events.len(),
            Self::Latest(events) => events.len(),
        }
    }

    fn push(&mut self, event: Arc<Event>) {
        match self {
            Self::Fifo(events) => events.push_back(event),
            Self::Latest(events) => events.push(event),
        }
    }

    fn pop(&mut self) -> Option<Arc<Event>> {
        match self {
            Self::Fifo(events) => events.pop_front(),
            Self::Latest(events) => events.pop(),
        }
    }

    /// Takes an event into the full store and gives back the one that makes room for it.
    fn displace(&mut self, event: Arc<Event>) -> Option<Arc<Event>> {
        match self {
            Self::Fifo(events) => {
                let oldest = events.pop_front();
                events.push_back(event);
                oldest
            }
            Self::Latest(events) => {
                events.push(event);
                events.evict()
            }
        }
    }
}

/// Enters the consumer of an empty queue. The waker it replaces may own a task, so it is dropped
/// outside the lock.
fn wait(mut state: MutexGuard<'_, State>, cx: &Context<'_>) -> Poll<()> {
    if state.closed {
        return Poll::Ready(());
    }
    let previous = state.consumer.replace(cx.waker().clone());
    drop(state);
    drop(previous);
    Poll::Pending
}

fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}
