//! How many calls a provider has at once, how many wait, and how often one caller may call.

use std::time::Duration;

use octa_plugin_api::ErrorKind;
use serde_json::json;

use super::crew::{Act, Crew, How};

const ONE_AND_ONE: &str =
    "[capabilities.\"work.once\"]\nconcurrency = 1\nqueue = 1\nwait = \"2s\"\n";

#[test]
fn a_place_is_waited_for_and_no_longer_than_is_said() {
    let crew = Crew::new(ONE_AND_ONE);
    let hand = crew.hand("a");
    crew.next(&hand, [Act::Take(1), Act::Take(10)]);
    let call = || {
        let mut call = crew.call_as("work.once", How::default(), &json!(null));
        let _ = call.poll();
        call
    };
    let (first, mut second) = (call(), call());
    let refused = crew.ask("work.once").expect_err("one waits already");
    assert_eq!(
        refused,
        "overloaded: plugin `a` handles 1 call of `work.once`, as many as it may, and none of \
         its places got free: 1 may wait, for 2s each"
    );
    assert_eq!(crew.begun(&hand), 1);
    assert_eq!(crew.finish(first), Ok(hand.number));
    assert!(second.poll().is_pending());
    assert_eq!(crew.begun(&hand), 2, "it has the place that got free");
    let refused = crew.finish(call()).expect_err("two seconds are not enough");
    assert!(refused.starts_with("overloaded"), "{refused}");
    assert_eq!(crew.finish(second), Ok(hand.number));
    assert_eq!(crew.most_at_once(&hand), 1);
}

#[test]
fn a_call_that_is_given_up_gives_its_place_back() {
    let crew = Crew::new(ONE_AND_ONE);
    let hand = crew.hand("a");
    crew.always(&hand, Act::Take(100));
    for _ in 0..5 {
        let mut working = crew.call_as("work.once", How::default(), &json!(null));
        let mut waiting = crew.call_as("work.once", How::default(), &json!(null));
        assert!(working.poll().is_pending() && waiting.poll().is_pending());
        drop(waiting);
        let mut instead = crew.call_as("work.once", How::default(), &json!(null));
        assert!(
            instead.poll().is_pending(),
            "its place in the queue is free"
        );
        drop((working, instead));
    }
    crew.always(&hand, None);
    assert_eq!(crew.ask("work.once"), Ok(hand.number));
}

#[test]
fn one_that_is_full_is_passed_by() {
    let crew = Crew::new("[capabilities.\"work.once\"]\nconcurrency = 1\n");
    let [a, b] = ["a", "b"].map(|name| crew.hand(name));
    for hand in [&a, &b] {
        crew.always(hand, Act::Take(100));
    }
    let begin = || {
        let mut call = crew.call_as("work.once", How::default(), &json!(null));
        (call.poll().is_pending(), call)
    };
    let _two = [begin(), begin()];
    assert_eq!([&a, &b].map(|hand| crew.begun(hand)), [1, 1]);
    assert!(!begin().0, "both are full, and nobody may wait");
}

#[test]
fn the_next_generation_has_no_more_places_than_the_one_before() {
    let crew = Crew::new(ONE_AND_ONE);
    let old = crew.hand("a");
    crew.always(&old, Act::Take(5));
    let mut working = crew.call_as("work.once", How::default(), &json!(null));
    assert!(working.poll().is_pending());
    let new = crew.hand("a");
    let mut waiting = crew.call_as("work.once", How::default(), &json!(null));
    assert!(waiting.poll().is_pending());
    assert_eq!(crew.begun(&new), 0, "the place is the old one's still");
    drop(working);
    assert_eq!(crew.finish(waiting), Ok(new.number));
}

#[test]
fn each_caller_has_a_rate_of_its_own() {
    let crew =
        Crew::new("[capabilities.\"work.once\"]\nrate = { calls = 10, per = \"1s\", burst = 3 }");
    let hand = crew.hand("a");
    let ask = |caller| {
        let how = How {
            caller,
            ..How::default()
        };
        crew.end(crew.call_as("work.once", how, &json!(null)))
    };
    for _ in 0..3 {
        ask("lamp").expect("within the burst");
    }
    let refused = ask("lamp").expect_err("the fourth at once");
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert_eq!(
        refused.message(),
        "`lamp` calls `work.once` more often than 10 times in 1s"
    );
    let details = refused.details().expect("how long to wait");
    let wait = details["retry_after_ms"].as_u64().expect("a number");
    assert!((1..=100).contains(&wait), "{wait}");
    ask("sysmon").expect("another caller");
    assert_eq!(crew.begun(&hand), 4);
    crew.house.clock.advance(Duration::from_millis(wait));
    ask("lamp").expect("as long as was told");
}

#[test]
fn a_breaker_cuts_one_off_and_lets_it_prove_itself() {
    let crew = Crew::new(
        "[capabilities.\"work.once\"]\nbreaker = { failures = 0.5, calls = 4, open = \"5s\" }",
    );
    let hand = crew.hand("a");
    crew.always(&hand, Act::Fail(ErrorKind::Failed));
    for _ in 0..4 {
        let failed = crew.ask("work.once").expect_err("it fails");
        assert!(failed.starts_with("failed: on purpose"), "{failed}");
    }
    let refused = crew.ask("work.once").expect_err("it is cut off");
    assert_eq!(
        refused,
        "unavailable: the provider of `work.once` is cut off because its calls fail (hint: `octa \
         why work.once` shows why; it is tried again in 5000 ms)"
    );
    assert_eq!(crew.begun(&hand), 4);
    crew.advance(6);
    crew.ask("work.once").expect_err("it still fails");
    assert_eq!(crew.begun(&hand), 5, "one probe");
    crew.ask("work.once").expect_err("it is cut off again");
    assert_eq!(crew.begun(&hand), 5);
    crew.always(&hand, None);
    crew.advance(6);
    for _ in 0..10 {
        assert_eq!(crew.ask("work.once"), Ok(hand.number));
    }
}

