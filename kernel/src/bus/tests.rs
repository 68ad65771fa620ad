//! What the bus promises, case by case; `model` compares it with a naive one, `threads` loads it.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use octa_loader::Overflow;
use octa_plugin_api::Payload;

use super::*;

mod documented;
mod held;
mod model;
mod retained;
mod tally;
mod threads;

fn bus() -> Bus {
    Bus::new(Arc::new(|| 1_700_000_000_000_000_000))
}

fn subscribe(bus: &Bus, pattern: &str, capacity: usize, overflow: Overflow) -> Subscription {
    let options = SubscriptionOptions::new("tester", pattern.parse().expect("a valid pattern"))
        .capacity(capacity)
        .overflow(overflow);
    bus.subscribe(options)
}

fn payload(text: &str) -> Payload {
    Payload::from(text.as_bytes())
}

fn publish(publisher: &Publisher, topic: &str) -> PublishOutcome {
    publisher
        .publish(topic, payload("{}"), 0)
        .expect("a valid topic")
}

#[track_caller]
fn publish_ready(publisher: &Publisher, topic: &str) -> usize {
    match publish(publisher, topic) {
        PublishOutcome::Ready(matched) => matched,
        PublishOutcome::Waiting(_) => panic!("`{topic}` waits for room"),
    }
}

#[track_caller]
fn publish_waiting(publisher: &Publisher, topic: &str) -> Delivery {
    match publish(publisher, topic) {
        PublishOutcome::Ready(_) => panic!("`{topic}` found room"),
        PublishOutcome::Waiting(delivery) => delivery,
    }
}

/// What is queued, as `topic sequence`.
fn drain(subscription: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| subscription.try_recv())
        .map(|event| format!("{} {}", event.topic, event.sequence))
        .collect()
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_event_carries_what_was_said_and_what_the_bus_adds() {
    let bus = bus();
    let mut subscription = subscribe(&bus, "device.*", 8, Overflow::DropOldest);
    let publisher = bus.publisher("devices");
    let draft = Draft {
        topic: "device.on",
        payload: payload("7"),
        content_type: 3,
        correlation: 9,
    };
    let outcome = publisher.send(draft).expect("a valid topic");
    assert!(matches!(outcome, PublishOutcome::Ready(1)));

    let event = subscription.try_recv().expect("one event");
    assert_eq!((&*event.topic, &*event.source), ("device.on", "devices"));
    assert_eq!((event.sequence, event.correlation), (1, 9));
    assert_eq!((event.content_type, &*event.payload), (3, &b"7"[..]));
    assert_eq!(event.time, 1_700_000_000_000_000_000);
}

#[test]
fn ids_differ_between_publishers_and_over_many_events() {
    let bus = bus();
    let mut subscription = subscribe(&bus, "**", 10_000, Overflow::DropOldest);
    let publishers = [bus.publisher("a"), bus.publisher("b")];
    for publisher in publishers.iter().cycle().take(5_000) {
        publish_ready(publisher, "t");
    }
    let events = std::iter::from_fn(|| subscription.try_recv());
    let ids: std::collections::HashSet<u64> = events.map(|event| event.id).collect();
    assert_eq!(ids.len(), 5_000);
}

#[test]
fn clones_of_a_publisher_share_its_sequence() {
    let bus = bus();
    let mut subscription = subscribe(&bus, "t", 8, Overflow::DropOldest);
    let publisher = bus.publisher("a");
    publish_ready(&publisher, "t");
    publish_ready(&publisher.clone(), "t");
    publish_ready(&publisher, "nobody");
    publish_ready(&publisher, "t");
    assert_eq!(drain(&mut subscription), ["t 1", "t 2", "t 4"]);
}

#[test]
fn a_bad_topic_is_refused() {
    let bus = bus();
    let publisher = bus.publisher("a");
    for topic in ["", "a..b", "a.*", "**", "a b", "ä", &"a.".repeat(200)] {
        assert!(publisher.publish(topic, payload(""), 0).is_err(), "{topic}");
    }
}

