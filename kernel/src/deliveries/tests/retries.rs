//! Events that are tried again: when, by whom, and how often; and what becomes of the others.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use octa_loader::BoxFuture;
use octa_plugin_api::{Error, Result};
use parking_lot::Mutex;

use super::{
    super::{Lanes, Mailbox},
    shop::{Bench, Desk, Shop, WAITS, declared, within},
};

const MS: Duration = Duration::from_millis(1);

/// Whose handlers fail so often before they wait at most so long.
fn bench(retries: u32, concurrency: u32) -> Bench {
    Bench::new(WAITS, |declared| {
        declared.retries = retries;
        declared.concurrency = concurrency;
        declared.backoff = Some(100 * MS);
        declared.backoff_max = Some(400 * MS);
    })
}

/// Waits until a lane waits.
async fn pausing(bench: &Bench) -> Duration {
    within(async {
        loop {
            match bench.shop.clock.until_next() {
                Some(pause) => return pause,
                None => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_repetition_waits_longer_each_time_and_holds_its_lane() {
    let mut bench = bench(4, 1);
    bench.shop.publish(0..2);
    let served = bench.begin(1);
    for (attempt, about) in (0..4).zip([100, 200, 400, 400]) {
        bench.asked(1, 0, attempt).await.fail();
        let pause = pausing(&bench).await;
        let about = MS * about;
        assert!(
            about * 3 / 4 <= pause && pause <= about * 5 / 4,
            "{pause:?}"
        );
        bench.shop.clock.advance(pause - MS / 1000);
        assert!(!bench.asks(), "too early, or out of order");
        bench.shop.clock.advance(MS / 1000);
    }
    bench.asked(1, 0, 4).await.ok();
    bench.asked(1, 1, 0).await.ok();
    assert_eq!(bench.mailbox.handle().counters().retried, 4);
    bench.end(served, 2).await;
}

#[tokio::test]
async fn other_lanes_go_on_meanwhile() {
    let mut bench = bench(1, 2);
    bench.shop.publish(0..1);
    let served = bench.begin(1);
    bench.asked(1, 0, 0).await.fail();
    let pause = pausing(&bench).await;
    bench.shop.publish(1..5);
    bench.handles(1, 1..5).await;
    bench.shop.clock.advance(pause);
    bench.asked(1, 0, 1).await.ok();
    bench.end(served, 5).await;
}

#[tokio::test]
async fn who_leaves_while_it_waits_leaves_at_once_and_loses_nothing() {
    for cut_off in [false, true] {
        let mut bench = bench(2, 1);
        bench.shop.publish(0..3);
        let old = bench.begin(1);
        bench.asked(1, 0, 0).await.fail();
        pausing(&bench).await;
        match cut_off {
            false => old.lanes.leave(),
            true => old.lanes.cut_off(),
        }
        // The clock stands still.
        within(old.lanes.gone()).await;
        assert_eq!(bench.mailbox.handle().counters().queued, 3);
        let new = bench.begin(2);
        bench.asked(2, 0, 1).await.ok();
        bench.handles(2, 1..3).await;
        bench.end(new, 3).await;
    }
}

#[tokio::test]
async fn the_end_while_it_waits_is_a_dead_letter() {
    let mut bench = bench(2, 1);
    bench.shop.publish(0..2);
    let served = bench.begin(1);
    bench.asked(1, 0, 0).await.fail();
    pausing(&bench).await;
    bench.mailbox.close(&bench.shop.kernel);
    served.lanes.leave();
    within(served.lanes.gone()).await;
    assert_eq!(bench.shop.next_dead().await, "0 interrupted");
    let letters = bench.shop.letters.all();
    assert_eq!((letters.len(), letters[0].attempts), (1, 1));
    assert_eq!(bench.shop.told(), [1]);
}

#[tokio::test]
async fn what_was_not_said_is_a_tenth_of_a_second() {
    let mut bench = Bench::new(WAITS, |declared| {
        (declared.retries, declared.backoff) = (1, None);
    });
    bench.shop.publish(0..1);
    let served = bench.begin(1);
    bench.asked(1, 0, 0).await.fail();
    let pause = pausing(&bench).await;
    assert!(75 * MS <= pause && pause <= 125 * MS, "{pause:?}");
    bench.shop.clock.advance(pause);
    bench.asked(1, 0, 1).await.ok();
    bench.end(served, 1).await;
}

/// One that is never handled; all others are, at once.
const POISON: u32 = 4_711;

#[derive(Clone, Default)]
struct Tally(Arc<Mutex<BTreeMap<u32, u32>>>);

impl Desk for Tally {
    fn ask(&self, number: u32, _: u32) -> BoxFuture<Result<()>> {
        let answer = match number {
            POISON => Err(Error::msg("poison")),
            _ => Ok(()),
        };
        Box::pin(async { answer })
    }

    fn done(&self, number: u32) {
        *self.0.lock().entry(number).or_default() += 1;
    }
}

#[tokio::test]
async fn one_poison_event_harms_no_other() {
    const EVENTS: u32 = 10_000;
    let mut shop = Shop::new();
    let mut declared = declared(WAITS);
    (declared.retries, declared.capacity) = (2, EVENTS);
    let mailbox = shop.mailbox(&declared);
    let tally = Tally::default();
    let instance = shop.instance(tally.clone());
    let deliveries = shop.deliveries(&instance, WAITS, &declared);
    let lanes = Lanes::begin(vec![(mailbox.clone(), deliveries)], &shop.pool);
    shop.publish(0..EVENTS);
    within(async {
        while tally.0.lock().len() < EVENTS as usize - 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    lanes.leave();
    within(lanes.gone()).await;
    assert_eq!(shop.next_dead().await, format!("{POISON} failed"));
    assert!(shop.dead.try_recv().is_none(), "one alone");

    let handled = tally.0.lock().clone();
    assert!(handled.values().all(|times| *times == 1) && !handled.contains_key(&POISON));
    let letters = shop.letters.all();
    let [letter] = &*letters else {
        panic!("{letters:?}");
    };
    assert_eq!(
        (&*letter.plugin, &*letter.subscription),
        ("worker", "work.**")
    );
    assert_eq!((&*letter.cause, &*letter.kind), ("poison", "failed"));
    assert_eq!(letter.attempts, 3);
    assert_eq!(&*letter.event.payload, POISON.to_string().as_bytes());
    let counters = mailbox.handle().counters();
    assert_eq!(counters.delivered, u64::from(EVENTS));
    assert_eq!(
        (counters.retried, counters.dead, counters.dropped),
        (2, 1, 0)
    );
}

#[tokio::test]
async fn a_replayed_event_comes_first_and_to_its_subscription_alone() {
    let mut bench = Bench::new(WAITS, |declared| declared.capacity = 1);
    bench.shop.publish(0..1);
    let served = bench.begin(1);
    let first = bench.asked(1, 0, 0).await;
    // The queue is full.
    bench.shop.publish(1..2);
    served.lanes.leave();
    first.fail();
    assert_eq!(bench.shop.next_dead().await, "0 failed");
    within(served.lanes.gone()).await;
    let Shop { bus, letters, .. } = &bench.shop;
    let other = Mailbox::open(bus, letters, "worker", 1, &bench.declared);
    let before = other.handle().counters();
    let replay = |bench: &Bench, id| bench.shop.letters.replay(id, &bench.shop.bus);
    replay(&bench, 1).expect("it is there");
    replay(&bench, 1).expect_err("once");
    assert!(bench.shop.letters.all().is_empty());
    assert_eq!(other.handle().counters(), before);

    // It has all its attempts again, and is one letter again.
    let served = bench.begin(2);
    bench.asked(2, 0, 0).await.fail();
    assert_eq!(bench.shop.next_dead().await, "0 failed");
    bench.asked(2, 1, 0).await.ok();
    let letters = bench.shop.letters.all();
    assert_eq!((letters.len(), letters[0].id), (1, 2));
    replay(&bench, 2).expect("it is there");
    bench.asked(2, 0, 0).await.ok();
    served.lanes.leave();
    within(served.lanes.gone()).await;
    let counters = bench.mailbox.handle().counters();
    assert_eq!((counters.matched, counters.delivered), (4, 4));
    assert_eq!((counters.dead, counters.dropped), (2, 0));
    assert!(bench.shop.letters.all().is_empty());
}

#[tokio::test]
async fn what_is_replayed_and_not_handled_before_the_end_is_a_letter_again() {
    let mut bench = Bench::new(WAITS, |_| ());
    bench.shop.publish(0..1);
    let served = bench.begin(1);
    bench.asked(1, 0, 0).await.fail();
    bench.shop.next_dead().await;
    served.lanes.leave();
    within(served.lanes.gone()).await;
    bench
        .shop
        .letters
        .replay(1, &bench.shop.bus)
        .expect("it is there");
    bench.mailbox.close(&bench.shop.kernel);
    assert_eq!(bench.shop.next_dead().await, "0 interrupted");
    let missing = bench.shop.letters.replay(2, &bench.shop.bus);
    missing.expect_err("nobody listens");
    let letters = bench.shop.letters.all();
    assert_eq!(letters.iter().map(|it| it.id).collect::<Vec<_>>(), [2]);
    assert!(bench.shop.told().is_empty());
}
