//! How many calls a provider has at once, how many wait, and how often one caller may call.

use std::{
    pin::Pin,
    task::{Context, Waker},
    time::Duration,
};

use octa_loader::Envelope;
use octa_plugin_api::{Error, ErrorKind, Payload};
use serde_json::json;

use super::{
    crew::{Act, Crew, How},
    house::Polled,
};
use crate::{services::Begun, time::Clock as _};

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

const TWO: &str = "[capabilities.\"work.once\"]\nrouting = \"failover\"\norder = [\"a\", \"b\"]\n\
                   concurrency = 1\nqueue = 1\nwait = \"5s\"\nbreaker = false\n";

/// A call that waits for something.
fn waiting(crew: &Crew) -> Polled<Result<Payload, Error>> {
    let mut call = crew.call_as("work.once", How::default(), &json!(null));
    assert!(call.poll().is_pending());
    call
}

#[test]
fn who_finds_one_queue_full_takes_the_next() {
    let crew = Crew::new(TWO);
    let [a, b] = ["a", "b"].map(|name| crew.hand(name));
    crew.always(&a, Act::Take(2));
    crew.always(&b, Act::Take(2));
    let calls = [(); 4].map(|()| waiting(&crew));
    let numbers = [a.number, b.number, a.number, b.number];
    assert_eq!(crew.finish_all(calls), numbers.map(Ok));
}

#[test]
fn who_waits_takes_the_first_place_that_is_free() {
    let crew = Crew::new(TWO);
    let [a, b] = ["a", "b"].map(|name| crew.hand(name));
    crew.always(&a, Act::Take(20));
    crew.next(&b, [Act::Take(1)]);
    let (_first, began) = (waiting(&crew), crew.seconds());
    let calls = [(); 2].map(|()| waiting(&crew));
    assert_eq!(crew.finish_all(calls), [Ok(b.number), Ok(b.number)]);
    assert_eq!(crew.seconds() - began, 1);
}

#[test]
fn who_is_cut_off_is_not_tried_again() {
    let crew = Crew::new(
        "[capabilities.\"work.safe\"]\nretry = true\nbreaker = { calls = 2, open = \"1h\" }\n\
         fallback = \"work.told\"",
    );
    let hand = crew.hand("a");
    crew.next(&hand, [Act::Panic, Act::Panic]);
    let ask = || crew.end(crew.call_as("work.safe", How::default(), &json!(null)));
    drop(ask());
    let seen = || {
        let status = crew.house.services.status_of("work.safe");
        let counts = status.expect("it is known").counts;
        (counts.cut_off, counts.retried, crew.house.clock.monotonic())
    };
    let (cut_off, retried, at) = seen();
    ask().expect("the fallback answers");
    assert_eq!(seen(), (cut_off + 1, retried, at));
}

#[test]
fn limits_that_are_away_for_a_while_leave_no_more_places() {
    let limited = "[capabilities.\"work.once\"]\nconcurrency = 2\n";
    let crew = Crew::new(limited);
    let hand = crew.hand("a");
    crew.always(&hand, Act::Take(9));
    let _two = [(); 2].map(|()| waiting(&crew));
    crew.configure("");
    crew.configure(limited);
    crew.ask("work.once").expect_err("both places are taken");
    assert_eq!(crew.most_at_once(&hand), 2);
}

#[test]
fn who_is_started_again_has_no_more_places_than_before() {
    let crew = Crew::new("[capabilities.\"work.block\"]\nconcurrency = 1\n");
    let old = crew.hand("a");
    let held = crew.hold(&old);
    let how = How {
        limit: Some(Duration::from_secs(2)),
        ..How::default()
    };
    let mut late = crew.call_as("work.block", how, &json!(null));
    while crew.begun(&old) == 0 {
        assert!(late.poll().is_pending());
        std::thread::yield_now();
    }
    crew.end(late).expect_err("it blocks");
    crew.house.services.unregister("a");
    old.instance.close();
    let new = crew.hand("a");
    let refused = crew.call_as("work.block", How::default(), &json!(null));
    let refused = crew.end(refused).expect_err("the old one has the place");
    assert_eq!(refused.kind(), ErrorKind::Overloaded, "{refused}");
    assert_eq!((crew.under_way(&old), crew.begun(&new)), (1, 0));
    drop(held);
}

#[test]
fn a_place_is_free_when_the_handler_has_ended() {
    let limited = "[capabilities.\"work.once\"]\nconcurrency = 1\nqueue = 1\nwait = \"9s\"\n";
    let crew = Crew::new(limited);
    let hand = crew.hand("a");
    crew.always(&hand, Act::Take(20));
    let services = &crew.house.services;
    let route = services.find("work.once").expect("it is known");
    let envelope = Envelope {
        remaining: Some(Duration::from_secs(2)),
        ..Envelope::of("host")
    };
    let (input, mut cx) = (Payload::empty(), Context::from_waker(Waker::noop()));
    let begun = services.begin(&route, &envelope, 1, &input, true, &mut cx);
    let Begun::Pending(mut first) = begun else {
        panic!("it takes 20 seconds");
    };
    let mut second = waiting(&crew);
    crew.advance(2);
    assert!(Pin::new(&mut first).poll(&mut cx).is_ready(), "it is late");
    assert!(second.poll().is_pending());
    assert_eq!((crew.begun(&hand), crew.most_at_once(&hand)), (2, 1));
    drop(first);
}

#[test]
fn a_closed_breaker_cuts_nobody_off() {
    let crew = Crew::new(
        "[capabilities.\"work.safe\"]\nconcurrency = 5\n\
         breaker = { calls = 4, failures = 0.8, window = \"1m\", open = \"1s\" }",
    );
    let hand = crew.hand("a");
    for _ in 0..4 {
        crew.ask("work.safe").expect("it is well");
    }
    crew.advance(50);
    crew.next(&hand, [Act::Fail(ErrorKind::Failed); 6]);
    for _ in 0..6 {
        crew.ask("work.safe").expect_err("on purpose");
    }
    // Of the window, only what failed is left.
    crew.advance(15);
    assert_eq!(crew.ask("work.safe"), Ok(hand.number));
}
