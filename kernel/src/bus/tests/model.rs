//! Holds the bus against a naive model: any sequence of operations leaves both with the same
//! events and counts.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const TOPICS: [&str; 5] = ["a", "b", "a.b", "a.c", "a.b.c"];
const PATTERNS: [&str; 8] = ["a", "*", "**", "a.*", "*.b", "a.**", "a.b.c", "*.b.*"];
const PUBLISHERS: usize = 2;

#[derive(Debug, Clone)]
enum Op {
    Subscribe {
        pattern: usize,
        capacity: usize,
        overflow: Overflow,
    },
    Unsubscribe(usize),
    Close(usize),
    Publish {
        publisher: usize,
        topic: usize,
    },
    Receive {
        subscription: usize,
        max: usize,
    },
    /// Takes events that are given back later.
    Take {
        subscription: usize,
        max: usize,
    },
    /// Gives back what was taken, from this one on.
    GiveBack {
        subscription: usize,
        from: usize,
    },
    Reshape {
        subscription: usize,
        capacity: usize,
        overflow: Overflow,
    },
    End(usize),
    /// Drops an outcome that may still wait.
    GiveUp(usize),
}

/// An event as the model knows it: publisher, sequence, topic.
type Fact = (usize, u64, &'static str);

#[derive(Debug)]
struct ModelQueue {
    pattern: &'static str,
    capacity: usize,
    overflow: Overflow,
    open: bool,
    ended: bool,
    /// In the hands of a consumer, each with its place among all that were taken.
    taken: Vec<(u64, Fact)>,
    places: u64,
    /// What was given back, by place; taken again before all others.
    returned: Vec<(u64, Fact)>,
    queued: Vec<Fact>,
    waiting: VecDeque<Fact>,
    matched: u64,
    delivered: u64,
    dropped: u64,
}

impl ModelQueue {
    fn offer(&mut self, fact: Fact) -> bool {
        if !self.open || !naive_match(self.pattern, fact.2) {
            return false;
        }
        self.matched += 1;
        if self.queued.len() < self.capacity {
            self.queued.push(fact);
        } else {
            self.overflow(fact);
        }
        true
    }

    fn overflow(&mut self, fact: Fact) {
        if self.overflow == Overflow::BackPressure {
            self.waiting.push_back(fact);
            return;
        }
        self.queued.push(fact);
        self.dropped += 1;
        let superseded = |index: &usize| {
            let later = &self.queued[index + 1..];
            later.iter().any(|other| other.2 == self.queued[*index].2)
        };
        let last = self.queued.len() - 1;
        let victim = match self.overflow {
            Overflow::DropNewest => last,
            Overflow::KeepLatest => (0..last).find(superseded).unwrap_or(0),
            _ => 0,
        };
        self.queued.remove(victim);
    }

    fn receive(&mut self) -> Option<(u64, Fact)> {
        if self.returned.is_empty() && self.queued.is_empty() {
            return None;
        }
        self.delivered += 1;
        if !self.returned.is_empty() {
            return Some(self.returned.remove(0));
        }
        let first = self.queued.remove(0);
        self.admit(1);
        self.places += 1;
        Some((self.places, first))
    }

    /// Lets in so many at most of those that wait, as far as there is room.
    fn admit(&mut self, most: usize) {
        let room = self.capacity.saturating_sub(self.queued.len()).min(most);
        let admitted = room.min(self.waiting.len());
        self.queued.extend(self.waiting.drain(..admitted));
    }

    fn give_back(&mut self, from: usize) {
        let given = self.taken.split_off(from.min(self.taken.len()));
        self.delivered -= given.len() as u64;
        if self.ended {
            self.dropped += given.len() as u64;
            return;
        }
        self.returned.extend(given);
        self.returned.sort_unstable();
    }

    fn reshape(&mut self, capacity: usize, overflow: Overflow) {
        (self.capacity, self.overflow) = (capacity, overflow);
        if overflow != Overflow::BackPressure {
            self.queued.extend(self.waiting.drain(..));
        }
        self.admit(usize::MAX);
    }

    fn end(&mut self) {
        self.close();
        self.ended = true;
        self.dropped += (self.queued.len() + self.returned.len()) as u64;
        self.queued.clear();
        self.returned.clear();
    }

    fn give_up(&mut self, fact: Fact) {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| *waiting != fact);
        self.dropped += (before - self.waiting.len()) as u64;
    }

    fn close(&mut self) {
        self.open = false;
        self.dropped += self.waiting.drain(..).count() as u64;
    }

    fn counters(&self) -> Counters {
        Counters {
            matched: self.matched,
            delivered: self.delivered,
            dropped: self.dropped,
            queued: self.returned.len() + self.queued.len(),
            waiting: self.waiting.len(),
        }
    }
}

