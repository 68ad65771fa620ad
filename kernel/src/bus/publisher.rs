//! The publishing end: numbers events and hands each to the queues of its topic; what a full
//! queue does is left to `queue`.

use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;

use octa_loader::NameError;
use octa_plugin_api::Payload;
use parking_lot::Mutex;

use super::Event;
use super::delivery::{Delivery, PublishOutcome};
use super::event::{Draft, JSON};
use super::hub::Hub;
use super::push::Push;
use super::queue::Queue;
use super::retained::RetainError;
use super::routes::Routes;

/// One source of events. Clones are the same source: they share its sequence.
#[derive(Debug, Clone)]
pub struct Publisher {
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    hub: Arc<Hub>,
    source: Arc<str>,
    /// Held while an event is handed out, so that all queues see the sequence ascending.
    /// Each source has its own: publishers do not meet here.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sequence: u64,
    /// Ids taken from the hub and not used yet.
    ids: Range<u64>,
    routes: Routes,
}

/// What has to be done about an event once the publisher's lock is released.
#[derive(Debug, Default)]
struct Aftermath {
    consumers: Vec<Waker>,
    displaced: Vec<Arc<Event>>,
    waiting: Vec<(Arc<Queue>, u64)>,
    overflowed: bool,
}

impl Publisher {
    pub(super) fn new(hub: Arc<Hub>, source: &str) -> Self {
        let line = Line {
            hub,
            source: source.into(),
            state: Mutex::default(),
        };
        Self {
            line: Arc::new(line),
        }
    }

    /// The name that its events carry as their source.
    pub fn source(&self) -> &str {
        &self.line.source
    }

    /// Publishes a JSON payload; see [`send`](Self::send).
    ///
    /// # Errors
    /// If the topic is not valid.
    pub fn publish(
        &self,
        topic: &str,
        payload: Payload,
        correlation: u128,
    ) -> Result<PublishOutcome, NameError> {
        self.send(Draft {
            topic,
            payload,
            content_type: JSON,
            correlation,
        })
    }

    /// Publishes an event, and keeps it as the last of its topic: every subscription to come that
    /// matches is handed it first, once, until another takes its place or it is cleared.
    ///
    /// Other publishers of retained events, and subscriptions being made, wait meanwhile.
    ///
    /// # Errors
    /// If the topic is not valid, or there is no room; then it was not published either.
    pub fn retain(&self, draft: Draft<'_>) -> Result<PublishOutcome, RetainError> {
        let hub = &self.line.hub;
        let mut aftermath = Aftermath::default();
        let mut matched = 0;
        let mut retained = hub.retained();
        let mut state = self.line.state.lock();
        let State {
            sequence,
            ids,
            routes,
        } = &mut *state;
        let route = routes.find(hub, draft.topic)?;
        retained.check(draft.topic, draft.payload.len())?;
        *sequence += 1;
        let event = Arc::new(Event {
            id: next_id(ids, hub),
            topic: Arc::clone(&route.topic),
            source: Arc::clone(&self.line.source),
            time: hub.now(),
            sequence: *sequence,
            correlation: draft.correlation,
            content_type: draft.content_type,
            payload: draft.payload,
        });
        for queue in &route.queues {
            matched += aftermath.hand(hub, queue, Arc::clone(&event));
        }
        drop(state);
        aftermath.displaced.extend(retained.keep(event));
        drop(retained);
        Ok(aftermath.settle(hub, matched))
    }

    /// Publishes an event to every subscription that matches its topic.
    ///
    /// It never waits for a handler: on return every subscription has the event,
    /// has dropped one by its policy, or, with back-pressure and full, holds it back.
    ///
    /// # Errors
    /// If the topic is not valid.
    pub fn send(&self, draft: Draft<'_>) -> Result<PublishOutcome, NameError> {
        let hub = &self.line.hub;
        let mut aftermath = Aftermath::default();
        let mut state = self.line.state.lock();
        let State {
            sequence,
            ids,
            routes,
        } = &mut *state;
        let route = routes.find(hub, draft.topic)?;
        *sequence += 1;
        let Some((last, others)) = route.queues.split_last() else {
            return Ok(PublishOutcome::Ready(0));
        };
        let event = Arc::new(Event {
            id: next_id(ids, hub),
            topic: Arc::clone(&route.topic),
            source: Arc::clone(&self.line.source),
            time: hub.now(),
            sequence: *sequence,
            correlation: draft.correlation,
            content_type: draft.content_type,
            payload: draft.payload,
        });
        let mut matched = 0;
        for queue in others {
            matched += aftermath.hand(hub, queue, Arc::clone(&event));
        }
        matched += aftermath.hand(hub, last, event);
        drop(state);
        Ok(aftermath.settle(hub, matched))
    }
}

impl Aftermath {
    /// Offers the event to one queue; 1 if its subscription is open, else 0.
    #[inline]
    fn hand(&mut self, hub: &Hub, queue: &Arc<Queue>, event: Arc<Event>) -> usize {
        match queue.push(event) {
            Push::Queued(consumer) => {
                self.consumers.extend(consumer);
                1
            }
            other => self.not_queued(hub, queue, other),
        }
    }

    /// Apart, so that the way of an event that finds room makes no room for what it does not need.
    #[cold]
    fn not_queued(&mut self, hub: &Hub, queue: &Arc<Queue>, pushed: Push) -> usize {
        match pushed {
            Push::Queued(consumer) => self.consumers.extend(consumer),
            Push::Dropped { event, tell } => {
                self.displaced.extend(event);
                if tell {
                    hub.note_overflow(queue);
                    self.overflowed = true;
                }
            }
            Push::Waiting(ticket) => self.waiting.push((Arc::clone(queue), ticket)),
            Push::Closed => return 0,
        }
        1
    }

    fn settle(self, hub: &Arc<Hub>, matched: usize) -> PublishOutcome {
        self.consumers.into_iter().for_each(Waker::wake);
        if self.overflowed {
            hub.wake_report();
        }
        if self.waiting.is_empty() {
            PublishOutcome::Ready(matched)
        } else {
            PublishOutcome::Waiting(Delivery::new(Arc::clone(hub), matched, self.waiting))
        }
    }
}

fn next_id(ids: &mut Range<u64>, hub: &Hub) -> u64 {
    if ids.is_empty() {
        *ids = hub.take_ids();
    }
    let id = ids.start;
    ids.start += 1;
    id
}
