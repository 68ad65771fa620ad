//! Events that are given back, and queues that take on another shape.

use super::*;

#[track_caller]
fn take(subscription: &Subscription, max: usize) -> Vec<Held> {
    let mut held = Vec::new();
    let cx = &mut Context::from_waker(Waker::noop());
    let taken = subscription.poll_held(cx, &mut held, max);
    assert_eq!(taken, Poll::Ready(held.len()));
    held
}

fn numbers(held: &[Held]) -> Vec<(u64, u32)> {
    let number = |held: &Held| (held.event.sequence, held.attempt);
    held.iter().map(number).collect()
}

#[test]
fn what_is_given_back_comes_first_and_in_order() {
    let bus = bus();
    let subscription = subscribe(&bus, "t", 4, Overflow::DropOldest);
    let publisher = bus.publisher("a");
    for _ in 0..4 {
        publish_ready(&publisher, "t");
    }
    let (mut first, second) = (take(&subscription, 2), take(&subscription, 1));
    // The queue is full again meanwhile.
    for _ in 0..3 {
        publish_ready(&publisher, "t");
    }
    first.remove(0);
    first[0].attempt = 1;
    assert!(subscription.give_back(second).is_empty());
    assert!(subscription.give_back(first).is_empty());
    let expected = Counters {
        matched: 7,
        delivered: 1,
        queued: 6,
        ..Counters::default()
    };
    assert_eq!(subscription.counters(), expected);
    let again = take(&subscription, 9);
    assert_eq!(
        numbers(&again),
        [2, 3, 4, 5, 6, 7].map(|n| (n, u32::from(n == 2)))
    );
}

#[test]
fn who_waits_is_woken_for_what_is_given_back() {
    let bus = bus();
    let mut subscription = subscribe(&bus, "t", 4, Overflow::DropOldest);
    publish_ready(&bus.publisher("a"), "t");
    let held = take(&subscription, 1);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let cx = &mut Context::from_waker(&waker);
    assert!(subscription.poll_recv(cx).is_pending());
    subscription.give_back(held);
    assert_eq!(bell.rung(), 1);
    assert!(subscription.poll_recv(cx).is_ready());
    assert!(subscription.poll_recv(cx).is_pending());
    subscription.wake();
    assert_eq!(bell.rung(), 2);
}

/// Five events wait in a queue of this shape, beyond the capacity if it is `BackPressure`, when
/// it takes on another; one more comes. What is left?
#[track_caller]
fn check_reshape(before: (usize, Overflow), after: (usize, Overflow), expected: &[&str]) {
    let bus = bus();
    let mut subscription = subscribe(&bus, "*", before.0, before.1);
    let publisher = bus.publisher("a");
    let outcomes = ["a", "b", "a", "b", "a"].map(|topic| publish(&publisher, topic));
    subscription.reshape(after.0, after.1);
    let next = publish(&publisher, "b");
    assert_eq!(drain(&mut subscription), expected);
    for outcome in outcomes.into_iter().chain([next]) {
        assert_eq!(poll_once(outcome), Poll::Ready(1));
    }
    let dropped = 6 - expected.len() as u64;
    assert_eq!(subscription.counters().dropped, dropped);
}

#[test]
fn another_shape_loses_nothing_that_waits() {
    use Overflow::{BackPressure, DropNewest, DropOldest, KeepLatest};
    let all = ["a 1", "b 2", "a 3", "b 4", "a 5", "b 6"];
    check_reshape((5, DropOldest), (9, DropNewest), &all);
    check_reshape((5, DropOldest), (9, KeepLatest), &all);
    check_reshape((5, KeepLatest), (9, DropOldest), &all);
    check_reshape((5, DropOldest), (2, BackPressure), &all);
    check_reshape((2, BackPressure), (9, BackPressure), &all);
    check_reshape((2, BackPressure), (4, BackPressure), &all);
    check_reshape((2, BackPressure), (6, DropOldest), &all);
    // Smaller than what waits: the policy is for what comes.
    check_reshape((5, DropOldest), (2, DropNewest), &all[..5]);
    check_reshape((5, DropOldest), (2, DropOldest), &all[1..]);
    check_reshape((2, BackPressure), (2, DropOldest), &all[1..]);
    check_reshape(
        (5, DropNewest),
        (2, KeepLatest),
        &["b 2", "a 3", "b 4", "a 5", "b 6"],
    );
    check_reshape(
        (5, KeepLatest),
        (5, KeepLatest),
        &["b 2", "a 3", "b 4", "a 5", "b 6"],
    );
}

