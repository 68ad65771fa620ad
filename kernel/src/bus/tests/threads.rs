//! Tallies under load: what was published by several threads is what arrives, once and in order.

use std::collections::HashMap;

use tokio::{sync::Semaphore, task::JoinSet};

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

/// Retains so much that handing it to a new subscription takes a while.
fn retain_ballast(bus: &Bus) {
    let publisher = bus.publisher("ballast");
    for index in 0..2_000 {
        drop(retained::retain(&publisher, &format!("ballast.{index}")));
    }
}

async fn retain_all(publisher: Publisher, topic: String) {
    for _ in 0..EVENTS {
        retained::retain(&publisher, &topic).await;
    }
}

/// Subscribes, and checks that of each topic come a retained event and all that follow it.
async fn arrive(bus: Bus, topics: u64, wanted: u64) -> bool {
    let mut subscription = subscribe(&bus, "*.*", 1 << 20, Overflow::DropOldest);
    let mut last: HashMap<Arc<str>, u64> = HashMap::new();
    let mut count = 0;
    while count < wanted
        && let Some(event) = subscription.recv().await
    {
        if &*event.source == "ballast" {
            continue;
        }
        let before = last.insert(Arc::clone(&event.topic), event.sequence);
        // The first ones are the retained ones, one for each topic.
        assert_eq!(
            before.is_none(),
            count < topics,
            "{event:?} after {before:?}"
        );
        let follows = before.is_none_or(|before| before + 1 == event.sequence);
        assert!(follows, "{event:?} after {before:?}");
        count += 1;
    }
    count == wanted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_comes_among_retained_events_misses_none_and_sees_none_twice() {
    const TOPICS: u64 = 3;
    const VISITS: usize = 20;
    let bus = bus();
    retain_ballast(&bus);
    let came = Arc::new(Semaphore::new(0));
    // One publisher for each topic, so that sequences follow each other.
    let mut publishers = JoinSet::new();
    for index in 0..TOPICS {
        let publisher = bus.publisher(&format!("p{index}"));
        retained::retain(&publisher, &format!("t.{index}")).await;
        let come = came.clone();
        publishers.spawn(async move {
            let topic = format!("t.{index}");
            // Until guests have come among them, however late they are.
            while come.available_permits() < VISITS {
                retained::retain(&publisher, &topic).await;
            }
        });
    }
    let mut guests = JoinSet::new();
    for guest in 0..4 {
        let (bus, came) = (bus.clone(), came.clone());
        guests.spawn(async move {
            while arrive(bus.clone(), TOPICS, 8 + guest).await {
                came.add_permits(1);
            }
        });
    }
    publishers.join_all().await;
    bus.close();
    guests.join_all().await;
}

/// Beside events that are not retained there are gaps, but what is retained never comes late.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_retained_comes_before_what_is_newer() {
    let bus = bus();
    retain_ballast(&bus);
    let publisher = bus.publisher("p");
    retained::retain(&publisher, "t.0").await;
    let mut publishers = JoinSet::new();
    publishers.spawn(async move {
        for _ in 0..EVENTS / 10 {
            retained::retain(&publisher, "t.0").await;
            // So many that most guests come among them.
            for _ in 0..200 {
                publish(&publisher, "t.0").await;
            }
        }
    });
    let mut checked = 0;
    while publishers.try_join_next().is_none() {
        let mut guest = subscribe(&bus, "*.*", 1 << 20, Overflow::DropOldest);
        let mut last = 0;
        for _ in 0..20 {
            while let Some(event) = guest.try_recv() {
                if &*event.source == "ballast" {
                    continue;
                }
                assert!(last < event.sequence, "{event:?} after {last}");
                last = event.sequence;
                checked += 1;
            }
            tokio::task::yield_now().await;
        }
        assert!(last > 0, "nothing was retained");
    }
    assert!(checked > 0);
}

/// Several publishers on one topic: what is retained is what was last for everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_of_several_publishers_is_the_last_for_all() {
    let bus = bus();
    let mut early = subscribe(&bus, "t", 1 << 20, Overflow::DropOldest);
    let mut other = subscribe(&bus, "*", 1 << 20, Overflow::DropOldest);
    let mut publishers = JoinSet::new();
    for index in 0..4 {
        let publisher = bus.publisher(&format!("p{index}"));
        publishers.spawn(retain_all(publisher, "t".to_owned()));
    }
    let mut guests = Vec::new();
    while !publishers.is_empty() {
        guests.push(subscribe(&bus, "t", 1 << 20, Overflow::DropOldest));
        if guests.len() > 100 {
            publishers.join_next().await;
        }
        tokio::task::yield_now().await;
    }
    let ids = |subscription: &mut Subscription| {
        let events = std::iter::from_fn(|| subscription.try_recv());
        events.map(|event| event.id).collect::<Vec<u64>>()
    };
    let all = ids(&mut early);
    assert_eq!(all.len() as u64, EVENTS * 4);
    assert_eq!(all, ids(&mut other), "one order for all");
    for mut guest in guests {
        assert!(all.ends_with(&ids(&mut guest)), "not the last ones");
    }
}
