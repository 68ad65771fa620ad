//! The bounded queue of one subscription, which outlives its consumers; who is matched, and who
//! consumes, is decided elsewhere.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use octa_loader::{Overflow, Pattern};
use parking_lot::{Mutex, MutexGuard};

use super::Event;
use super::consumption::Consumption;
use super::held::{Held, REPLAYED};
use super::overflow::{self, Notice};
use super::push::Push;
use super::store::Store;
use super::subscription::{Counters, Settings, SubscriptionOptions};

/// One subscription's events, between its publishers and its consumer.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) number: u64,
    pub(super) name: Arc<str>,
    pub(super) pattern: Pattern,
    /// Which of those to this pattern that its plugin has declared, if it has.
    pub(super) declared: Option<usize>,
    pub(super) consumption: Consumption,
    /// Held for a few instructions by a publisher or the consumer, never across a wake or a drop
    /// of an event.
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    capacity: usize,
    overflow: Overflow,
    /// What was given back, by its place; first of all to be taken again. It is beside the
    /// capacity, since it was let in once.
    returned: BTreeMap<u64, Held>,
    store: Store,
    next_place: u64,
    next_replayed: u64,
    /// Set only while the consumer waits, and taken by the one who wakes it: it is woken once
    /// for a burst.
    consumer: Option<Waker>,
    /// Publishers that found no room, in order. While there are any, the store has
    /// no room.
    waiting: VecDeque<Waiting>,
    next_ticket: u64,
    closed: bool,
    /// Nobody takes anything any more.
    ended: bool,
    matched: u64,
    delivered: u64,
    dropped: u64,
    /// How many of the dropped have been told on the overflow topic.
    told: u64,
    /// Whether a drop is to be told that has not been.
    untold: bool,
    /// Whether the overflow report will ask for a notice, without being woken again.
    is_watched: bool,
}

/// A publisher's event that waits for room. It lies here, and not with its publisher, so that
/// none overtakes it.
#[derive(Debug)]
struct Waiting {
    ticket: u64,
    event: Arc<Event>,
    publisher: Option<Waker>,
}

impl Queue {
    pub(super) fn new(number: u64, options: SubscriptionOptions) -> Self {
        Self {
            number,
            name: options.name.into(),
            pattern: options.pattern,
            declared: options.declared,
            consumption: Consumption::default(),
            state: Mutex::new(State::new(options.capacity.max(1), options.overflow)),
        }
    }

    /// Offers an event; never waits for anything but the short lock.
    pub(super) fn push(&self, event: Arc<Event>) -> Push {
        let mut state = self.state.lock();
        if state.closed {
            return Push::Closed;
        }
        state.matched += 1;
        if state.has_room() {
            state.store.push(event);
            return Push::Queued(state.consumer.take());
        }
        state.push_full(event)
    }

    /// Takes in what comes before all else, also beyond the capacity. For a queue that nobody
    /// knows yet.
    pub(super) fn preload(&self, events: Vec<Arc<Event>>) {
        let mut state = self.state.lock();
        state.matched += events.len() as u64;
        events.into_iter().for_each(|event| state.store.push(event));
    }

