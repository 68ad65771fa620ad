//! Events that an instance wants kept for subscribers to come.

use super::*;

fn flagged(facilities: &Facilities, topic: &str, flags: u32, what: u64) -> Result<u64, String> {
    let request = Request {
        flags,
        payload: Payload::json(&what).expect("JSON"),
        ..request(operation::PUBLISH, topic)
    };
    ask(facilities, &request).map(|outcome| outcome.number)
}

fn retain(facilities: &Facilities, topic: &str, what: u64) -> Result<u64, String> {
    flagged(facilities, topic, publish_flag::RETAIN, what)
}

fn clear(facilities: &Facilities, topic: &str) -> Result<u64, String> {
    flagged(facilities, topic, publish_flag::CLEAR, 0)
}

/// What a subscriber to come is handed.
fn kept(bench: &Bench) -> Vec<u64> {
    received(&mut bench.subscribe(|options| options))
}

#[test]
fn it_is_published_kept_and_cleared() {
    let bench = Bench::new();
    let lamp = bench.serving();
    let mut early = bench.subscribe(|options| options);
    assert_eq!(retain(&lamp, "lamp.on", 1), Ok(1));
    assert_eq!(publish(&lamp, "lamp.on", 2), Ok(1));
    assert_eq!(received(&mut early), [1, 2]);
    assert_eq!(kept(&bench), [1]);
    assert_eq!(clear(&lamp, "lamp.on"), Ok(1));
    assert_eq!(clear(&lamp, "lamp.on"), Ok(0));
    assert_eq!(kept(&bench), [0; 0]);
}

#[test]
fn it_needs_the_permission_to_publish() {
    let bench = Bench::new();
    let lamp = bench.serving();
    for topic in ["kernel.lamp", "door.open"] {
        for flags in [publish_flag::RETAIN, publish_flag::CLEAR] {
            let denied = flagged(&lamp, topic, flags, 1).expect_err("it may not");
            assert!(denied.starts_with("denied: "), "{denied}");
        }
    }
    let unknown = flagged(&lamp, "lamp.on", 4, 1).expect_err("unknown");
    assert!(
        unknown.starts_with("unsupported: this kernel does not know the flags 0x4"),
        "{unknown}"
    );
}

#[test]
fn what_does_not_fit_says_so() {
    let bench = Bench::new();
    let lamp = bench.serving();
    let large = |bytes| Request {
        flags: publish_flag::RETAIN,
        payload: Payload::from(vec![b'1'; bytes]),
        ..request(operation::PUBLISH, "lamp.on")
    };
    let too_large = ask(&lamp, &large(64 << 20)).expect_err("too large");
    assert!(
        too_large.starts_with("too-large: the event on `lamp.on`"),
        "{too_large}"
    );
    ask(&lamp, &large(63 << 20)).expect("it fits");
    let other = Request {
        target: "lamp.off",
        ..large(2 << 20)
    };
    let full = ask(&lamp, &other).expect_err("full");
    assert!(
        full.starts_with("overloaded: the event on `lamp.off`"),
        "{full}"
    );
}

#[test]
fn on_trial_it_is_held_back_in_order() {
    let bench = Bench::new();
    let old = bench.serving();
    retain(&old, "lamp.on", 1).expect("it publishes");
    retain(&old, "lamp.level", 2).expect("it publishes");
    let new = bench.on_trial();
    assert_eq!(retain(&new, "lamp.on", 3), Ok(0));
    assert_eq!(clear(&new, "lamp.level"), Ok(0));
    assert_eq!(retain(&new, "lamp.level", 4), Ok(0));
    assert_eq!(clear(&new, "lamp.on"), Ok(0));
    assert_eq!(kept(&bench), [1, 2], "not before the switch");
    new.release(Some(&old));
    assert_eq!(kept(&bench), [4]);
}

#[test]
fn what_moves_in_a_reload_is_handed_nothing_again() {
    let bench = Bench::new();
    let (old, new) = (bench.serving(), bench.on_trial());
    retain(&old, "lamp.on", 1).expect("it publishes");
    let theirs = subscribe(&old, "lamp.**").expect("a number");
    let first = is_ready(&mut next(&old, theirs).expect("it is open"));
    assert_eq!(
        value(&first.expect("an event").result.expect("an event")),
        1
    );
    let ours = subscribe(&new, "lamp.**").expect("a number");
    let another = subscribe(&new, "lamp.**").expect("a number");
    new.release(Some(&old));
    let mut inherited = next(&new, ours).expect("it is open");
    assert!(is_ready(&mut inherited).is_none(), "handed over again");
    let fresh = is_ready(&mut next(&new, another).expect("it is open"));
    assert_eq!(
        value(&fresh.expect("an event").result.expect("an event")),
        1
    );
}