/// The bus and its model, side by side.
struct Pair {
    bus: Bus,
    publishers: Vec<Publisher>,
    sequences: [u64; PUBLISHERS],
    subscriptions: Vec<(Subscription, ModelQueue, Vec<Held>)>,
    outcomes: Vec<(PublishOutcome, Fact)>,
}

impl Pair {
    fn new() -> Self {
        let bus = bus();
        let publishers = (0..PUBLISHERS).map(|index| bus.publisher(&index.to_string()));
        Self {
            publishers: publishers.collect(),
            bus,
            sequences: [0; PUBLISHERS],
            subscriptions: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Subscribe {
                pattern,
                capacity,
                overflow,
            } => self.subscribe(PATTERNS[pattern], capacity, overflow),
            Op::Unsubscribe(index) => drop(self.take_subscription(index)),
            Op::Close(index) => {
                if let Some((subscription, model, _)) = pick(&mut self.subscriptions, index) {
                    subscription.close();
                    model.close();
                }
            }
            Op::End(index) => {
                if let Some((subscription, model, _)) = pick(&mut self.subscriptions, index) {
                    assert!(subscription.end().is_empty(), "nothing was tried");
                    model.end();
                }
            }
            Op::Take { subscription, max } => self.take(subscription, max),
            Op::GiveBack { subscription, from } => {
                if let Some((queue, model, held)) = pick(&mut self.subscriptions, subscription) {
                    let from = from.checked_rem(held.len()).unwrap_or(0);
                    assert!(queue.give_back(held.split_off(from)).is_empty());
                    model.give_back(from);
                }
            }
            Op::Reshape {
                subscription,
                capacity,
                overflow,
            } => {
                if let Some((queue, model, _)) = pick(&mut self.subscriptions, subscription) {
                    queue.reshape(capacity, overflow);
                    model.reshape(capacity, overflow);
                }
            }
            Op::Publish { publisher, topic } => self.publish(publisher, TOPICS[topic]),
            Op::Receive { subscription, max } => self.receive(subscription, max),
            Op::GiveUp(index) => self.give_up(index),
        }
        self.check();
    }

    fn subscribe(&mut self, pattern: &'static str, capacity: usize, overflow: Overflow) {
        let subscription = subscribe(&self.bus, pattern, capacity, overflow);
        let model = ModelQueue {
            pattern,
            capacity,
            overflow,
            open: true,
            ended: false,
            taken: Vec::new(),
            places: 0,
            returned: Vec::new(),
            queued: Vec::new(),
            waiting: VecDeque::new(),
            matched: 0,
            delivered: 0,
            dropped: 0,
        };
        self.subscriptions.push((subscription, model, Vec::new()));
    }

    fn take_subscription(&mut self, index: usize) -> Option<(Subscription, ModelQueue, Vec<Held>)> {
        let count = self.subscriptions.len();
        (count > 0).then(|| self.subscriptions.remove(index % count))
    }

    fn publish(&mut self, publisher: usize, topic: &'static str) {
        self.sequences[publisher] += 1;
        let fact = (publisher, self.sequences[publisher], topic);
        let outcome = publish(&self.publishers[publisher], topic);
        let queues = self.subscriptions.iter_mut();
        let matched = queues
            .filter_map(|(_, model, _)| model.offer(fact).then_some(()))
            .count();
        match &outcome {
            PublishOutcome::Ready(found) => assert_eq!(*found, matched),
            PublishOutcome::Waiting(_) => assert!(self.waits(fact), "{fact:?} need not wait"),
        }
        self.outcomes.push((outcome, fact));
    }

    fn receive(&mut self, index: usize, max: usize) {
        let Some((subscription, model, _)) = pick(&mut self.subscriptions, index) else {
            return;
        };
        let mut batch = Vec::new();
        let expected = (0..max).map_while(|_| model.receive());
        let expected: Vec<Fact> = expected.map(|(_, fact)| fact).collect();
        let moved = poll_once(subscription.recv_batch(&mut batch, max));
        match moved {
            Poll::Ready(moved) => assert_eq!(moved, expected.len()),
            Poll::Pending => assert!(model.open && expected.is_empty()),
        }
        assert_eq!(
            batch.iter().map(|event| fact(event)).collect::<Vec<_>>(),
            expected
        );
    }