    /// Takes in an event that was given up before, to be taken before all that wait; gives it
    /// back if nobody takes anything any more.
    pub(super) fn replay(&self, event: Arc<Event>) -> Result<(), Arc<Event>> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(event);
        }
        let place = state.next_replayed;
        state.next_replayed += 1;
        state.matched += 1;
        state.returned.insert(place, Held::new(event, place));
        let consumer = state.consumer.take();
        drop(state);
        wake(consumer);
        Ok(())
    }

    pub(super) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Held>> {
        let mut state = self.state.lock();
        let Some((held, publisher)) = state.pop() else {
            return wait(state, cx).map(|()| None);
        };
        drop(state);
        wake(publisher);
        Poll::Ready(Some(held))
    }

    /// Hands up to `max` events to `take` and says how many; 0 once closed and empty.
    pub(super) fn poll_batch(
        &self,
        cx: &mut Context<'_>,
        max: usize,
        mut take: impl FnMut(Held),
    ) -> Poll<usize> {
        let mut state = self.state.lock();
        let mut publishers = Vec::new();
        let mut moved = 0;
        while moved < max {
            let Some((held, publisher)) = state.pop() else {
                break;
            };
            take(held);
            moved += 1;
            publishers.extend(publisher);
        }
        if moved == 0 && max > 0 {
            return wait(state, cx).map(|()| 0);
        }
        drop(state);
        wake(publishers);
        Poll::Ready(moved)
    }

    pub(super) fn try_next(&self) -> Option<Arc<Event>> {
        let (held, publisher) = self.state.lock().pop()?;
        wake(publisher);
        Some(held.event)
    }

    /// Takes back events that were not begun, or are to be tried again: they come before all
    /// others, in their order. After the [end](Self::end) as there.
    pub(super) fn give_back(&self, held: Vec<Held>) -> Vec<Held> {
        let mut state = self.state.lock();
        state.delivered -= held.len() as u64;
        state
            .returned
            .extend(held.into_iter().map(|held| (held.place, held)));
        if state.ended {
            let (tried, dropped) = state.let_go();
            drop(state);
            drop(dropped);
            return tried;
        }
        let consumer = state.consumer.take();
        drop(state);
        wake(consumer);
        Vec::new()
    }

    /// Goes on with another capacity and policy. They are for what comes: what waits stays, also
    /// beyond a smaller capacity, and publishers that need not wait any more have their place.
    pub(super) fn reshape(&self, capacity: usize, overflow: Overflow) {
        let mut state = self.state.lock();
        state.capacity = capacity.max(1);
        if state.overflow != overflow {
            state.overflow = overflow;
            state.store.reshape(overflow);
        }
        let publishers = state.admit();
        drop(state);
        wake(publishers);
    }

    /// Lets the consumer look again.
    pub(super) fn wake_consumer(&self) {
        let consumer = self.state.lock().consumer.take();
        wake(consumer);
    }

    /// Drops what waits, also what is given back later; who gives back, or ends, is given what
    /// was tried before, which counts as delivered.
    pub(super) fn end(&self) -> Vec<Held> {
        let mut state = self.state.lock();
        state.ended = true;
        let overflow = state.overflow;
        let store = std::mem::replace(&mut state.store, Store::new(overflow));
        state.dropped += store.len() as u64;
        let (tried, dropped) = state.let_go();
        drop(state);
        drop((store, dropped));
        tried
    }

    pub(super) fn is_ended(&self) -> bool {
        self.state.lock().ended
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

    /// Drops what is queued; says whether the overflow report has to be woken. For a queue whose
    /// consumer is gone.
    pub(super) fn clear(&self) -> bool {
        drop(self.end());
        let mut state = self.state.lock();
        state.untold = state.dropped > state.told;
        state.untold && state.watch()
    }

    pub(super) fn counters(&self) -> Counters {
        let state = self.state.lock();
        Counters {
            matched: state.matched,
            delivered: state.delivered,
            dropped: state.dropped,
            queued: state.returned.len() + state.store.len(),
            waiting: state.waiting.len(),
            retried: self.consumption.retried.load(Ordering::Relaxed),
            dead: self.consumption.dead.load(Ordering::Relaxed),
        }
    }

    pub(super) fn settings(&self) -> Settings {
        let state = self.state.lock();
        Settings {
            capacity: state.capacity,
            overflow: state.overflow,
            concurrency: self.consumption.concurrency.load(Ordering::Relaxed).max(1),
            is_declared: self.declared.is_some(),
        }
    }

    /// What is to be told on the overflow topic, once. If there is nothing, the report is woken by
    /// the next drop; else it is not, and is to ask again.
    pub(super) fn take_notice(&self) -> Option<Notice<'_>> {
        let mut state = self.state.lock();
        let untold = std::mem::take(&mut state.untold);
        state.is_watched = untold;
        untold.then(|| self.notice(&mut state))
    }

    /// The same for a queue that has ended: no other notice comes that would count what is left.
    pub(super) fn take_last_notice(&self) -> Option<Notice<'_>> {
        let mut state = self.state.lock();
        state.untold = false;
        (state.dropped > state.told).then(|| self.notice(&mut state))
    }

    fn notice(&self, state: &mut State) -> Notice<'_> {
        let dropped = state.dropped - state.told;
        state.told = state.dropped;
        Notice {
            subscription: &self.name,
            pattern: self.pattern.as_str(),
            dropped,
        }
    }
}

impl State {
    fn new(capacity: usize, overflow: Overflow) -> Self {
        Self {
            capacity,
            overflow,
            returned: BTreeMap::new(),
            store: Store::new(overflow),
            next_place: 0,
            next_replayed: REPLAYED,
            consumer: None,
            waiting: VecDeque::new(),
            next_ticket: 0,
            closed: false,
            ended: false,
            matched: 0,
            delivered: 0,
            dropped: 0,
            told: 0,
            untold: false,
            is_watched: false,
        }
    }

    fn has_room(&self) -> bool {
        self.store.len() < self.capacity
    }

    #[cold]
    fn push_full(&mut self, event: Arc<Event>) -> Push {
        let quiet = overflow::is_notice(&event);
        let event = match self.overflow {
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

    /// Counts a dropped event; says whether the overflow report has to be woken.
    ///
    /// What is dropped because of a notice is counted in the next one, but is no reason for one:
    /// a full queue that receives notices would otherwise be told of for ever.
    fn count_drop(&mut self, quiet: bool) -> bool {
        self.dropped += 1;
        self.untold |= !quiet;
        !quiet && self.watch()
    }

    /// Has the overflow report ask for a notice; says whether it has to be woken for that.
    fn watch(&mut self) -> bool {
        !std::mem::replace(&mut self.is_watched, true)
    }

    /// Takes the next event, and lets the first that waits for room have its place.
    fn pop(&mut self) -> Option<(Held, Option<Waker>)> {
        if let Some((_, held)) = self.returned.pop_first() {
            self.delivered += 1;
            return Some((held, None));
        }
        let event = self.store.pop()?;
        self.delivered += 1;
        let place = self.next_place;
        self.next_place += 1;
        let publisher = if self.has_room() {
            self.waiting.pop_front().and_then(|waiting| {
                self.store.push(waiting.event);
                waiting.publisher
            })
        } else {
            None
        };
        Some((Held::new(event, place), publisher))
    }

    /// Lets in what waits and need not, after the capacity or the policy has changed.
    fn admit(&mut self) -> Vec<Waker> {
        let mut publishers = Vec::new();
        while self.has_room() || self.overflow != Overflow::BackPressure {
            let Some(waiting) = self.waiting.pop_front() else {
                break;
            };
            self.store.push(waiting.event);
            publishers.extend(waiting.publisher);
        }
        publishers
    }

    /// Takes out what was given back: what was tried before, and the rest, which is dropped.
    fn let_go(&mut self) -> (Vec<Held>, Vec<Held>) {
        let returned = std::mem::take(&mut self.returned).into_values();
        let (tried, rest): (Vec<_>, Vec<_>) = returned.partition(Held::was_tried);
        self.delivered += tried.len() as u64;
        self.dropped += rest.len() as u64;
        (tried, rest)
    }

    fn find_waiting(&self, ticket: u64) -> Option<usize> {
        self.waiting
            .binary_search_by_key(&ticket, |waiting| waiting.ticket)
            .ok()
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
