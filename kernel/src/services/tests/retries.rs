//! Calls that are begun once more: only where that does no harm, and only as many as there may be.

use octa_plugin_api::ErrorKind;
use proptest::prelude::*;
use serde_json::json;

use super::{
    crew::{Act, Crew, How},
    house::Lamp,
};

const RETRY: &str = "[capabilities.\"work.safe\"]\nretry = { attempts = 3, budget = 0.5 }\n\
    [capabilities.\"work.once\"]\nretry = true\n\
    [capabilities.\"work.told\"]\nretry = true\n";

const FAIL: Act = Act::Fail(ErrorKind::Failed);

#[test]
fn what_may_pass_is_tried_again_until_it_has() {
    for act in [
        FAIL,
        Act::Panic,
        Act::Fail(ErrorKind::Unavailable),
        Act::Fail(ErrorKind::Internal),
        Act::FailAfter(1),
    ] {
        let crew = Crew::new(RETRY);
        let hand = crew.hand("a");
        crew.next(&hand, [act, act]);
        assert_eq!(crew.ask("work.safe"), Ok(hand.number), "{act:?}");
        assert_eq!(crew.begun(&hand), 3);
        crew.next(&hand, [act; 3]);
        crew.ask("work.safe").expect_err("three attempts");
        assert_eq!(crew.begun(&hand), 6);
    }
}

#[test]
fn what_will_not_pass_is_the_answer() {
    let crew = Crew::new(RETRY);
    let hand = crew.hand("a");
    for kind in [
        ErrorKind::InvalidInput,
        ErrorKind::NotFound,
        ErrorKind::Denied,
        ErrorKind::Conflict,
        ErrorKind::Overloaded,
    ] {
        crew.next(&hand, [Act::Fail(kind)]);
        let before = crew.begun(&hand);
        crew.ask("work.safe").expect_err("it is refused");
        assert_eq!(crew.begun(&hand), before + 1, "{kind:?}");
    }
}

#[test]
fn a_handler_is_told_which_attempt_it_is() {
    let crew = Crew::new(RETRY);
    let hand = crew.hand("a");
    crew.next(&hand, [FAIL, Act::Panic]);
    let told = crew.call_as("work.told", How::default(), &json!(null));
    let told = crew.end(told).expect("the third attempt");
    assert_eq!(told.as_ref(), br#"[2,""]"#);
}

#[test]
fn a_caller_can_do_without() {
    let crew = Crew::new(RETRY);
    let hand = crew.hand("a");
    crew.next(&hand, [FAIL]);
    let how = How {
        may_retry: false,
        ..How::default()
    };
    crew.ask_as("work.safe", how).expect_err("one attempt");
    crew.configure("[capabilities.\"work.safe\"]\nretry = false");
    crew.next(&hand, [FAIL]);
    crew.ask("work.safe").expect_err("one attempt");
    assert_eq!(crew.begun(&hand), 2);
}

#[test]
fn the_time_that_is_left_bounds_them() {
    let crew = Crew::new(
        "[capabilities.\"work.safe\"]\nretry = { attempts = 10, backoff = \"10s\", backoff_max = \"10s\" }",
    );
    let hand = crew.hand("a");
    crew.always(&hand, FAIL);
    let before = crew.seconds();
    let failed = crew.ask("work.safe").expect_err("it fails");
    assert!(failed.starts_with("failed: on purpose"), "{failed}");
    let took = crew.seconds() - before;
    assert!(took < 30, "{took} s of the 30 s that a call has");
    assert!((3..=4).contains(&crew.begun(&hand)), "as often as fits");
}

#[test]
fn together_they_are_no_more_than_a_share_of_the_calls() {
    let crew = Crew::new(RETRY);
    let hand = crew.hand("a");
    crew.always(&hand, FAIL);
    for number in 0..200 {
        crew.ask("work.safe").expect_err("it fails");
        if number == 100 {
            crew.configure(&format!("{RETRY}[kernel]\nmeasure = true"));
            crew.configure(&format!("[kernel]\nmeasure = false\n{RETRY}"));
            let others = RETRY.replace("budget = 0.5 }", "budget = 0.5 }\nconcurrency = 9");
            crew.configure(&others);
        }
    }
    let retries = crew.begun(&hand) - 200;
    assert!(
        (100..=110).contains(&retries),
        "{retries} retries of 200 calls at 0.5"
    );
    assert_eq!(
        crew.house
            .services
            .status_of("work.safe")
            .map(|it| it.counts.retried),
        Some(retries)
    );
}

/// What can go wrong with a call or its caller.
fn fault() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(FAIL),
        Just(Act::Panic),
        Just(Act::Fail(ErrorKind::Unavailable)),
        Just(Act::Fail(ErrorKind::Interrupted)),
        Just(Act::Fail(ErrorKind::Internal)),
        Just(Act::Fail(ErrorKind::Overloaded)),
        (1..60_u64).prop_map(Act::Take),
        (1..60_u64).prop_map(Act::FailAfter),
    ]
}

/// Everything that could make a call run twice, at once.
const EVERYTHING: &str = "concurrency = 2\nqueue = 2\nbreaker = { calls = 2, open = \"1s\" }\n\
    retry = true\nfallback = \"work.safe\"\n";

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever goes wrong, what is not declared idempotent runs at most once, by whoever.
    #[test]
    fn what_is_not_idempotent_runs_at_most_once(
        faults in prop::collection::vec((fault(), 0..3_usize, any::<bool>()), 1..30),
    ) {
        let crew = Crew::new(&format!("[capabilities.\"work.once\"]\n{EVERYTHING}"));
        let mut hands = ["a", "b", "c"].map(|name| crew.hand(name));
        for (fault, victim, is_replaced) in faults {
            let sum = |count: fn(&Crew, &Lamp) -> u64| {
                hands.iter().map(|hand| count(&crew, hand)).sum::<u64>()
            };
            for hand in &hands {
                crew.always(hand, fault);
            }
            let (all, once) = (sum(Crew::begun), sum(Crew::begun_once));
            let mut call = crew.call_as("work.once", How::default(), &json!(null));
            let was_ready = call.poll().is_ready();
            if is_replaced {
                hands[victim].die();
            }
            if !was_ready {
                drop(crew.finish(call));
            }
            let once = sum(Crew::begun_once) - once;
            let others = sum(Crew::begun) - all - once;
            prop_assert!(once <= 1, "{once} times under {fault:?}");
            prop_assert!(once == 0 || others == 0, "the fallback too under {fault:?}");
            if is_replaced {
                hands[victim] = crew.hand(["a", "b", "c"][victim]);
            }
        }
    }
}
