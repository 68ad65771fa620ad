//! Events whose handler's process dies: they are delivered again by the next generation, unless
//! that dies over them, too.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use octa_loader::Instance;

use super::{
    super::{Deliveries, Lanes},
    shop::{Asked, Bench, Served, WAITS, within},
};
use crate::fate::{Casualty, Fate};

/// A generation that can die.
struct Mortal {
    served: Served,
    is_dead: Arc<AtomicBool>,
    fate: Fate,
}

impl Mortal {
    fn begin(bench: &Bench, generation: u32) -> Self {
        let is_dead = Arc::new(AtomicBool::new(false));
        let seen = is_dead.clone();
        let fate = Fate::own(move || seen.load(Ordering::SeqCst));
        let instance = bench.instance(generation);
        let lanes = lanes(bench, &instance, fate.clone());
        Self {
            served: Served { instance, lanes },
            is_dead,
            fate,
        }
    }

    /// Dies; answers which events were in hand.
    async fn die(&self) -> Vec<Casualty> {
        self.is_dead.store(true, Ordering::SeqCst);
        self.served.interrupt().await;
        self.fate.take_casualties()
    }
}

fn lanes(bench: &Bench, instance: &Instance, fate: Fate) -> Lanes {
    let deliveries = Deliveries {
        fate,
        ..bench.deliveries(instance)
    };
    Lanes::begin(vec![(bench.mailbox.clone(), deliveries)], &bench.shop.pool)
}

#[tokio::test]
async fn an_event_is_delivered_again_and_given_up_the_second_time() {
    let mut bench = Bench::new(WAITS, |_| ());
    bench.shop.publish(0..3);
    let first = Mortal::begin(&bench, 1);
    bench.handles(1, 0..1).await;
    let _in_hand = bench.asked(1, 1, 0).await;
    let casualties = first.die().await;
    let [Casualty { id, topic, times }] = &*casualties else {
        panic!("{casualties:?}");
    };
    assert_eq!((&**topic, times), ("work.now", &1));
    assert!(bench.shop.dead.try_recv().is_none());
    let second = Mortal::begin(&bench, 2);
    let _in_hand = bench.asked(2, 1, 1).await;
    let again = second.die().await;
    assert_eq!((again[0].id, again[0].times), (*id, 2));
    assert!(again[0].is_given_up());
    assert_eq!(bench.shop.next_dead().await, "1 interrupted");
    let third = Mortal::begin(&bench, 3);
    bench.handles(3, 2..3).await;
    assert_eq!(third.fate.take_casualties(), []);
    let counters = bench.mailbox.handle().counters();
    assert_eq!((counters.delivered, counters.dropped), (3, 0));
}

#[tokio::test]
async fn another_event_begins_at_none() {
    let mut bench = Bench::new(WAITS, |_| ());
    bench.shop.publish(0..2);
    let first = Mortal::begin(&bench, 1);
    let _in_hand = bench.asked(1, 0, 0).await;
    assert_eq!(first.die().await[0].times, 1);
    let second = Mortal::begin(&bench, 2);
    bench.asked(2, 0, 1).await.ok();
    let _in_hand = bench.asked(2, 1, 0).await;
    assert_eq!(second.die().await[0].times, 1);
    assert!(bench.shop.dead.try_recv().is_none());
}

#[tokio::test]
async fn nothing_more_is_begun_in_a_dead_process_that_is_not_closed_yet() {
    let mut bench = Bench::new(WAITS, |_| ());
    bench.shop.publish(0..2);
    let first = Mortal::begin(&bench, 1);
    let asked = bench.asked(1, 0, 0).await;
    first.is_dead.store(true, Ordering::SeqCst);
    asked.interrupt();
    within(first.served.lanes.gone()).await;
    assert_eq!(first.fate.take_casualties().len(), 1);
    let second = Mortal::begin(&bench, 2);
    bench.asked(2, 0, 1).await.ok();
    bench.handles(2, 1..2).await;
    bench.end(second.served, 2).await;
}

#[tokio::test]
async fn what_a_dead_process_does_not_take_waits() {
    let mut bench = Bench::new(WAITS, |_| ());
    bench.shop.publish(0..2);
    let first = Mortal::begin(&bench, 1);
    let asked = bench.asked(1, 0, 0).await;
    first.is_dead.store(true, Ordering::SeqCst);
    asked.turn_away();
    within(first.served.lanes.gone()).await;
    assert_eq!(first.fate.take_casualties(), []);
    let second = Mortal::begin(&bench, 2);
    bench.handles(2, 0..2).await;
    bench.end(second.served, 2).await;
}

#[tokio::test]
async fn an_interruption_without_a_death_is_no_death() {
    let mut bench = Bench::new(WAITS, |_| ());
    bench.shop.publish(0..1);
    let mortal = Mortal::begin(&bench, 1);
    let _in_hand: Asked = bench.asked(1, 0, 0).await;
    mortal.served.lanes.leave();
    mortal.served.interrupt().await;
    assert_eq!(mortal.fate.take_casualties(), []);
    assert_eq!(bench.shop.next_dead().await, "0 interrupted");
}

#[tokio::test]
async fn what_was_handled_is_not_handled_again_after_a_refusal_of_the_handler() {
    let mut bench = Bench::new(WAITS, |_| ());
    bench.shop.publish(0..3);
    let first = Mortal::begin(&bench, 1);
    bench.handles(1, 0..1).await;
    let asked = bench.asked(1, 1, 0).await;
    first.is_dead.store(true, Ordering::SeqCst);
    asked.turn_away();
    within(first.served.lanes.gone()).await;
    assert_eq!(bench.shop.next_dead().await, "1 unavailable");
    assert_eq!(bench.mailbox.handle().counters().queued, 1);
    let second = Mortal::begin(&bench, 2);
    bench.handles(2, 2..3).await;
    bench.end(second.served, 3).await;
}
