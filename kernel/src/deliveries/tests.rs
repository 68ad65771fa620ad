//! What becomes of events when one generation takes over from another, case by case; `handover`
//! does it at random under load.

mod death;
mod handover;
mod lane;
mod order;
mod retries;
mod shop;

use octa_loader::Overflow;
use shop::{BLOCKS, Bench, WAITS, within};

/// Five events in a batch of which the first is being handled, and two that come meanwhile.
async fn check_order(handler: u32, begin_first: bool) {
    let mut bench = Bench::new(handler, |_| ());
    bench.shop.publish(0..5);
    let old = bench.begin(1);
    let first = bench.asked(1, 0, 0).await;
    let new = if begin_first {
        let new = bench.begin(2);
        old.lanes.leave();
        new
    } else {
        old.lanes.leave();
        bench.begin(2)
    };
    bench.shop.publish(5..7);
    first.ok();
    within(old.lanes.gone()).await;
    bench.handles(2, 1..7).await;
    bench.end(new, 7).await;
}

#[tokio::test]
async fn the_next_generation_goes_on_after_the_running_handler() {
    for handler in [WAITS, BLOCKS] {
        check_order(handler, false).await;
        check_order(handler, true).await;
    }
}

#[tokio::test]
async fn with_concurrency_the_next_generation_waits_for_every_handler() {
    let mut bench = Bench::new(WAITS, |declared| declared.concurrency = 2);
    bench.shop.publish(0..6);
    let old = bench.begin(1);
    let mut running = [bench.next().await, bench.next().await];
    running.sort_by_key(|asked| asked.number);
    old.lanes.leave();
    let new = bench.begin(2);
    let [first, second] = running;
    assert_eq!((first.number, second.number), (0, 1));
    second.ok();
    // Whatever its turn, it takes its first event not before the last handler has ended.
    assert_eq!(bench.mailbox.handle().counters().queued, 4);
    first.ok();
    within(old.lanes.gone()).await;
    let mut begun = Vec::new();
    for _ in 2..6 {
        let asked = bench.next().await;
        assert_eq!(asked.generation, 2);
        begun.push(asked.number);
        asked.ok();
    }
    begun.sort_unstable();
    assert_eq!(begun, [2, 3, 4, 5]);
    bench.end(new, 6).await;
}

#[tokio::test]
async fn an_event_is_tried_on_by_the_next_generation() {
    let mut bench = Bench::new(WAITS, |declared| declared.retries = 2);
    bench.shop.publish(0..2);
    let old = bench.begin(1);
    let first = bench.asked(1, 0, 0).await;
    old.lanes.leave();
    first.fail();
    within(old.lanes.gone()).await;
    assert_eq!(bench.mailbox.handle().counters().queued, 2);
    let new = bench.begin(2);
    bench.asked(2, 0, 1).await.fail();
    bench.asked(2, 0, 2).await.fail();
    assert_eq!(bench.shop.next_dead().await, "0 failed");
    bench.asked(2, 1, 0).await.ok();
    bench.end(new, 2).await;
}

#[tokio::test]
async fn what_the_drain_deadline_cuts_off_is_a_dead_letter() {
    let mut bench = Bench::new(WAITS, |_| ());
    bench.shop.publish(0..3);
    let old = bench.begin(1);
    bench.asked(1, 0, 0).await.ok();
    let _cut_off = bench.asked(1, 1, 0).await;
    old.lanes.leave();
    old.interrupt().await;
    assert_eq!(bench.shop.next_dead().await, "1 interrupted");
    let new = bench.begin(2);
    bench.asked(2, 2, 0).await.ok();
    bench.end(new, 3).await;
}

#[tokio::test]
async fn what_the_drain_deadline_cuts_off_is_delivered_again_if_declared() {
    let mut bench = Bench::new(WAITS, |declared| declared.retries = 1);
    bench.shop.publish(0..3);
    let old = bench.begin(1);
    bench.asked(1, 0, 0).await.ok();
    let _cut_off = bench.asked(1, 1, 0).await;
    old.interrupt().await;
    let new = bench.begin(2);
    bench.asked(2, 1, 1).await.ok();
    bench.asked(2, 2, 0).await.ok();
    bench.end(new, 3).await;
}

