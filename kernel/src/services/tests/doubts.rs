//! What careful readers doubted: corners where several promises meet.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use octa_loader::policy::{Policy, Remember, Switch};
use octa_plugin_api::ErrorKind;
use serde_json::json;

use super::crew::{Act, Crew, How};
use crate::Config;

fn keyed(key: &str) -> How<'_> {
    How {
        key,
        ..How::default()
    }
}

fn remembers(results: u32) -> Policy {
    Policy {
        remember: Some(Remember {
            results,
            ..Remember::default()
        }),
        ..Policy::default()
    }
}

#[test]
fn wrong_answers_open_the_breaker() {
    let crew = Crew::new("[capabilities.\"work.word\"]\ncheck = true\nbreaker = { calls = 2 }");
    let hand = crew.hand_declaring("a", |declared| {
        if declared.name == "work.word" {
            declared.output = json!({"type": "string"});
        }
    });
    for _ in 0..10 {
        let wrong = crew.end(crew.call_as("work.word", How::default(), &json!(["a"])));
        wrong.expect_err("it is no string");
    }
    assert_eq!(crew.begun(&hand), 2);
}

#[test]
fn an_answer_is_held_against_what_its_own_provider_declares() {
    let crew = Crew::new(
        "[capabilities.\"work.word\"]\ncheck = true\nrouting = \"failover\"\norder = [\"a\", \"b\"]",
    );
    let a = crew.hand_declaring("a", |declared| declared.output = json!({"type": "string"}));
    let b = crew.hand("b");
    a.instance.close();
    let answer = crew.end(crew.call_as("work.word", How::default(), &json!(["x"])));
    assert!(answer.is_ok(), "{answer:?}");
    assert_eq!(crew.begun(&b), 1);
}

#[test]
fn what_is_remembered_outlives_whoever_asked_for_that() {
    let crew = Crew::new("");
    let a = crew.hand_with("a", "work.once", &remembers(9));
    let b = crew.hand("b");
    let first = crew.ask_as("work.once", keyed("k"));
    crew.house.services.unregister("a");
    assert_eq!(crew.ask_as("work.once", keyed("k")), first);
    assert_eq!(crew.begun(&a) + crew.begun(&b), 1);
}

#[test]
fn a_call_under_way_is_known_whatever_is_configured() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    crew.next(&hand, [Act::Take(5)]);
    let mut first = crew.call_as("work.once", keyed("k"), &json!(null));
    assert!(first.poll().is_pending());
    crew.configure("[capabilities.\"work.once\"]\nremember = { results = 2048 }");
    assert_eq!(crew.ask_as("work.once", keyed("k")), Ok(hand.number));
    assert_eq!(crew.begun(&hand), 1);
}

#[test]
fn looking_changes_nothing() {
    let crew = Crew::new("[capabilities.\"work.once\"]\norder = [\"b\", \"a\"]");
    crew.hand_with("a", "work.once", &remembers(7));
    crew.hand_with("b", "work.once", &remembers(8));
    let results = || {
        let status = crew.house.services.status_of("work.once");
        status
            .and_then(|it| it.policy.remember)
            .map(|it| it.results)
    };
    assert_eq!(results(), Some(8), "the first choice declares it");
    drop(crew.house.services.look());
    assert_eq!(results(), Some(8));
}

#[test]
fn whoever_may_not_run_does_not_say_how_others_are_called() {
    let crew = Crew::new("");
    let spy = crew.hand("spy");
    let mut manifest = octa_loader::Manifest::clone(&spy.manifest);
    manifest.name = "evil".to_owned();
    manifest.capabilities.truncate(1);
    manifest.capabilities[0].name = "bank.balance".to_owned();
    manifest.capabilities[0].policy.fallback = Some("work.once".to_owned());
    crew.house.services.announce(&manifest, false);
    let refused = crew.ask("bank.balance").expect_err("nobody is there");
    assert!(refused.starts_with("unavailable: no plugin"), "{refused}");
    crew.house.services.announce(&manifest, true);
    assert_eq!(crew.ask("bank.balance"), Ok(spy.number));
}

