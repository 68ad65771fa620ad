//! Generations that take over from each other at random, while events come: each event is
//! handled once, or is a dead letter, or was dropped by the policy, and all is counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::poll_fn,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use octa_loader::{BoxFuture, Instance, Overflow, Subscription as Declared};
use octa_plugin_api::{Error, Payload, Result, decode};
use parking_lot::Mutex;
use proptest::{collection::vec, prelude::*};
use tokio::sync::Notify;

use super::shop::{BLOCKS, Desk, Shop, WAITS, declared, within};
use crate::{
    bus::{PublishOutcome, Publisher},
    deliveries::{Lanes, Mailbox},
};

const PUBLISHERS: u32 = 2;
/// The events of one publisher are numbered from a multiple of this.
const STRIDE: u32 = 1_000_000;
const SENTINEL: u32 = PUBLISHERS * STRIDE;

#[derive(Debug, Clone)]
enum Op {
    Publish {
        publisher: u32,
        count: u32,
    },
    Reshape {
        capacity: u32,
        overflow: Overflow,
    },
    /// The next generation takes over.
    Switch {
        begin_first: bool,
        interrupt: bool,
    },
    /// The lanes leave, and the next are begun by a later operation.
    Pause,
    /// The lanes leave too early.
    Again,
}

#[derive(Debug, Clone)]
struct Setup {
    handler: u32,
    concurrency: u32,
    retries: u32,
    capacity: u32,
    overflow: Overflow,
}

/// What the handlers of all generations do.
#[derive(Default)]
struct Log {
    /// Each that was begun: number and attempt.
    begun: Mutex<Vec<(u32, u32)>>,
    done: Mutex<Vec<u32>>,
    last: Notify,
}

#[derive(Clone)]
struct Answers(Arc<Log>);

