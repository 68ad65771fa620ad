//! Subscriptions that an instance makes while it runs, by number.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use octa_loader::{Outcome, Pattern, Submitted};
use octa_plugin_api::{Error, ErrorKind, Payload};
use parking_lot::Mutex;
use serde_json::json;

use super::errors;
use crate::bus::{Bus, Event, Held, Subscription, SubscriptionOptions};

/// How many events wait if the plugin does not say.
const CAPACITY: usize = 1024;

/// The subscriptions of one instance.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// In the order they were made in.
    inboxes: BTreeMap<u64, Arc<Inbox>>,
    /// Numbers are never used again, also after [`clear`](Subscriptions::clear).
    last: u64,
    /// No more are taken.
    ended: bool,
}

/// The plugin's end of a subscription.
#[derive(Debug)]
pub(super) struct Inbox {
    number: u64,
    pattern: Pattern,
    capacity: usize,
    /// Locked by who receives while that looks for an event.
    state: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    queue: Queue,
    /// The event that was answered last, while the future is kept that answered with it.
    answered: Option<Held>,
    /// Who waits, to be told when another queue takes the place of this one.
    waiting: Option<Waker>,
}

#[derive(Debug)]
enum Queue {
    /// Nothing is subscribed to yet.
    Awaited,
    Open(Subscription),
    Ended,
}

impl Subscriptions {
    /// Gives a number to a subscription that is to be opened.
    ///
    /// # Errors
    ///
    /// If the pattern is not valid, or the instance has ended.
    pub(super) fn enter(
        &self,
        plugin: &str,
        pattern: &str,
        capacity: u64,
    ) -> Result<Arc<Inbox>, Error> {
        let pattern: Pattern = pattern.parse().map_err(errors::name)?;
        let capacity = match usize::try_from(capacity) {
            Ok(0) | Err(_) => CAPACITY,
            Ok(wanted) => wanted.min(1 << 20),
        };
        let mut table = self.table.lock();
        if table.ended {
            return Err(errors::gone(plugin));
        }
        table.last += 1;
        let inbox = Arc::new(Inbox {
            number: table.last,
            pattern,
            capacity,
            state: Mutex::new(Inside {
                queue: Queue::Awaited,
                answered: None,
                waiting: None,
            }),
        });
        table.inboxes.insert(inbox.number, inbox.clone());
        Ok(inbox)
    }

    /// Waits for the next event of a subscription.
    ///
    /// Who hands the event on may keep the future that was ready with it. To drop it says that the
    /// event was taken; to ask for the next before that says that it was not, and it comes again.
    pub(super) fn next(&self, number: u64) -> Result<Submitted, Error> {
        let found = self.table.lock().inboxes.get(&number).cloned();
        let inbox = found.ok_or_else(|| ended(number))?;
        inbox.take_back();
        Ok(Submitted::New(Box::pin(Next {
            inbox,
            has_answered: false,
        })))
    }

    /// Ends a subscription, if there is one of this number.
    pub(super) fn end(&self, number: u64) -> Outcome {
        let ended = self.table.lock().inboxes.remove(&number);
        if let Some(inbox) = &ended {
            drop(inbox.end());
        }
        Outcome::ok(u64::from(ended.is_some()), Payload::empty())
    }

    /// Ends the oldest subscription to a pattern and gives away its queue, with what lies there.
    pub(super) fn give_up(&self, pattern: &Pattern) -> Option<Subscription> {
        let mut table = self.table.lock();
        let mut inboxes = table.inboxes.values();
        let number = inboxes.find(|inbox| inbox.pattern == *pattern)?.number;
        let inbox = table.inboxes.remove(&number)?;
        drop(table);
        inbox.end()
    }

    /// Ends all; those to come as well if it is for good.
    pub(super) fn clear(&self, for_good: bool) {
        let mut table = self.table.lock();
        table.ended |= for_good;
        let inboxes = std::mem::take(&mut table.inboxes);
        drop(table);
        for inbox in inboxes.into_values() {
            drop(inbox.end());
        }
    }

    pub(super) fn count(&self) -> usize {
        self.table.lock().inboxes.len()
    }
}

impl Inbox {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state.lock().queue, Queue::Ended)
    }

    /// Opens it, with a queue that was another's or a new one, unless it has ended meanwhile.
    pub(super) fn open(&self, inherited: Option<Subscription>, bus: &Bus, plugin: &str) {
        let options = SubscriptionOptions::new(plugin, self.pattern.clone());
        let options = options.capacity(self.capacity);
        let subscription = match inherited {
            Some(subscription) => {
                subscription.reshape(options.capacity, options.overflow);
                subscription
            }
            None => bus.subscribe(options),
        };
        let mut state = self.state.lock();
        if matches!(state.queue, Queue::Ended) {
            drop(state);
            return drop(subscription);
        }
        state.queue = Queue::Open(subscription);
        let waiting = state.waiting.take();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Takes the queue out, and tells who waits.
    fn end(&self) -> Option<Subscription> {
        let mut state = self.state.lock();
        let queue = std::mem::replace(&mut state.queue, Queue::Ended);
        let waiting = state.waiting.take();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        match queue {
            Queue::Open(subscription) => Some(subscription),
            Queue::Awaited | Queue::Ended => None,
        }
    }

    /// Gives an event back to the queue that was answered and is not taken.
    fn take_back(&self) {
        let mut state = self.state.lock();
        let answered = state.answered.take();
        if let (Some(held), Queue::Open(subscription)) = (answered, &state.queue) {
            subscription.give_back(vec![held]);
        }
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Arc<Event>>> {
        let mut state = self.state.lock();
        let polled = match &state.queue {
            Queue::Awaited => Poll::Pending,
            Queue::Open(subscription) => subscription.poll_next_held(cx),
            Queue::Ended => Poll::Ready(None),
        };
        let polled = polled.map(|held| {
            let event = held.as_ref().map(|held| held.event.clone());
            state.answered = held;
            event
        });
        if polled.is_pending() {
            let previous = state.waiting.replace(cx.waker().clone());
            drop(state);
            drop(previous);
        }
        polled
    }
}

/// The wait for one event.
struct Next {
    inbox: Arc<Inbox>,
    has_answered: bool,
}

impl Future for Next {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.inbox.poll_next(cx).map(|event| {
            self.has_answered = event.is_some();
            event.map_or_else(|| ended(self.inbox.number).into(), |event| outcome(&event))
        })
    }
}

impl Drop for Next {
    fn drop(&mut self) {
        if self.has_answered {
            let taken = self.inbox.state.lock().answered.take();
            drop(taken);
        }
    }
}

fn ended(number: u64) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the subscription {number} has ended"),
    )
}

fn outcome(event: &Event) -> Outcome {
    let headers = Payload::json(&json!({
        "id": event.id,
        "topic": &*event.topic,
        "source": &*event.source,
        "time": event.time,
        "sequence": event.sequence,
        "correlation": format!("{:032x}", event.correlation),
    }));
    Outcome {
        headers: headers.unwrap_or_default(),
        ..Outcome::ok(0, event.payload.clone())
    }
}