#[test]
fn a_known_topic_notices_subscriptions_that_come_and_go() {
    let bus = bus();
    let publisher = bus.publisher("a");
    assert_eq!(publish_ready(&publisher, "t"), 0);
    let first = subscribe(&bus, "t", 8, Overflow::DropOldest);
    assert_eq!(publish_ready(&publisher, "t"), 1);
    let second = subscribe(&bus, "*", 8, Overflow::DropOldest);
    assert_eq!(publish_ready(&publisher, "t"), 2);
    drop(first);
    assert_eq!(publish_ready(&publisher, "t"), 1);
    second.close();
    assert_eq!(publish_ready(&publisher, "t"), 0);
    assert!(bus.subscriptions().is_empty());
    assert!(bus.hub.matches("t").is_empty());
}

#[test]
fn more_topics_than_a_publisher_remembers() {
    let bus = bus();
    let mut subscription = subscribe(&bus, "t.*", 8, Overflow::DropOldest);
    let publisher = bus.publisher("a");
    for index in 0..3_000 {
        assert_eq!(publish_ready(&publisher, &format!("t.{index}")), 1);
        assert!(subscription.try_recv().is_some());
    }
}

#[track_caller]
fn check_overflow(overflow: Overflow, topics: &str, expected: &[&str]) {
    let bus = bus();
    let mut subscription = subscribe(&bus, "*", 3, overflow);
    let publisher = bus.publisher("a");
    for topic in topics.split(' ') {
        publish_ready(&publisher, topic);
    }
    let published = topics.split(' ').count() as u64;
    assert_eq!(drain(&mut subscription), expected);
    let counters = subscription.counters();
    assert_eq!(counters.matched, published);
    assert_eq!(counters.dropped, published - expected.len() as u64);
}

#[test]
fn a_full_queue_gives_way_as_declared() {
    use Overflow::{DropNewest, DropOldest, KeepLatest};
    check_overflow(DropOldest, "a b c", &["a 1", "b 2", "c 3"]);
    check_overflow(DropOldest, "a b c d e", &["c 3", "d 4", "e 5"]);
    check_overflow(DropNewest, "a b c d e", &["a 1", "b 2", "c 3"]);
    check_overflow(KeepLatest, "a a a", &["a 1", "a 2", "a 3"]);
    check_overflow(KeepLatest, "a b b c", &["a 1", "b 3", "c 4"]);
    check_overflow(KeepLatest, "a b b b b b c", &["a 1", "b 6", "c 7"]);
    check_overflow(KeepLatest, "a b c d", &["b 2", "c 3", "d 4"]);
    check_overflow(KeepLatest, "a b c a b c", &["a 4", "b 5", "c 6"]);
}

#[test]
fn a_capacity_of_nothing_is_one() {
    let bus = bus();
    let mut subscription = subscribe(&bus, "t", 0, Overflow::DropOldest);
    let publisher = bus.publisher("a");
    publish_ready(&publisher, "t");
    publish_ready(&publisher, "t");
    assert_eq!(drain(&mut subscription), ["t 2"]);
}

#[test]
fn back_pressure_waits_for_room_and_holds_up_nobody_else() {
    let bus = bus();
    let mut slow = subscribe(&bus, "t", 1, Overflow::BackPressure);
    let mut other = subscribe(&bus, "t", 8, Overflow::DropOldest);
    let (first, second) = (bus.publisher("a"), bus.publisher("b"));
    publish_ready(&first, "t");
    let mut waits = publish_waiting(&first, "t");
    let mut behind = publish_waiting(&second, "t");
    assert_eq!(drain(&mut other), ["t 1", "t 2", "t 1"]);
    assert_eq!(slow.counters().waiting, 2);

    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let cx = &mut Context::from_waker(&waker);
    assert!(pin!(&mut waits).poll(cx).is_pending());
    assert!(poll_once(&mut behind).is_pending());
    assert!(slow.try_recv().is_some());
    assert_eq!(bell.rung(), 1);
    assert_eq!(poll_once(&mut waits), Poll::Ready(2));
    assert!(poll_once(&mut behind).is_pending());
    assert_eq!(drain(&mut slow), ["t 2", "t 1"]);
    assert_eq!(poll_once(&mut behind), Poll::Ready(2));
}

