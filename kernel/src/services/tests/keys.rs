//! Calls with an idempotency key: the first one runs to its end, and whoever repeats it gets that.

use octa_plugin_api::ErrorKind;
use serde_json::json;

use super::crew::{Act, Crew, How};

fn keyed(key: &str) -> How<'_> {
    How {
        key,
        ..How::default()
    }
}

#[test]
fn a_repeated_key_returns_the_first_result() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    assert_eq!(crew.ask_as("work.once", keyed("k")), Ok(hand.number));
    assert_eq!(crew.ask_as("work.once", keyed("k")), Ok(hand.number));
    assert_eq!(crew.begun(&hand), 1);
    assert_eq!(crew.ask_as("work.once", keyed("other")), Ok(hand.number));
    let another = How {
        caller: "lamp",
        ..keyed("k")
    };
    assert_eq!(crew.ask_as("work.once", another), Ok(hand.number));
    assert_eq!(crew.begun(&hand), 3, "keys are each caller's own");
    assert_eq!(crew.ask_as("work.safe", keyed("k")), Ok(hand.number));
    assert_eq!(crew.begun(&hand), 4, "and each capability's");
}

#[test]
fn a_key_is_no_longer_than_it_may_be() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    let longest = "k".repeat(256);
    assert_eq!(crew.ask_as("work.once", keyed(&longest)), Ok(hand.number));
    let longer = "k".repeat(257);
    let refused = crew.end(crew.call_as("work.once", keyed(&longer), &json!(null)));
    let refused = refused.expect_err("it is too long");
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    let told = refused.to_string();
    assert!(told.contains("has 257 bytes, expected 1 to 256"), "{told}");
    assert_eq!(crew.begun(&hand), 1);
}

#[test]
fn one_who_repeats_it_meanwhile_waits_for_the_first() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    crew.next(&hand, [Act::Take(5)]);
    let calls = [(); 3].map(|()| {
        let mut call = crew.call_as("work.once", keyed("k"), &json!(null));
        assert!(call.poll().is_pending());
        call
    });
    for call in calls {
        assert_eq!(crew.finish(call), Ok(hand.number));
    }
    assert_eq!(crew.begun(&hand), 1);
}

#[test]
fn it_runs_on_when_its_caller_goes_away() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    crew.next(&hand, [Act::Take(5)]);
    let mut call = crew.call_as("work.once", keyed("k"), &json!(null));
    assert!(call.poll().is_pending());
    drop(call);
    let again = crew.call_as("work.once", keyed("k"), &json!(null));
    assert_eq!(crew.finish(again), Ok(hand.number));
    assert_eq!(crew.begun(&hand), 1);
}

#[test]
fn without_a_key_it_is_cancelled_with_its_caller() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    crew.next(&hand, [Act::Take(5)]);
    let mut call = crew.call_as("work.once", How::default(), &json!(null));
    assert!(call.poll().is_pending());
    drop(call);
    assert_eq!(crew.house.clock.until_next(), None, "its timer is gone");
    assert_eq!((crew.begun(&hand), crew.under_way(&hand)), (1, 0));
}

#[test]
fn one_key_is_one_call() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    let call = |input| crew.call_as("work.word", keyed("k"), &input);
    crew.end(call(json!(["a"]))).expect("an answer");
    let refused = crew.end(call(json!(["b"]))).expect_err("another input");
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(
        refused.message(),
        "`host` has called `work.word` with the idempotency key `k` before, and with another input"
    );
    assert_eq!(crew.begun(&hand), 1);
}

#[test]
fn what_says_nothing_of_the_call_is_not_remembered() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    for (number, act) in [Act::Panic, Act::Fail(ErrorKind::Unavailable)]
        .iter()
        .enumerate()
    {
        let key = number.to_string();
        crew.next(&hand, [*act]);
        crew.ask_as("work.once", keyed(&key)).expect_err("it fails");
        assert_eq!(crew.ask_as("work.once", keyed(&key)), Ok(hand.number));
    }
    crew.next(&hand, [Act::Fail(ErrorKind::Failed)]);
    for _ in 0..2 {
        crew.ask_as("work.once", keyed("refused"))
            .expect_err("it was refused");
    }
    assert_eq!(crew.begun(&hand), 5);
}

#[test]
fn a_key_makes_a_call_one_that_may_be_tried_again() {
    let crew = Crew::new("[capabilities.\"work.once\"]\nretry = true\n");
    let hand = crew.hand("a");
    crew.next(&hand, [Act::Panic]);
    let call = crew.call_as("work.once", keyed("k"), &json!(null));
    assert_eq!(crew.finish(call), Ok(hand.number));
    assert_eq!(crew.begun(&hand), 2);
}

#[test]
fn results_are_forgotten_when_they_are_old_or_too_many() {
    let crew = Crew::new("[capabilities.\"work.once\"]\nremember = { results = 2, time = \"1m\" }");
    let hand = crew.hand("a");
    for key in ["a", "b", "c", "b", "c"] {
        assert_eq!(crew.ask_as("work.once", keyed(key)), Ok(hand.number));
    }
    assert_eq!(crew.begun(&hand), 3);
    assert_eq!(crew.ask_as("work.once", keyed("a")), Ok(hand.number));
    assert_eq!(crew.begun(&hand), 4, "the oldest had to go");
    crew.advance(61);
    assert_eq!(crew.ask_as("work.once", keyed("c")), Ok(hand.number));
    assert_eq!(crew.begun(&hand), 5, "a minute is over");
}

#[test]
fn results_are_not_forgotten_over_other_settings() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    assert_eq!(crew.ask_as("work.once", keyed("k")), Ok(hand.number));
    crew.configure("[capabilities.\"work.once\"]\nconcurrency = 2");
    assert_eq!(crew.ask_as("work.once", keyed("k")), Ok(hand.number));
    assert_eq!(crew.begun(&hand), 1);
}

#[test]
fn what_is_too_large_to_be_remembered_is_not_done_again() {
    let crew = Crew::new("[capabilities.\"work.word\"]\nremember = { bytes = \"1KiB\" }");
    let hand = crew.hand("a");
    let ask = || {
        let word = "x".repeat(2000);
        crew.end(crew.call_as("work.word", keyed("k"), &json!([word])))
    };
    ask().expect("an answer");
    let again = ask().expect_err("it was not kept");
    assert_eq!(again.kind(), ErrorKind::Conflict, "{again}");
    assert_eq!(crew.begun(&hand), 1);
}