#[test]
fn a_slow_answer_can_be_a_failure() {
    let crew = Crew::new("[capabilities.\"work.once\"]\nbreaker = { calls = 2, slow = \"500ms\" }");
    let hand = crew.hand("a");
    crew.always(&hand, Act::Take(1));
    for _ in 0..2 {
        assert_eq!(crew.ask("work.once"), Ok(hand.number));
    }
    crew.ask("work.once").expect_err("it was slow twice");
}

#[test]
fn other_settings_take_effect_and_what_is_known_stays() {
    let breaker = "[capabilities.\"work.once\"]\nbreaker = { calls = 2 }\n";
    let crew = Crew::new(breaker);
    let hand = crew.hand("a");
    crew.always(&hand, Act::Fail(ErrorKind::Failed));
    let ask = || crew.ask("work.once").expect_err("it fails");
    (0..3).for_each(|_| drop(ask()));
    assert_eq!(crew.begun(&hand), 2, "it is cut off");
    crew.configure(&format!("{breaker}concurrency = 4"));
    ask();
    assert_eq!(crew.begun(&hand), 2, "it still is");
    let _looking = crew.house.services.look();
    ask();
    assert_eq!(crew.begun(&hand), 2, "also while it is measured");
    crew.configure("[capabilities.\"work.once\"]\nbreaker = false");
    ask();
    assert_eq!(crew.begun(&hand), 3);
}

#[test]
fn a_handler_that_blocks_has_its_place_until_it_returns() {
    let crew = Crew::new("[capabilities.\"work.block\"]\nconcurrency = 1\n");
    let hand = crew.hand("a");
    let held = crew.hold(&hand);
    let how = How {
        limit: Some(Duration::from_secs(1)),
        ..How::default()
    };
    let mut late = crew.call_as("work.block", how, &json!(null));
    while crew.begun(&hand) == 0 {
        assert!(late.poll().is_pending());
        std::thread::yield_now();
    }
    crew.advance(2);
    assert_eq!(
        crew.end(late).expect_err("too late").kind(),
        ErrorKind::Deadline
    );
    let refused = crew.ask("work.block").expect_err("its place is taken");
    assert!(refused.starts_with("overloaded"), "{refused}");
    drop(held);
    while crew.under_way(&hand) > 0 {
        std::thread::yield_now();
    }
    let mut next = crew.call_as("work.block", How::default(), &json!(null));
    loop {
        match next.poll() {
            std::task::Poll::Ready(Ok(_)) => break,
            // The thread has left the handler, and is about to give the place back.
            std::task::Poll::Ready(Err(_)) => {
                next = crew.call_as("work.block", How::default(), &json!(null));
            }
            std::task::Poll::Pending => std::thread::yield_now(),
        }
    }
}

#[test]
fn a_call_that_is_given_up_says_nothing_of_its_provider() {
    let crew = Crew::new("[capabilities.\"work.once\"]\nbreaker = { calls = 4 }");
    let hand = crew.hand("a");
    crew.always(&hand, Act::Take(9));
    for _ in 0..20 {
        let mut call = crew.call_as("work.once", How::default(), &json!(null));
        assert!(call.poll().is_pending());
    }
    crew.always(&hand, Act::Fail(ErrorKind::Failed));
    for _ in 0..6 {
        crew.ask("work.once").expect_err("it fails");
    }
    assert_eq!(crew.begun(&hand), 24, "it is cut off after four");
}

#[test]
fn a_rate_is_not_forgotten_over_other_settings() {
    let rate = "[capabilities.\"work.once\"]\nrate = { calls = 1, per = \"1m\" }\n";
    let crew = Crew::new(rate);
    let hand = crew.hand("a");
    assert_eq!(crew.ask("work.once"), Ok(hand.number));
    crew.configure(&format!("{rate}concurrency = 2"));
    crew.ask("work.once").expect_err("too often still");
}

#[test]
fn whose_fault_a_mismatch_is_is_told_apart() {
    let crew = Crew::new("[capabilities.\"work.word\"]\ncheck = true");
    let hand = crew.hand("a");
    let call = |input| crew.end(crew.call_as("work.word", How::default(), &input));
    call(json!(["a"])).expect("as declared");
    let refused = call(json!({"a": 1})).expect_err("no list");
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert_eq!(
        refused.message(),
        "the input of `work.word` is not what it declares: `input` is an object, expected a list"
    );
    assert_eq!(crew.begun(&hand), 1, "it was not asked");
    let wrong = crew.hand_declaring("a", |declared| {
        if declared.name == "work.word" {
            declared.output = json!({"type": "string"});
        }
    });
    for act in [Act::Take(0), Act::Take(1)] {
        crew.next(&wrong, [act]);
        let refused = call(json!(["a"])).expect_err("another output than declared");
        assert_eq!(refused.kind(), ErrorKind::InvalidOutput);
        assert_eq!(
            refused.message(),
            "what `work.word` answered is not what it declares: `output` is a list of 2 items, expected a \
             string"
        );
    }
}