#[test]
fn a_publisher_that_stops_waiting_takes_its_event_back() {
    let bus = bus();
    let mut slow = subscribe(&bus, "t", 1, Overflow::BackPressure);
    let publisher = bus.publisher("a");
    publish_ready(&publisher, "t");
    let given_up = publish_waiting(&publisher, "t");
    let kept = publish_waiting(&publisher, "t");
    drop(given_up);
    assert_eq!(drain(&mut slow), ["t 1", "t 3"]);
    assert_eq!(poll_once(kept), Poll::Ready(1));
    assert_eq!(slow.counters().dropped, 1);
}

#[test]
fn dropping_the_subscription_lets_a_waiting_publisher_go() {
    let bus = bus();
    let slow = subscribe(&bus, "t", 1, Overflow::BackPressure);
    let publisher = bus.publisher("a");
    publish_ready(&publisher, "t");
    let mut waits = publish_waiting(&publisher, "t");
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    assert!(
        pin!(&mut waits)
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let handle = slow.handle();
    drop(slow);
    assert_eq!(bell.rung(), 1);
    assert_eq!(poll_once(waits), Poll::Ready(1));
    let expected = Counters {
        matched: 2,
        dropped: 2,
        ..Counters::default()
    };
    assert_eq!(handle.counters(), expected);
}

#[test]
fn a_waiting_consumer_is_woken_once_for_a_burst() {
    let bus = bus();
    let mut subscription = subscribe(&bus, "t", 8, Overflow::DropOldest);
    let publisher = bus.publisher("a");
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let cx = &mut Context::from_waker(&waker);
    let mut batch = Vec::new();
    assert!(subscription.poll_batch(cx, &mut batch, 2).is_pending());
    for _ in 0..3 {
        publish_ready(&publisher, "t");
    }
    assert_eq!(bell.rung(), 1);
    assert_eq!(subscription.poll_batch(cx, &mut batch, 2), Poll::Ready(2));
    assert_eq!(subscription.poll_batch(cx, &mut batch, 2), Poll::Ready(1));
    assert_eq!(batch.len(), 3);
    assert!(subscription.poll_batch(cx, &mut batch, 2).is_pending());
}

#[test]
fn a_queue_goes_from_one_consumer_to_the_next() {
    let bus = bus();
    let mut subscription = subscribe(&bus, "t", 8, Overflow::DropOldest);
    let publisher = bus.publisher("a");
    assert!(poll_once(subscription.recv()).is_pending());
    publish_ready(&publisher, "t");
    let mut handed_over = subscription;
    publish_ready(&publisher, "t");
    assert_eq!(drain(&mut handed_over), ["t 1", "t 2"]);
}

#[test]
fn the_end_comes_after_what_is_queued() {
    let bus = bus();
    let mut subscription = subscribe(&bus, "t", 8, Overflow::DropOldest);
    let publisher = bus.publisher("a");
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let cx = &mut Context::from_waker(&waker);
    assert!(subscription.poll_recv(cx).is_pending());
    publish_ready(&publisher, "t");
    assert!(matches!(subscription.poll_recv(cx), Poll::Ready(Some(_))));
    assert!(subscription.poll_recv(cx).is_pending());
    publish_ready(&publisher, "t");
    bus.close();
    assert!(matches!(subscription.poll_recv(cx), Poll::Ready(Some(_))));
    assert!(matches!(subscription.poll_recv(cx), Poll::Ready(None)));
    assert_eq!(bell.rung(), 2);
    let mut late = subscribe(&bus, "t", 8, Overflow::DropOldest);
    assert!(matches!(late.poll_recv(cx), Poll::Ready(None)));
}

#[tokio::test(start_paused = true)]
async fn drops_are_told_at_once_then_together() {
    let bus = bus();
    let mut notices = subscribe(&bus, OVERFLOW_TOPIC, 8, Overflow::DropOldest);
    let _full = subscribe(&bus, "t", 1, Overflow::DropOldest);
    let publisher = bus.publisher("a");
    let report = tokio::spawn(bus.report_overflow(Duration::from_secs(1)));
    let mut told = Vec::new();
    for published in [2, 5, 5] {
        for _ in 0..published {
            publish_ready(&publisher, "t");
            assert!(told.is_empty() || notices.try_recv().is_none());
            tokio::task::yield_now().await;
        }
        let notice = notices.recv().await.expect("a notice");
        told.push(String::from_utf8_lossy(&notice.payload).into_owned());
    }
    let notice = |n| format!(r#"{{"dropped":{n},"pattern":"t","subscription":"tester"}}"#);
    assert_eq!(told, [notice(1), notice(5), notice(5)]);
    bus.close();
    report.await.expect("the report ends with the bus");
}

#[tokio::test(start_paused = true)]
async fn notices_that_are_dropped_cause_no_notices() {
    let bus = bus();
    let mut everything = subscribe(&bus, "**", 1, Overflow::DropOldest);
    let _stuck = subscribe(&bus, OVERFLOW_TOPIC, 1, Overflow::BackPressure);
    let publisher = bus.publisher("a");
    let report = tokio::spawn(bus.report_overflow(Duration::from_secs(1)));
    publish_ready(&publisher, "t");
    publish_ready(&publisher, "t");
    tokio::time::sleep(Duration::from_secs(100)).await;
    let counters = everything.counters();
    assert_eq!((counters.matched, counters.dropped), (3, 2));
    assert_eq!(drain(&mut everything), ["kernel.bus.overflow 1"]);
    bus.close();
    report.await.expect("the report ends with the bus");
}

/// What subscriptions are told to have dropped just now, in the order told.
fn dropped(notices: &mut Subscription) -> Vec<u64> {
    let notices = std::iter::from_fn(|| notices.try_recv());
    let dropped = |notice: Arc<Event>| {
        let notice: serde_json::Value = notice.payload.parse().expect("JSON");
        notice["dropped"].as_u64().expect("a number")
    };
    notices.map(dropped).collect()
}

fn publish_times(publisher: &Publisher, topic: &str, times: usize) {
    for _ in 0..times {
        publish_ready(publisher, topic);
    }
}

/// Lets what can run do so, and no time pass.
async fn settle() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_drop_of_each_subscription_is_told_at_once() {
    let bus = bus();
    let mut notices = subscribe(&bus, OVERFLOW_TOPIC, 8, Overflow::DropOldest);
    let _full = ["t", "u"].map(|topic| subscribe(&bus, topic, 1, Overflow::DropOldest));
    let publisher = bus.publisher("a");
    let report = tokio::spawn(bus.report_overflow(Duration::from_secs(1)));
    for (topic, count) in [("t", 2), ("u", 2), ("t", 3), ("u", 4)] {
        publish_times(&publisher, topic, count);
        settle().await;
    }
    assert_eq!(dropped(&mut notices), [1, 1]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(dropped(&mut notices), [3, 4]);
    publish_ready(&publisher, "t");
    settle().await;
    assert_eq!(dropped(&mut notices), [1], "it was quiet for a while");
    bus.close();
    report.await.expect("the report ends with the bus");
}

#[tokio::test(start_paused = true)]
async fn what_a_subscription_dropped_is_told_after_its_end() {
    let bus = bus();
    let mut notices = subscribe(&bus, OVERFLOW_TOPIC, 8, Overflow::DropOldest);
    let full = subscribe(&bus, "t", 2, Overflow::DropOldest);
    let (idle, read) = (
        subscribe(&bus, "u", 2, Overflow::BackPressure),
        subscribe(&bus, "v", 1, Overflow::DropOldest),
    );
    let publisher = bus.publisher("a");
    let report = tokio::spawn(bus.report_overflow(Duration::from_secs(1)));
    publish_times(&publisher, "t", 3);
    settle().await;
    publish_times(&publisher, "t", 5);
    drop(full);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(
        dropped(&mut notices),
        [1, 7],
        "with what lay there at the end"
    );
    publish_times(&publisher, "u", 2);
    let waits = publish_waiting(&publisher, "u");
    drop((idle, read));
    assert_eq!(poll_once(waits), Poll::Ready(1));
    settle().await;
    assert_eq!(dropped(&mut notices), [3]);
    bus.close();
    report.await.expect("the report ends with the bus");
}