impl Desk for Answers {
    /// Some fail always, some at first, and some take their time.
    fn ask(&self, number: u32, attempt: u32) -> BoxFuture<Result<()>> {
        self.0.begun.lock().push((number, attempt));
        let fails = number % 7 == 3 || (number % 5 == 1 && attempt == 0);
        let mut turns = if number.is_multiple_of(3) {
            number % 50
        } else {
            0
        };
        Box::pin(async move {
            poll_fn(|cx| {
                if turns == 0 {
                    return Poll::Ready(());
                }
                turns -= 1;
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            match fails && number != SENTINEL {
                true => Err(Error::msg("on purpose")),
                false => Ok(()),
            }
        })
    }

    fn done(&self, number: u32) {
        self.0.done.lock().push(number);
        if number == SENTINEL {
            self.0.last.notify_one();
        }
    }
}

struct Run {
    shop: Shop,
    setup: Setup,
    declared: Declared,
    mailbox: Mailbox,
    log: Arc<Log>,
    publishers: Vec<(Publisher, u32)>,
    /// Some wait for room.
    outcomes: Vec<PublishOutcome>,
    now: Option<(Instance, Lanes)>,
}

impl Run {
    fn new(setup: Setup) -> Self {
        let shop = Shop::new();
        let declared = Declared {
            concurrency: setup.concurrency,
            retries: setup.retries,
            capacity: setup.capacity,
            overflow: setup.overflow,
            ..declared(setup.handler)
        };
        let publishers = (0..PUBLISHERS).map(|n| (shop.bus.publisher(&n.to_string()), n * STRIDE));
        let mut run = Self {
            publishers: publishers.collect(),
            mailbox: shop.mailbox(&declared),
            shop,
            setup,
            declared,
            log: Arc::default(),
            outcomes: Vec::new(),
            now: None,
        };
        run.now = Some(run.begin());
        run
    }

    fn begin(&self) -> (Instance, Lanes) {
        let instance = self.shop.instance(Answers(self.log.clone()));
        let lanes = self.lanes(&instance);
        (instance, lanes)
    }

    fn lanes(&self, instance: &Instance) -> Lanes {
        let deliveries = (self.shop).deliveries(instance, self.setup.handler, &self.declared);
        Lanes::begin(vec![(self.mailbox.clone(), deliveries)], &self.shop.pool)
    }

    async fn apply(&mut self, op: Op) {
        match op {
            Op::Publish { publisher, count } => {
                for _ in 0..count {
                    let (publisher, number) = &mut self.publishers[publisher as usize];
                    self.outcomes.push(send(publisher, *number));
                    *number += 1;
                }
            }
            Op::Reshape { capacity, overflow } => {
                (self.declared.capacity, self.declared.overflow) = (capacity, overflow);
                self.mailbox.reshape(&self.declared);
            }
            Op::Switch {
                begin_first,
                interrupt,
            } => self.switch(begin_first, interrupt).await,
            Op::Pause => {
                if let Some((_, lanes)) = self.now.take() {
                    lanes.leave();
                    within(lanes.gone()).await;
                }
            }
            Op::Again => {
                if let Some((instance, lanes)) = self.now.take() {
                    lanes.leave();
                    self.now = Some((instance.clone(), self.lanes(&instance)));
                }
            }
        }
    }

    async fn switch(&mut self, begin_first: bool, interrupt: bool) {
        let new = begin_first.then(|| self.begin());
        let old = self.now.take();
        if let Some((instance, lanes)) = &old {
            lanes.leave();
            if interrupt && self.setup.handler == WAITS {
                instance.close();
                instance.interrupt(Duration::from_secs(60));
            }
        }
        self.now = Some(new.unwrap_or_else(|| self.begin()));
        if let Some((_, lanes)) = old {
            within(lanes.gone()).await;
        }
    }

    /// Waits until everything is handled: at last one after the other, behind all others what
    /// tells that it was.
    async fn settle(&mut self) {
        self.apply(Op::Pause).await;
        self.declared.concurrency = 1;
        self.apply(Op::Reshape {
            capacity: u32::MAX,
            overflow: Overflow::DropOldest,
        })
        .await;
        self.outcomes.push(send(&self.publishers[0].0, SENTINEL));
        let (_instance, lanes) = self.begin();
        within(self.log.last.notified()).await;
        lanes.leave();
        within(lanes.gone()).await;
    }

    fn check(mut self, may_drop: bool) {
        let published: u32 = self.publishers.iter().map(|(_, next)| next % STRIDE).sum();
        let counters = self.mailbox.handle().counters();
        assert_eq!(counters.matched, u64::from(published) + 1, "{counters:?}");
        assert_eq!((counters.queued, counters.waiting), (0, 0));
        assert!(may_drop || counters.dropped == 0, "{counters:?}");

        let dead: Vec<_> = std::iter::from_fn(|| self.shop.dead.try_recv()).collect();
        let dead = dead.iter().map(|letter| {
            let letter: serde_json::Value = decode(&letter.payload).expect("JSON");
            self.shop.said(&letter).parse::<u32>().expect("a number")
        });
        let done = self.log.done.lock().clone();
        let all: Vec<u32> = done.iter().copied().chain(dead).collect();
        let different: BTreeSet<u32> = all.iter().copied().collect();
        assert_eq!(different.len(), all.len(), "an event has ended twice");
        assert_eq!(counters.delivered, all.len() as u64, "{counters:?}");

        let begun = self.log.begun.lock().clone();
        let mut attempts = BTreeMap::new();
        for (number, attempt) in begun {
            let before = attempts.insert(number, attempt);
            assert!(
                before < Some(attempt),
                "{number} was begun twice as {attempt}"
            );
            assert!(attempt <= self.setup.retries);
        }
        if self.setup.concurrency == 1 {
            for publisher in 0..PUBLISHERS {
                let theirs = done.iter().filter(|number| *number / STRIDE == publisher);
                assert!(theirs.is_sorted(), "out of order: {done:?}");
            }
        }
    }
}

fn send(publisher: &Publisher, number: u32) -> PublishOutcome {
    let payload = Payload::json(&number).expect("JSON");
    let outcome = publisher.publish("work.now", payload, 0);
    outcome.expect("a valid topic")
}

fn overflow() -> impl Strategy<Value = Overflow> {
    prop_oneof![
        Just(Overflow::DropOldest),
        Just(Overflow::DropNewest),
        Just(Overflow::KeepLatest),
        Just(Overflow::BackPressure),
    ]
}

fn op(capacity: std::ops::Range<u32>) -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..PUBLISHERS, 1..100_u32)
            .prop_map(|(publisher, count)| Op::Publish { publisher, count }),
        2 => (capacity, overflow())
            .prop_map(|(capacity, overflow)| Op::Reshape { capacity, overflow }),
        4 => any::<(bool, bool)>().prop_map(|(begin_first, interrupt)| Op::Switch {
            begin_first,
            interrupt,
        }),
        1 => Just(Op::Pause),
        1 => Just(Op::Again),
    ]
}

fn setup(capacity: std::ops::Range<u32>) -> impl Strategy<Value = Setup> {
    let handler = prop_oneof![3 => Just(WAITS), 1 => Just(BLOCKS)];
    let concurrency = prop_oneof![2 => Just(1), 1 => Just(3_u32)];
    (handler, concurrency, 0..3_u32, capacity, overflow()).prop_map(
        |(handler, concurrency, retries, capacity, overflow)| Setup {
            handler,
            concurrency,
            retries,
            capacity,
            overflow,
        },
    )
}

fn check(setup: Setup, ops: Vec<Op>, may_drop: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime").block_on(async {
        let mut run = Run::new(setup);
        for op in ops {
            run.apply(op).await;
        }
        run.settle().await;
        run.check(may_drop);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn with_room_nothing_is_lost(setup in setup(10_000..20_000), ops in vec(op(10_000..20_000), 1..40)) {
        check(setup, ops, false);
    }

    #[test]
    fn without_room_everything_is_counted(setup in setup(1..80), ops in vec(op(1..80), 1..40)) {
        check(setup, ops, true);
    }
}