#[test]
fn what_waits_gives_way_by_the_new_policy() {
    let mut left = Vec::new();
    for (before, after) in [
        (Overflow::DropOldest, Overflow::KeepLatest),
        (Overflow::KeepLatest, Overflow::DropOldest),
    ] {
        let bus = bus();
        let mut subscription = subscribe(&bus, "*", 3, before);
        let publisher = bus.publisher("a");
        for topic in ["a", "b", "b"] {
            publish_ready(&publisher, topic);
        }
        subscription.reshape(3, after);
        publish_ready(&publisher, "c");
        left.push(drain(&mut subscription));
    }
    assert_eq!(left, [["a 1", "b 3", "c 4"], ["b 2", "b 3", "c 4"]]);
}

#[test]
fn a_smaller_capacity_is_reached_before_publishers_that_wait_go_on() {
    let bus = bus();
    let mut subscription = subscribe(&bus, "t", 3, Overflow::BackPressure);
    let publisher = bus.publisher("a");
    for _ in 0..3 {
        publish_ready(&publisher, "t");
    }
    let mut waits = publish_waiting(&publisher, "t");
    subscription.reshape(1, Overflow::BackPressure);
    for _ in 0..2 {
        assert!(subscription.try_recv().is_some());
        assert!(poll_once(&mut waits).is_pending());
    }
    assert!(subscription.try_recv().is_some());
    assert_eq!(poll_once(waits), Poll::Ready(1));
    assert_eq!(drain(&mut subscription), ["t 4"]);
}

#[test]
fn the_end_drops_what_waits_and_answers_what_was_tried() {
    let bus = bus();
    let mut notices = subscribe(&bus, OVERFLOW_TOPIC, 8, Overflow::DropOldest);
    let subscription = subscribe(&bus, "t", 4, Overflow::BackPressure);
    let publisher = bus.publisher("a");
    for _ in 0..4 {
        publish_ready(&publisher, "t");
    }
    let mut held = take(&subscription, 3);
    let outcomes = [(); 3].map(|()| publish(&publisher, "t"));
    let waits = publish_waiting(&publisher, "t");
    held[0].attempt = 1;
    let late = held.split_off(2);
    subscription.give_back(held);
    assert!(!subscription.is_ended());
    assert_eq!(numbers(&subscription.end()), [(1, 1)]);
    assert!(subscription.is_ended());
    for outcome in outcomes.into_iter().chain([PublishOutcome::Waiting(waits)]) {
        assert_eq!(poll_once(outcome), Poll::Ready(1));
    }
    let kernel = bus.publisher("kernel");
    let mut told = |dropped: Option<u64>| {
        subscription.tell_last(&kernel);
        let found = notices.try_recv();
        let text = found.map(|notice| String::from_utf8_lossy(&notice.payload).into_owned());
        let notice = |n| format!(r#"{{"dropped":{n},"pattern":"t","subscription":"tester"}}"#);
        assert_eq!(text, dropped.map(notice));
    };
    told(Some(6));
    told(None);
    assert!(subscription.give_back(late).is_empty());
    told(Some(1));
    let expected = Counters {
        matched: 8,
        delivered: 1,
        dropped: 7,
        ..Counters::default()
    };
    assert_eq!(subscription.counters(), expected);
}

#[test]
fn an_event_is_replayed_to_one_subscription_alone_and_before_all_others() {
    let bus = bus();
    let declared = |which| {
        let pattern = "t".parse().expect("a valid pattern");
        let options = SubscriptionOptions::new("tester", pattern).capacity(1);
        bus.subscribe(SubscriptionOptions {
            declared: which,
            ..options
        })
    };
    let (mut ours, mut first, mut second) = (declared(None), declared(Some(0)), declared(Some(1)));
    let publisher = bus.publisher("a");
    publish_ready(&publisher, "t");
    let event = second.try_recv().expect("one event");
    publish_ready(&publisher, "t");
    for _ in 0..2 {
        let replayed = bus.replay("tester", "t", 1, Arc::clone(&event));
        replayed.expect("it is there");
    }
    for (plugin, pattern, which) in [("tester", "t", 2), ("tester", "*", 1), ("other", "t", 1)] {
        let refused = bus.replay(plugin, pattern, which, Arc::clone(&event));
        refused.expect_err("it is not there");
    }
    assert_eq!(drain(&mut second), ["t 1", "t 1", "t 2"]);
    assert_eq!(drain(&mut ours), ["t 2"]);
    assert_eq!(drain(&mut first), ["t 2"]);
    let counters = second.counters();
    assert_eq!((counters.matched, counters.delivered), (4, 4));
    second.close();
    let refused = bus.replay("tester", "t", 1, event);
    refused.expect_err("it is closed");
}
