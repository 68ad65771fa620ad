//! Holds the bus against a naive model: any sequence of operations leaves both with the same
//! events and counts.

use proptest::collection::vec;
use proptest::prelude::*;

use super::retained::retain as retain_event;
use super::*;
use queue::{Fact, ModelQueue};

mod queue;

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
        retain: bool,
    },
    ClearRetained(usize),
    /// Closes the bus.
    CloseAll,
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

/// The bus and its model, side by side.
struct Pair {
    bus: Bus,
    publishers: Vec<Publisher>,
    sequences: [u64; PUBLISHERS],
    subscriptions: Vec<(Subscription, ModelQueue, Vec<Held>)>,
    outcomes: Vec<(PublishOutcome, Fact)>,
    /// One for each topic, in the order they were published in.
    retained: Vec<Fact>,
    closed: bool,
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
            retained: Vec::new(),
            closed: false,
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
            Op::Publish {
                publisher,
                topic,
                retain,
            } => self.publish(publisher, TOPICS[topic], retain),
            Op::ClearRetained(topic) => {
                let before = self.forget(TOPICS[topic]);
                assert_eq!(self.bus.clear_retained(TOPICS[topic]), Ok(before));
            }
            Op::CloseAll => {
                self.bus.close();
                self.closed = true;
                self.subscriptions.iter_mut().for_each(|it| it.1.close());
            }
            Op::Receive { subscription, max } => self.receive(subscription, max),
            Op::GiveUp(index) => self.give_up(index),
        }
        self.check();
    }

    fn subscribe(&mut self, pattern: &'static str, capacity: usize, overflow: Overflow) {
        let subscription = subscribe(&self.bus, pattern, capacity, overflow);
        let mut model = ModelQueue::new(pattern, capacity, overflow, &self.retained);
        if self.closed {
            model = ModelQueue::new(pattern, capacity, overflow, &[]);
            model.close();
        }
        self.subscriptions.push((subscription, model, Vec::new()));
    }

    fn take_subscription(&mut self, index: usize) -> Option<(Subscription, ModelQueue, Vec<Held>)> {
        let count = self.subscriptions.len();
        (count > 0).then(|| self.subscriptions.remove(index % count))
    }

    fn forget(&mut self, topic: &str) -> bool {
        let before = self.retained.len();
        self.retained.retain(|fact| fact.2 != topic);
        self.retained.len() < before
    }

    fn publish(&mut self, publisher: usize, topic: &'static str, retain: bool) {
        self.sequences[publisher] += 1;
        let fact = (publisher, self.sequences[publisher], topic);
        let outcome = if retain {
            self.forget(topic);
            self.retained.push(fact);
            retain_event(&self.publishers[publisher], topic)
        } else {
            publish(&self.publishers[publisher], topic)
        };
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
        12 => (0..PUBLISHERS, 0..TOPICS.len(), proptest::bool::weighted(0.25))
            .prop_map(|(publisher, topic, retain)| Op::Publish { publisher, topic, retain }),
        1 => (0..TOPICS.len()).prop_map(Op::ClearRetained),
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
    fn behaves_as_the_model(ops in vec(op(), 1..120), late in vec(op(), 0..20)) {
        let mut pair = Pair::new();
        for op in ops.into_iter().chain([Op::CloseAll]).chain(late) {
            pair.apply(op);
        }
    }
}