#[test]
fn what_one_provider_has_run_is_not_begun_by_another_that_may_repeat_it() {
    let crew = Crew::new("[capabilities.\"work.once\"]\nretry = true");
    let a = crew.hand("a");
    crew.next(&a, [Act::FailAfter(5)]);
    let mut call = crew.call_as("work.once", How::default(), &json!(null));
    assert!(call.poll().is_pending());
    let b = crew.hand_declaring("b", |declared| declared.idempotent = true);
    crew.house.services.unregister("a");
    crew.finish(call).expect_err("it failed");
    assert_eq!((crew.begun(&a), crew.begun(&b)), (1, 0));
}

#[test]
fn a_hasty_caller_says_nothing_of_its_provider() {
    let crew = Crew::new("[capabilities.\"work.once\"]\nbreaker = { calls = 3 }");
    let hand = crew.hand("a");
    crew.always(&hand, Act::Take(1));
    let within = |limit| How {
        limit: Some(limit),
        ..How::default()
    };
    for _ in 0..20 {
        let late = crew.ask_as("work.once", within(Duration::from_nanos(1)));
        late.expect_err("it had no time");
    }
    assert_eq!(crew.ask("work.once"), Ok(hand.number));
    crew.always(&hand, Act::Take(9));
    for _ in 0..20 {
        let late = crew.ask_as("work.once", within(Duration::from_secs(2)));
        late.expect_err("it had time enough");
    }
    assert!(crew.begun(&hand) < 41, "it is cut off");
}

#[test]
fn nobody_waits_for_a_place_where_no_call_is_let_in() {
    let crew = Crew::new(
        "[capabilities.\"work.block\"]\nconcurrency = 1\nqueue = 5\nwait = \"10s\"\n\
         breaker = { calls = 1, open = \"1m\" }",
    );
    let hand = crew.hand("a");
    let _held = crew.hold(&hand);
    let how = How {
        limit: Some(Duration::from_secs(2)),
        ..How::default()
    };
    let mut late = crew.call_as("work.block", how, &json!(null));
    while crew.begun(&hand) == 0 {
        assert!(late.poll().is_pending());
        thread::yield_now();
    }
    crew.end(late).expect_err("it blocks");
    let before = crew.seconds();
    let refused = crew.ask("work.block").expect_err("it is cut off");
    assert!(
        refused.starts_with("unavailable: the provider"),
        "{refused}"
    );
    assert_eq!(crew.seconds(), before);
}

#[test]
fn other_limits_make_no_other_places() {
    let crew = Crew::new("[capabilities.\"work.once\"]\nconcurrency = 2\n");
    let hand = crew.hand("a");
    crew.always(&hand, Act::Take(9));
    let begin = || {
        let mut call = crew.call_as("work.once", How::default(), &json!(null));
        let _ = call.poll();
        call
    };
    let _first = [begin(), begin()];
    crew.configure("[capabilities.\"work.once\"]\nconcurrency = 2\nwait = \"3s\"\n");
    let _others = [begin(), begin()];
    assert_eq!(crew.most_at_once(&hand), 2);
    crew.configure("[capabilities.\"work.once\"]\nconcurrency = 3\n");
    let _one_more = [begin(), begin()];
    assert_eq!(crew.most_at_once(&hand), 3);
}

#[test]
fn a_step_and_a_fallback_have_the_time_that_they_declare() {
    let a_second = |declared: &mut octa_loader::Capability| {
        if declared.name == "work.once" {
            declared.deadline_ms = Some(1_000);
        }
    };
    for caller in ["host", "lamp"] {
        let crew = Crew::new(
            "[pipelines]\n\"work.line\" = [\"work.once\"]\n\
             [capabilities.\"work.safe\"]\nfallback = \"work.once\"",
        );
        let hand = crew.hand_declaring("a", a_second);
        let how = How {
            caller,
            ..How::default()
        };
        let before = crew.seconds();
        crew.next(&hand, [Act::Take(10)]);
        let late = crew.ask_as("work.line", how).expect_err("too late");
        assert!(
            late.contains("`work.once` did not answer within 1s"),
            "{late}"
        );
        assert_eq!(crew.seconds() - before, 1, "{caller}");
        crew.next(&hand, [Act::Fail(ErrorKind::Unavailable), Act::Take(10)]);
        crew.ask_as("work.safe", how).expect_err("too late");
        assert_eq!(crew.seconds() - before, 2, "{caller}");
    }
}

