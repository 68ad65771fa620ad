//! What is retained for subscribers to come: who is handed it, when, and how often.

use super::*;

#[track_caller]
pub(super) fn retain(publisher: &Publisher, topic: &str) -> PublishOutcome {
    let draft = Draft {
        topic,
        payload: payload("{}"),
        content_type: JSON,
        correlation: 0,
    };
    publisher.retain(draft).expect("there is room")
}

#[track_caller]
fn retain_ready(publisher: &Publisher, topic: &str) -> usize {
    match retain(publisher, topic) {
        PublishOutcome::Ready(matched) => matched,
        PublishOutcome::Waiting(_) => panic!("`{topic}` waits for room"),
    }
}

#[test]
fn who_comes_later_is_handed_the_last_of_each_topic() {
    let bus = bus();
    let publisher = bus.publisher("a");
    let mut early = subscribe(&bus, "lamp.**", 9, Overflow::DropOldest);
    for topic in ["lamp.on", "lamp.level", "lamp.on", "door.open"] {
        retain_ready(&publisher, topic);
    }
    publish_ready(&publisher, "lamp.level");
    assert_eq!(
        drain(&mut early),
        ["lamp.on 1", "lamp.level 2", "lamp.on 3", "lamp.level 5"]
    );
    for (pattern, expected) in [
        ("lamp.**", &["lamp.level 2", "lamp.on 3"][..]),
        ("lamp.on", &["lamp.on 3"]),
        ("*.on", &["lamp.on 3"]),
        ("**", &["lamp.level 2", "lamp.on 3", "door.open 4"]),
        ("lamp.*.on", &[]),
        ("lam.**", &[]),
        ("lamp", &[]),
    ] {
        let mut late = subscribe(&bus, pattern, 9, Overflow::DropOldest);
        assert_eq!(drain(&mut late), expected, "`{pattern}`");
        assert_eq!(late.counters().matched, expected.len() as u64);
    }
}

#[test]
fn what_comes_next_comes_behind_it_and_it_comes_once() {
    let bus = bus();
    let publisher = bus.publisher("a");
    assert_eq!(retain_ready(&publisher, "t"), 0);
    let mut late = subscribe(&bus, "t", 9, Overflow::DropOldest);
    publish_ready(&publisher, "t");
    assert_eq!(retain_ready(&publisher, "t"), 1);
    assert_eq!(drain(&mut late), ["t 1", "t 2", "t 3"]);
    assert_eq!(drain(&mut late), [""; 0]);
}

#[test]
fn what_is_cleared_is_handed_to_nobody() {
    let bus = bus();
    let publisher = bus.publisher("a");
    retain_ready(&publisher, "t");
    let mut early = subscribe(&bus, "t", 9, Overflow::DropOldest);
    assert_eq!(bus.clear_retained("t"), Ok(true));
    assert_eq!(bus.clear_retained("t"), Ok(false));
    bus.clear_retained("t.*").expect_err("no topic");
    assert_eq!(drain(&mut early), ["t 1"], "it was handed over before");
    let mut late = subscribe(&bus, "t", 9, Overflow::DropOldest);
    assert_eq!(drain(&mut late), [""; 0]);
    retain_ready(&publisher, "t");
    assert_eq!(drain(&mut late), ["t 2"]);
}

#[test]
fn it_needs_no_room_and_gives_way_by_the_policy() {
    use Overflow::{BackPressure, DropNewest, DropOldest, KeepLatest};
    for (overflow, expected) in [
        (DropOldest, &["b 2", "c 3", "a 4"][..]),
        (DropNewest, &["a 1", "b 2", "c 3"]),
        (KeepLatest, &["b 2", "c 3", "a 4"]),
        (BackPressure, &["a 1", "b 2", "c 3", "a 4"]),
    ] {
        let bus = bus();
        let publisher = bus.publisher("a");
        for topic in ["a", "b", "c"] {
            retain_ready(&publisher, topic);
        }
        let mut late = subscribe(&bus, "*", 1, overflow);
        assert_eq!(late.counters().dropped, 0);
        let outcome = retain(&publisher, "a");
        assert_eq!(drain(&mut late), expected, "{overflow:?}");
        assert_eq!(poll_once(outcome), Poll::Ready(1));
    }
}

#[test]
fn what_cannot_be_retained_is_not_published() {
    let bus = bus();
    let publisher = bus.publisher("a");
    let mut subscription = subscribe(&bus, "**", 9, Overflow::DropOldest);
    let draft = |topic, bytes| Draft {
        topic,
        payload: Payload::from(vec![b' '; bytes]),
        content_type: JSON,
        correlation: 0,
    };
    publisher.retain(draft("t.*", 0)).expect_err("no topic");
    let error = publisher
        .retain(draft("t", RETAINED_BYTES_MAX))
        .expect_err("too large");
    assert!(error.is_too_large());
    let expect = "the event on `t` cannot be retained: it has 67108865 bytes, and 67108864 of \
                  67108864 are left";
    assert_eq!(error.to_string(), expect);
    assert_eq!(error.hint(), None);
    assert_eq!(drain(&mut subscription), [""; 0]);
    publish_ready(&publisher, "t");
    assert_eq!(drain(&mut subscription), ["t 1"], "no number is left out");
}

#[test]
fn a_closed_bus_hands_out_nothing() {
    let bus = bus();
    let publisher = bus.publisher("a");
    retain_ready(&publisher, "t");
    bus.close();
    assert_eq!(retain_ready(&publisher, "t"), 0);
    let mut late = subscribe(&bus, "t", 9, Overflow::DropOldest);
    assert_eq!(drain(&mut late), [""; 0]);
    assert!(matches!(poll_once(late.recv()), Poll::Ready(None)));
}
