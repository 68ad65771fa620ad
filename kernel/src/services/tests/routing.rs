//! Which provider gets a call: the four strategies, and health from both sides.

use std::collections::BTreeMap;

use octa_plugin_api::ErrorKind;
use serde_json::json;

use super::crew::{Act, Crew, How};

fn by(routing: &str) -> String {
    format!("[capabilities.\"work.safe\"]\nrouting = \"{routing}\"\n")
}

#[test]
fn in_turn_each_has_the_same_share() {
    let crew = Crew::new("");
    let [a, b, c] = ["a", "b", "c"].map(|name| crew.hand(name));
    let ask = |_| {
        crew.ask("work.safe").expect("an answer");
    };
    assert_eq!(crew.shares([&a, &b, &c], 300, ask), [100, 100, 100]);
}

#[test]
fn who_says_that_it_can_do_nothing_is_asked_only_if_there_is_no_other() {
    for routing in ["round-robin", "failover", "least-in-flight", "by-key"] {
        let crew = Crew::new(&by(routing));
        let [a, b] = ["a", "b"].map(|name| crew.hand(name));
        crew.says_health(&a, 0.0);
        let ask = |number: usize| {
            let key = number.to_string();
            let how = How {
                route_by: &key,
                ..How::default()
            };
            crew.ask_as("work.safe", how).expect("an answer");
        };
        assert_eq!(crew.shares([&a, &b], 20, ask), [0, 20], "{routing}");
        crew.says_health(&b, 0.0);
        let [first, second] = crew.shares([&a, &b], 20, ask);
        assert_eq!(first + second, 20, "{routing}: better than nobody");
        crew.says_health(&a, 1.0);
        assert_eq!(crew.shares([&a, &b], 20, ask), [20, 0], "{routing}");
    }
}

#[test]
fn the_first_choice_has_all_until_it_cannot() {
    let crew = Crew::new(
        "[capabilities.\"work.safe\"]\nrouting = \"failover\"\norder = [\"b\", \"a\"]\n\
         breaker = { calls = 2 }",
    );
    let [a, b, c] = ["a", "b", "c"].map(|name| crew.hand(name));
    let ask = |_| drop(crew.ask("work.safe"));
    assert_eq!(crew.shares([&a, &b, &c], 10, ask), [0, 10, 0]);
    crew.always(&b, Act::Fail(ErrorKind::Failed));
    // It was good ten times before: as many failures weigh the same.
    assert_eq!(crew.shares([&a, &b, &c], 30, ask), [20, 10, 0]);
    crew.always(&a, Act::Fail(ErrorKind::Failed));
    crew.shares([&a, &b, &c], 100, ask);
    assert_eq!(crew.shares([&a, &b, &c], 10, ask), [0, 0, 10]);
    crew.always(&b, None);
    crew.advance(6);
    assert_eq!(crew.shares([&a, &b, &c], 10, ask), [0, 10, 0], "it is back");
}

#[test]
fn the_one_with_the_fewest_calls_under_way_gets_the_next() {
    let crew = Crew::new(&by("least-in-flight"));
    let [a, b, c] = ["a", "b", "c"].map(|name| crew.hand(name));
    for hand in [&a, &b, &c] {
        crew.always(hand, Act::Take(100));
    }
    let begin = |count: usize| -> Vec<_> {
        let calls = (0..count).map(|_| {
            let mut call = crew.call_as("work.safe", How::default(), &json!(null));
            assert!(call.poll().is_pending());
            call
        });
        calls.collect()
    };
    let begun = || [&a, &b, &c].map(|hand| crew.begun(hand));
    let calls = begin(30);
    assert_eq!(begun(), [10, 10, 10]);
    drop(calls);
    // Whoever does half as well has half as much to do.
    crew.says_health(&c, 0.5);
    let _calls = begin(25);
    assert_eq!(begun(), [20, 20, 15]);
}

#[test]
fn a_key_stays_with_its_provider_and_few_keys_move() {
    let crew = Crew::new(&by("by-key"));
    let hands = ["a", "b", "c", "d"].map(|name| crew.hand(name));
    let owners = || -> BTreeMap<usize, u64> {
        let owner = |number: usize| {
            let key = format!("lamp_{number}");
            let how = How {
                route_by: &key,
                ..How::default()
            };
            (number, crew.ask_as("work.safe", how).expect("an answer"))
        };
        (0..400).map(owner).collect()
    };
    let before = owners();
    assert_eq!(before, owners(), "the same key, the same provider");
    for hand in &hands {
        let share = before.values().filter(|it| **it == hand.number).count();
        assert!((60..=140).contains(&share), "{share} of 400 on one of four");
    }
    crew.house.services.unregister("d");
    let after = owners();
    for (key, owner) in &before {
        let was_there = *owner != hands[3].number;
        assert_eq!(after[key] == *owner, was_there, "only its own keys move");
    }
    let e = crew.hand("e");
    let with_e = owners();
    for (key, owner) in &after {
        assert!(
            with_e[key] == *owner || with_e[key] == e.number,
            "only to the new one"
        );
    }
}