#[test]
fn a_patient_repeat_does_not_end_with_the_hasty_first() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    crew.always(&hand, Act::Take(5));
    let within = |seconds| How {
        limit: Some(Duration::from_secs(seconds)),
        ..keyed("k")
    };
    let mut first = crew.call_as("work.once", within(1), &json!(null));
    assert!(first.poll().is_pending());
    assert_eq!(crew.ask_as("work.once", within(20)), Ok(hand.number));
    assert_eq!(crew.begun(&hand), 2, "the first ended at its deadline");
}

#[test]
fn what_the_kernel_refused_is_not_remembered() {
    let crew = Crew::new("[capabilities.\"work.once\"]\nrouting = \"by-key\"");
    let hand = crew.hand("a");
    crew.ask_as("work.once", keyed("k"))
        .expect_err("no routing key");
    let how = How {
        route_by: "room",
        ..keyed("k")
    };
    assert_eq!(crew.ask_as("work.once", how), Ok(hand.number));
}

#[test]
fn two_pipelines_may_share_a_step_and_a_key() {
    let crew = Crew::new("[pipelines]\n\"work.p\" = [\"work.word\"]\n\"work.q\" = [\"work.word\"]");
    let hand = crew.hand("a");
    for (pipeline, word) in [("work.p", "p"), ("work.q", "q")] {
        let answer = crew.end(crew.call_as(pipeline, keyed("k"), &json!([word])));
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(crew.begun(&hand), 2);
}

#[test]
fn a_plugin_does_not_say_how_a_pipeline_of_the_same_name_is_called() {
    let crew = Crew::new("[pipelines]\n\"work.once\" = [\"work.safe\"]");
    let policy = Policy {
        retry: Some(Switch::On(octa_loader::policy::Retry::default())),
        ..Policy::default()
    };
    let hand = crew.hand_with("a", "work.once", &policy);
    crew.next(&hand, [Act::Panic]);
    crew.ask_as("work.once", keyed("k"))
        .expect_err("its step panics");
    assert_eq!((crew.begun(&hand), crew.begun_once(&hand)), (1, 0));
}

#[test]
fn the_fallback_of_a_pipeline_answers_where_nobody_offers_its_first_step() {
    let crew = Crew::new(
        "[pipelines]\n\"work.line\" = [\"work.nobody\"]\n\
         [capabilities.\"work.line\"]\nfallback = \"work.once\"",
    );
    let hand = crew.hand("a");
    assert_eq!(crew.ask("work.line"), Ok(hand.number));
}

#[test]
fn a_blocking_call_that_was_given_up_is_not_begun() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    let how = How {
        limit: Some(Duration::ZERO),
        ..How::default()
    };
    let call = crew.call_as("work.block", how, &json!(null));
    assert_eq!(
        crew.end(call).expect_err("no time").kind(),
        ErrorKind::Deadline
    );
    // Whatever thread was to begin it has come and gone when a later one has.
    let call = crew.call_as("work.block", How::default(), &json!(null));
    let mut call = call;
    while call.poll().is_pending() {
        thread::yield_now();
    }
    assert_eq!(crew.begun(&hand), 1);
}

#[test]
fn pipelines_change_while_they_are_asked_for() {
    let configs = [("a", "b"), ("b", "a")].map(|(first, second)| {
        let toml = format!(
            "[pipelines]\n\"work.{first}\" = [\"work.{second}\"]\n\
             \"work.{second}\" = [\"work.safe\"]"
        );
        Config::parse(&toml, "octa.toml").expect("a configuration")
    });
    let crew = Crew::new("");
    crew.hand("a");
    crew.house.services.configure(&configs[0]);
    let (services, ended) = (
        crew.house.services.clone(),
        Arc::new(AtomicBool::new(false)),
    );
    let asked = ended.clone();
    let asks = thread::spawn(move || {
        let routes = ["work.a", "work.b"].map(|name| services.find(name).expect("it is known"));
        let mut answers = 0_u64;
        while !asked.load(Ordering::SeqCst) {
            let harmless = routes.iter().filter(|route| services.is_harmless(route));
            answers += harmless.count() as u64;
        }
        answers
    });
    for round in 0..2_000 {
        crew.house.services.configure(&configs[round % 2]);
    }
    ended.store(true, Ordering::SeqCst);
    assert!(asks.join().expect("it does not go round") > 0);
}
