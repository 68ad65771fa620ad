//! Tallies under load: what was published by several threads is what arrives, once and in order.

use std::collections::HashMap;

use tokio::task::JoinSet;

use super::*;

const EVENTS: u64 = 5_000;

/// Receives until the end, checks that each source's sequence ascends, and counts.
async fn tally(mut subscription: Subscription) -> u64 {
    let mut last: HashMap<Arc<str>, u64> = HashMap::new();
    let mut batch = Vec::new();
    let mut count = 0;
    while subscription.recv_batch(&mut batch, 16).await > 0 {
        for event in batch.drain(..) {
            count += 1;
            let before = last.insert(Arc::clone(&event.source), event.sequence);
            assert!(before < Some(event.sequence), "{event:?} after {before:?}");
        }
    }
    let counters = subscription.counters();
    assert_eq!(counters.delivered, count);
    assert_eq!(counters.matched, count + counters.dropped);
    count
}

async fn publish_all(publisher: Publisher, topic: String) {
    for _ in 0..EVENTS {
        publish(&publisher, &topic).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_with_back_pressure() {
    let bus = bus();
    let mut consumers = JoinSet::new();
    for capacity in 1..=8 {
        consumers.spawn(tally(subscribe(
            &bus,
            "t.*",
            capacity * 5,
            Overflow::BackPressure,
        )));
    }
    let mut publishers = JoinSet::new();
    for index in 0..4 {
        let publisher = bus.publisher(&format!("p{index}"));
        publishers.spawn(publish_all(publisher, format!("t.{index}")));
    }
    publishers.join_all().await;
    bus.close();
    assert_eq!(consumers.join_all().await, [EVENTS * 4; 8]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_publisher_on_several_threads_keeps_its_sequence() {
    let bus = bus();
    let consumer = tokio::spawn(tally(subscribe(&bus, "t.*", 7, Overflow::BackPressure)));
    let publisher = bus.publisher("p");
    let mut publishers = JoinSet::new();
    for index in 0..4 {
        publishers.spawn(publish_all(publisher.clone(), format!("t.{index}")));
    }
    publishers.join_all().await;
    bus.close();
    assert_eq!(consumer.await.expect("the tally holds"), EVENTS * 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_dropped_is_counted() {
    let bus = bus();
    let mut consumers = JoinSet::new();
    for overflow in [
        Overflow::DropOldest,
        Overflow::DropNewest,
        Overflow::KeepLatest,
    ] {
        let subscription = subscribe(&bus, "**", 4, overflow);
        let handle = subscription.handle();
        consumers.spawn(async move { tally(subscription).await + handle.counters().dropped });
    }
    let mut publishers = JoinSet::new();
    for index in 0..4 {
        let publisher = bus.publisher(&format!("p{index}"));
        publishers.spawn(publish_all(publisher, "t".to_owned()));
    }
    publishers.join_all().await;
    bus.close();
    assert_eq!(consumers.join_all().await, [EVENTS * 4; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscriptions_come_and_go_while_publishers_wait() {
    let bus = bus();
    let mut steady = JoinSet::new();
    steady.spawn(tally(subscribe(&bus, "t.**", 16, Overflow::BackPressure)));
    let mut publishers = JoinSet::new();
    for index in 0..2 {
        let publisher = bus.publisher(&format!("p{index}"));
        publishers.spawn(publish_all(publisher, format!("t.{index}")));
    }
    let visitors = tokio::spawn({
        let bus = bus.clone();
        async move {
            for _ in 0..200 {
                let mut visitor = subscribe(&bus, "t.*", 1, Overflow::BackPressure);
                tokio::task::yield_now().await;
                visitor.try_recv();
            }
        }
    });
    publishers.join_all().await;
    visitors.await.expect("visitors come and go");
    bus.close();
    assert_eq!(steady.join_all().await, [EVENTS * 2]);
}