#[test]
fn routed_by_key_a_call_has_to_bring_one() {
    let crew = Crew::new(&by("by-key"));
    let hand = crew.hand("a");
    let refused = crew.ask("work.safe").expect_err("there is no key");
    assert_eq!(
        refused,
        "invalid-input: `work.safe` is routed by key, and the call brings none (hint: give the \
         call a routing key: `ctx.with_routing_key(…)`, `octa call --routing-key …`)"
    );
    assert_eq!(crew.begun(&hand), 0);
}

#[test]
fn a_provider_that_fails_has_no_share_and_gets_it_back() {
    let crew = Crew::new("");
    let [a, b] = ["a", "b"].map(|name| crew.hand(name));
    let ask = |_| drop(crew.ask("work.once"));
    for act in [
        Act::Fail(ErrorKind::Failed),
        Act::Fail(ErrorKind::Internal),
        Act::Panic,
    ] {
        crew.always(&a, act);
        let [failing, _] = crew.shares([&a, &b], 100, ask);
        assert!(
            (5..=30).contains(&failing),
            "{failing} before it is cut off"
        );
        assert_eq!(crew.shares([&a, &b], 100, ask), [0, 100], "{act:?}");
        crew.always(&a, None);
        crew.advance(6);
        assert_eq!(crew.shares([&a, &b], 100, ask), [50, 50], "{act:?}");
        crew.advance(20);
    }
}

#[test]
fn what_a_provider_has_reason_to_refuse_is_no_failure_of_its() {
    let crew = Crew::new("");
    let [a, b] = ["a", "b"].map(|name| crew.hand(name));
    let ask = |_| drop(crew.ask("work.once"));
    for kind in [
        ErrorKind::InvalidInput,
        ErrorKind::NotFound,
        ErrorKind::Denied,
        ErrorKind::Conflict,
    ] {
        crew.always(&a, Act::Fail(kind));
        assert_eq!(crew.shares([&a, &b], 100, ask), [50, 50], "{kind:?}");
    }
}

#[test]
fn the_share_of_one_that_is_out_goes_to_all_others_alike() {
    let crew = Crew::new("");
    let hands = ["a", "b", "c", "d"].map(|name| crew.hand(name));
    crew.says_health(&hands[0], 0.0);
    crew.says_health(&hands[1], 0.0);
    let shares = crew.shares(hands.each_ref(), 400, |_| {
        crew.ask("work.safe").expect("an answer");
    });
    assert_eq!(shares, [0, 0, 200, 200]);
}

#[test]
fn the_share_of_one_that_is_cut_off_does_too() {
    let crew = Crew::new("[capabilities.\"work.safe\"]\nbreaker = { calls = 4, open = \"1h\" }");
    let hands = ["a", "b", "c", "d", "e", "f"].map(|name| crew.hand(name));
    for bad in &hands[..4] {
        crew.always(bad, Act::Fail(ErrorKind::Failed));
    }
    for _ in 0..200 {
        drop(crew.ask("work.safe"));
    }
    let shares = crew.shares(hands.each_ref(), 600, |_| {
        crew.ask("work.safe").expect("an answer");
    });
    assert_eq!(shares, [0, 0, 0, 0, 300, 300]);
}

#[test]
fn who_can_do_nothing_gets_nothing_while_another_is_only_busy() {
    let crew =
        Crew::new("[capabilities.\"work.safe\"]\nconcurrency = 1\nqueue = 4\nwait = \"10s\"");
    let [sick, well] = ["a", "b"].map(|name| crew.hand(name));
    crew.says_health(&sick, 0.0);
    crew.next(&well, [Act::Take(2)]);
    let calls = [(); 2].map(|()| crew.call_as("work.safe", How::default(), &json!(null)));
    assert_eq!(crew.finish_all(calls), [Ok(well.number), Ok(well.number)]);
    assert_eq!(crew.begun(&sick), 0);
}
