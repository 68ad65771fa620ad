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
        let victim = match self.overflow {
            Overflow::DropNewest => self.capacity,
            Overflow::KeepLatest => (0..self.capacity).find(superseded).unwrap_or(0),
            _ => 0,
        };
        self.queued.remove(victim);
    }

    fn receive(&mut self) -> Option<Fact> {
        if self.queued.is_empty() {
            return None;
        }
        self.delivered += 1;
        self.queued.extend(self.waiting.pop_front());
        Some(self.queued.remove(0))
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
            queued: self.queued.len(),
            waiting: self.waiting.len(),
        }
    }
}

/// The bus and its model, side by side.
struct Pair {
    bus: Bus,
    publishers: Vec<Publisher>,
    sequences: [u64; PUBLISHERS],
    subscriptions: Vec<(Subscription, ModelQueue)>,
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
                if let Some((subscription, model)) = pick(&mut self.subscriptions, index) {
                    subscription.close();
                    model.close();
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
            queued: Vec::new(),
            waiting: VecDeque::new(),
            matched: 0,
            delivered: 0,
            dropped: 0,
        };
        self.subscriptions.push((subscription, model));
    }

    fn take_subscription(&mut self, index: usize) -> Option<(Subscription, ModelQueue)> {
        let count = self.subscriptions.len();
        (count > 0).then(|| self.subscriptions.remove(index % count))
    }

    fn publish(&mut self, publisher: usize, topic: &'static str) {
        self.sequences[publisher] += 1;
        let fact = (publisher, self.sequences[publisher], topic);
        let outcome = publish(&self.publishers[publisher], topic);
        let queues = self.subscriptions.iter_mut();
        let matched = queues
            .filter_map(|(_, model)| model.offer(fact).then_some(()))
            .count();
        match &outcome {
            PublishOutcome::Ready(found) => assert_eq!(*found, matched),
            PublishOutcome::Waiting(_) => assert!(self.waits(fact), "{fact:?} need not wait"),
        }
        self.outcomes.push((outcome, fact));
    }

    fn receive(&mut self, index: usize, max: usize) {
        let Some((subscription, model)) = pick(&mut self.subscriptions, index) else {
            return;
        };
        let mut batch = Vec::new();
        let expected: Vec<Fact> = (0..max).map_while(|_| model.receive()).collect();
        let moved = poll_once(subscription.recv_batch(&mut batch, max));
        match moved {
            Poll::Ready(moved) => assert_eq!(moved, expected.len()),
            Poll::Pending => assert!(model.open && expected.is_empty()),
        }
        let found = batch.iter().map(|event| {
            let publisher = event.source.parse().expect("publishers are numbers");
            (publisher, event.sequence, &*event.topic)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }

    fn give_up(&mut self, index: usize) {
        if self.outcomes.is_empty() {
            return;
        }
        let (_, fact) = self.outcomes.swap_remove(index % self.outcomes.len());
        for (_, model) in &mut self.subscriptions {
            model.give_up(fact);
        }
    }

    fn waits(&self, fact: Fact) -> bool {
        let mut queues = self.subscriptions.iter();
        queues.any(|(_, model)| model.waiting.contains(&fact))
    }

    fn check(&mut self) {
        for (subscription, model) in &self.subscriptions {
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

fn op() -> impl Strategy<Value = Op> {
    let overflow = prop_oneof![
        Just(Overflow::DropOldest),
        Just(Overflow::DropNewest),
        Just(Overflow::KeepLatest),
        Just(Overflow::BackPressure),
    ];
    let subscribe = (0..PATTERNS.len(), 1..5_usize, overflow);
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