    fn take(&mut self, index: usize, max: usize) {
        let Some((subscription, model, held)) = pick(&mut self.subscriptions, index) else {
            return;
        };
        let expected: Vec<_> = (0..max).map_while(|_| model.receive()).collect();
        let before = held.len();
        let cx = &mut Context::from_waker(Waker::noop());
        let moved = subscription.poll_held(cx, held, max);
        assert!(moved.is_ready() || (model.open && expected.is_empty()));
        let found = held[before..].iter().map(|held| fact(&held.event));
        let expected_facts = expected.iter().map(|(_, fact)| *fact);
        assert!(found.eq(expected_facts), "{held:?}, not {expected:?}");
        model.taken.extend(expected);
    }

    fn give_up(&mut self, index: usize) {
        if self.outcomes.is_empty() {
            return;
        }
        let (_, fact) = self.outcomes.swap_remove(index % self.outcomes.len());
        for (_, model, _) in &mut self.subscriptions {
            model.give_up(fact);
        }
    }

    fn waits(&self, fact: Fact) -> bool {
        let mut queues = self.subscriptions.iter();
        queues.any(|(_, model, _)| model.waiting.contains(&fact))
    }

    fn check(&mut self) {
        for (subscription, model, _) in &self.subscriptions {
            assert_eq!(subscription.counters(), model.counters(), "{model:?}");
        }
        let mut outcomes = std::mem::take(&mut self.outcomes);
        for (outcome, fact) in &mut outcomes {
            assert_eq!(
                poll_once(outcome).is_pending(),
                self.waits(*fact),
                "{fact:?}"
            );
        }
        self.outcomes = outcomes;
    }
}

fn fact(event: &Event) -> Fact {
    let publisher = event.source.parse().expect("publishers are numbers");
    let topic = TOPICS.iter().find(|topic| ***topic == *event.topic);
    (publisher, event.sequence, topic.expect("a known topic"))
}

fn pick<T>(items: &mut [T], index: usize) -> Option<&mut T> {
    let count = items.len();
    items.get_mut(index.checked_rem(count)?)
}

fn naive_match(pattern: &str, topic: &str) -> bool {
    match (pattern.split_once('.'), topic.split_once('.')) {
        _ if pattern == "**" => true,
        (None, None) => pattern == "*" || pattern == topic,
        (Some((wanted, pattern)), Some((found, topic))) => {
            (wanted == "*" || wanted == found) && naive_match(pattern, topic)
        }
        _ => false,
    }
}

fn overflow() -> impl Strategy<Value = Overflow> {
    prop_oneof![
        Just(Overflow::DropOldest),
        Just(Overflow::DropNewest),
        Just(Overflow::KeepLatest),
        Just(Overflow::BackPressure),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let subscribe = (0..PATTERNS.len(), 1..5_usize, overflow());
    let reshape = (any::<usize>(), 1..5_usize, overflow());
    prop_oneof![
        2 => subscribe.prop_map(|(pattern, capacity, overflow)| Op::Subscribe {
            pattern,
            capacity,
            overflow,
        }),
        1 => any::<usize>().prop_map(Op::Unsubscribe),
        1 => any::<usize>().prop_map(Op::Close),
        12 => (0..PUBLISHERS, 0..TOPICS.len())
            .prop_map(|(publisher, topic)| Op::Publish { publisher, topic }),
        6 => (any::<usize>(), 1..4_usize)
            .prop_map(|(subscription, max)| Op::Receive { subscription, max }),
        4 => (any::<usize>(), 1..4_usize)
            .prop_map(|(subscription, max)| Op::Take { subscription, max }),
        4 => any::<(usize, usize)>()
            .prop_map(|(subscription, from)| Op::GiveBack { subscription, from }),
        2 => reshape.prop_map(|(subscription, capacity, overflow)| Op::Reshape {
            subscription,
            capacity,
            overflow,
        }),
        1 => any::<usize>().prop_map(Op::End),
        2 => any::<usize>().prop_map(Op::GiveUp),
    ]
}

proptest! {
    #[test]
    fn behaves_as_the_model(ops in vec(op(), 1..120)) {
        let mut pair = Pair::new();
        for op in ops {
            pair.apply(op);
        }
    }
}