/// A handler that cannot be ended, since it blocks.
async fn check_stuck(retries: u32) {
    let mut bench = Bench::new(BLOCKS, |declared| declared.retries = retries);
    bench.shop.publish(0..3);
    let old = bench.begin(1);
    bench.asked(1, 0, 0).await.ok();
    let stuck = bench.asked(1, 1, 0).await;
    let new = bench.begin(2);
    old.lanes.cut_off();
    within(old.lanes.gone()).await;
    if retries > 0 {
        bench.asked(2, 1, 1).await.ok();
    } else {
        assert_eq!(bench.shop.next_dead().await, "1 interrupted");
    }
    bench.asked(2, 2, 0).await.ok();
    // It comes back after all, and changes nothing.
    stuck.ok();
    within(async {
        while old.instance.in_flight() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    bench.shop.publish(3..4);
    let third = bench.asked(2, 3, 0).await;
    bench.shop.publish(4..5);
    third.ok();
    bench.asked(2, 4, 0).await.ok();
    bench.end(new, 5).await;
}

#[tokio::test]
async fn a_handler_that_blocks_for_ever_does_not_hold_the_queue() {
    check_stuck(0).await;
    check_stuck(1).await;
}

#[tokio::test]
async fn what_a_closed_instance_turns_away_goes_back() {
    let mut bench = Bench::new(WAITS, |_| ());
    let old = bench.begin(1);
    old.instance.close();
    bench.shop.publish(0..3);
    within(old.lanes.gone()).await;
    let counters = bench.mailbox.handle().counters();
    assert_eq!((counters.delivered, counters.queued), (0, 3));
    let new = bench.begin(2);
    bench.handles(2, 0..3).await;
    bench.end(new, 3).await;
}

#[tokio::test]
async fn lanes_that_wait_for_their_turn_can_leave() {
    let mut bench = Bench::new(WAITS, |declared| declared.concurrency = 2);
    let old = bench.begin(1);
    bench.shop.publish(0..1);
    let first = bench.asked(1, 0, 0).await;
    let failed = bench.begin(2);
    failed.lanes.leave();
    within(failed.lanes.gone()).await;
    first.ok();
    bench.shop.publish(1..2);
    bench.handles(1, 1..2).await;
    bench.end(old, 2).await;
}

#[tokio::test]
async fn lanes_that_left_too_early_go_on() {
    let mut bench = Bench::new(WAITS, |_| ());
    let mut old = bench.begin(1);
    bench.shop.publish(0..3);
    let first = bench.asked(1, 0, 0).await;
    old.lanes.leave();
    let failed = bench.begin(2);
    drop(failed);
    old.lanes = bench.lanes(&old.instance);
    first.ok();
    bench.handles(1, 1..3).await;
    bench.end(old, 3).await;
}

#[tokio::test]
async fn lanes_that_are_dropped_leave() {
    let mut bench = Bench::new(WAITS, |_| ());
    bench.shop.publish(0..3);
    let old = bench.begin(1);
    let first = bench.asked(1, 0, 0).await;
    drop(old);
    first.ok();
    let new = bench.begin(2);
    bench.handles(2, 1..3).await;
    bench.end(new, 3).await;
}

#[tokio::test]
async fn without_lanes_a_mailbox_queues() {
    let mut bench = Bench::new(WAITS, |_| ());
    bench.shop.publish(0..2);
    let old = bench.begin(1);
    bench.handles(1, 0..2).await;
    drop(old);
    bench.shop.publish(2..200);
    let mut declared = bench.declared.clone();
    (declared.capacity, declared.overflow) = (10, Overflow::KeepLatest);
    bench.mailbox.reshape(&declared);
    let new = bench.begin(2);
    bench.handles(2, 2..200).await;
    bench.end(new, 200).await;
}

#[tokio::test]
async fn what_waits_at_the_end_is_told_once() {
    let mut bench = Bench::new(WAITS, |declared| {
        (declared.retries, declared.capacity) = (1, 4);
    });
    bench.shop.publish(0..4);
    let served = bench.begin(1);
    bench.asked(1, 0, 0).await.ok();
    let _cut_off = bench.asked(1, 1, 0).await;
    served.lanes.leave();
    bench.shop.publish(4..9);
    served.interrupt().await;
    assert!(
        bench.shop.told().is_empty(),
        "that is the report's business"
    );
    bench.mailbox.close(&bench.shop.kernel);
    assert_eq!(bench.shop.next_dead().await, "1 interrupted");
    assert_eq!(bench.shop.told(), [7]);
    let counters = bench.mailbox.handle().counters();
    assert_eq!((counters.delivered, counters.dropped), (2, 7));
    assert!(bench.shop.dead.try_recv().is_none());
    assert!(bench.shop.bus.subscriptions().len() == 2);
}

#[tokio::test]
async fn what_comes_back_after_the_end_is_told() {
    let mut bench = Bench::new(WAITS, |declared| declared.retries = 1);
    bench.shop.publish(0..3);
    let served = bench.begin(1);
    let first = bench.asked(1, 0, 0).await;
    bench.mailbox.close(&bench.shop.kernel);
    served.lanes.leave();
    first.fail();
    within(served.lanes.gone()).await;
    assert_eq!(bench.shop.next_dead().await, "0 interrupted");
    assert_eq!(bench.shop.told(), [2]);
    let counters = bench.mailbox.handle().counters();
    assert_eq!((counters.delivered, counters.dropped), (1, 2));
}
