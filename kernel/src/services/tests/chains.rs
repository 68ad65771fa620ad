//! Calls that lead to others: deadlines, cycles, pipelines and fallbacks.

use std::time::Duration;

use octa_loader::Manifest;
use octa_plugin_api::ErrorKind;
use proptest::prelude::*;
use serde_json::json;

use super::{
    crew::{Act, Crew, How},
    house::Lamp,
};

const WORDS: &str =
    "[pipelines]\n\"work.words\" = [\"work.word\", \"work.word2\", \"work.word\"]\n";

#[test]
fn each_step_has_what_the_one_before_answered() {
    let crew = Crew::new("[pipelines]\n\"work.words\" = [\"work.word\", \"work.word\"]");
    let hand = crew.hand("a");
    let words = crew.call_as("work.words", How::default(), &json!(["a"]));
    let words = crew.end(words).expect("an answer");
    assert_eq!(words.as_ref(), br#"["a","word","word"]"#);
    assert_eq!(crew.begun(&hand), 2);
}

#[test]
fn a_pipeline_stops_at_the_step_that_fails_and_tells_what_was_done() {
    let crew =
        Crew::new("[pipelines]\n\"work.words\" = [\"work.word\", \"work.word\", \"work.word\"]");
    let hand = crew.hand("a");
    crew.next(&hand, [Act::Take(1), Act::Fail(ErrorKind::NotFound)]);
    let words = crew.call_as("work.words", How::default(), &json!(["a"]));
    let stopped = crew.end(words).expect_err("the second step fails");
    assert_eq!(stopped.kind(), ErrorKind::NotFound);
    assert_eq!(
        stopped.message(),
        "step 2 of 3 of `work.words`, `work.word`: on purpose"
    );
    let expect = json!({
        "pipeline": "work.words",
        "step": 2,
        "capability": "work.word",
        "done": [{"capability": "work.word", "output": ["a", "word"]}],
        "cause": null,
    });
    assert_eq!(stopped.details(), Some(&expect));
    assert_eq!(crew.begun(&hand), 2, "the third was not begun");
}

#[test]
fn a_step_that_nobody_knows_is_told() {
    let crew = Crew::new(WORDS);
    crew.hand("a");
    let words = crew.call_as("work.words", How::default(), &json!(["a"]));
    let stopped = crew.end(words).expect_err("there is no second step");
    assert_eq!(stopped.kind(), ErrorKind::UnknownCapability);
    assert!(
        stopped
            .message()
            .starts_with("step 2 of 3 of `work.words`, `work.word2`: no plugin"),
        "{stopped}"
    );
    assert_eq!(stopped.hint(), Some("did you mean `work.word`?"));
}

#[test]
fn a_pipeline_has_one_deadline() {
    let crew = Crew::new("[pipelines]\n\"work.words\" = [\"work.word\", \"work.word\"]");
    let hand = crew.hand("a");
    crew.always(&hand, Act::Take(2));
    let how = How {
        limit: Some(Duration::from_secs(3)),
        ..How::default()
    };
    let late = crew.end(crew.call_as("work.words", how, &json!(["a"])));
    assert_eq!(late.expect_err("4 s of 3 s").kind(), ErrorKind::Deadline);
    assert_eq!((crew.begun(&hand), crew.under_way(&hand)), (2, 0));
}

#[test]
fn a_pipeline_with_a_key_does_no_step_twice() {
    let crew = Crew::new("[pipelines]\n\"work.words\" = [\"work.word\", \"work.word\"]");
    let hand = crew.hand("a");
    let how = How {
        key: "k",
        ..How::default()
    };
    let call = || crew.call_as("work.words", how, &json!(["a"]));
    crew.next(&hand, [Act::Take(1), Act::Panic]);
    crew.end(call()).expect_err("the second step panics");
    let words = crew.end(call()).expect("it does not now");
    assert_eq!(words.as_ref(), br#"["a","word","word"]"#);
    assert_eq!(crew.begun(&hand), 3, "the first step was done once");
}

#[test]
fn a_pipeline_falls_back_where_its_steps_may_be_repeated() {
    for (step, is_idempotent) in [("work.safe", true), ("work.once", false)] {
        let crew = Crew::new(&format!(
            "[pipelines]\n\"work.line\" = [\"{step}\"]\n\
             [capabilities.\"work.line\"]\nfallback = \"work.told\"",
        ));
        let hand = crew.hand("a");
        crew.next(&hand, [Act::Panic]);
        let ended = crew.end(crew.call_as("work.line", How::default(), &json!(null)));
        assert_eq!(ended.is_ok(), is_idempotent, "{step}: {ended:?}");
        assert_eq!(crew.begun(&hand), 1 + u64::from(is_idempotent));
    }
}

#[test]
fn a_pipeline_that_leads_to_itself_is_a_cycle() {
    let crew = Crew::new("[pipelines]\n\"work.round\" = [\"work.nested\"]");
    crew.hand("a");
    let call = crew.call_as("work.round", How::default(), &json!("work.round"));
    let refused = crew.end(call).expect_err("it goes round");
    assert_eq!(refused.kind(), ErrorKind::Cycle);
    assert_eq!(
        refused.message(),
        "step 1 of 1 of `work.round`, `work.nested`: the call waits for itself: `work.round` → \
         `work.nested` → `work.round`"
    );
}

#[test]
fn the_fallback_answers_when_no_provider_can() {
    let crew = Crew::new("[capabilities.\"work.safe\"]\nfallback = \"work.once\"\nconcurrency = 1");
    let [hand, other] =
        ["a", "b"].map(|name| crew.hand_with(name, "work.safe", &Default::default()));
    crew.house.services.unregister("b");
    // Where nobody can be reached.
    crew.next(&hand, [Act::Panic]);
    assert_eq!(
        crew.ask("work.safe"),
        Ok(hand.number),
        "the provider breaks down"
    );
    // Where there is no room.
    crew.next(&hand, [Act::Take(9)]);
    let mut working = crew.call_as("work.safe", How::default(), &json!(null));
    assert!(working.poll().is_pending());
    assert_eq!(crew.ask("work.safe"), Ok(hand.number));
    drop(working);
    // What the provider refuses is its answer.
    for kind in [
        ErrorKind::NotFound,
        ErrorKind::Failed,
        ErrorKind::InvalidInput,
    ] {
        crew.next(&hand, [Act::Fail(kind)]);
        crew.ask("work.safe").expect_err("it is an answer");
    }
    let counts = crew
        .house
        .services
        .status_of("work.safe")
        .map(|it| it.counts);
    assert_eq!(counts.map(|it| it.fallen_back), Some(2));
    assert_eq!(crew.begun(&other), 0);
}

#[test]
fn the_fallback_answers_also_when_nobody_was_ever_there() {
    let crew = Crew::new("[capabilities.\"work.absent\"]\nfallback = \"work.safe\"");
    let hand = crew.hand("a");
    assert_eq!(crew.ask("work.absent"), Ok(hand.number));
}

#[test]
fn fallbacks_that_go_round_end_with_the_first_error() {
    // A configuration that goes round by itself is refused.
    let crew = Crew::new("[capabilities.\"work.x\"]\nfallback = \"work.y\"");
    let hand = crew.hand("a");
    announce(&crew, &hand, "work.y", Some("work.x"));
    let refused = crew.ask("work.x").expect_err("nobody is there");
    assert_eq!(
        refused,
        "unavailable: no plugin that offers `work.y`, which stands in for `work.x`, is started \
         (hint: `octa why work.y` shows why)"
    );
}

/// Makes known a plugin that is not started and would offer this.
fn announce(crew: &Crew, like: &Lamp, capability: &str, fallback: Option<&str>) {
    let mut manifest = Manifest::clone(&like.manifest);
    manifest.name = "another".to_owned();
    manifest.capabilities.truncate(1);
    manifest.capabilities[0].name = capability.to_owned();
    manifest.capabilities[0].policy.fallback = fallback.map(str::to_owned);
    crew.house.services.announce(&manifest, true);
}

#[test]
fn what_only_the_configuration_names_is_as_unknown_as_what_nobody_does() {
    let crew = Crew::new(
        "[capabilities.\"work.saef\"]\nretry = true\n\
         [capabilities.\"work.once\"]\nfallback = \"work.twice\"\n\
         [capabilities.\"work.twice\"]\nfallback = \"work.thrice\"\n\
         [capabilities.\"work.thrice\"]\ncheck = true",
    );
    let unknown = "unknown-capability: no plugin offers the capability";
    let told = crew.ask("work.saef");
    assert_eq!(told, Err(format!("{unknown} `work.saef`")));
    let hand = crew.hand("a");
    let near = "(hint: did you mean `work.safe`?)";
    let told = crew.ask("work.saef");
    assert_eq!(told, Err(format!("{unknown} `work.saef` {near}")));
    assert_eq!(crew.begun(&hand), 0);
    // The fallback of a fallback stands in for what was called.
    crew.house.services.unregister("a");
    let told = crew.ask("work.once");
    let instead = "which stands in for `work.once`";
    assert_eq!(told, Err(format!("{unknown} `work.thrice`, {instead}")));
    announce(&crew, &hand, "work.thrice", None);
    let told = crew.ask("work.once").expect_err("it is not started");
    let expect = format!("unavailable: no plugin that offers `work.thrice`, {instead}, is started");
    assert!(told.starts_with(&expect), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// However calls are nested, retried and limited, none goes on when the time of the outermost
    /// is over.
    #[test]
    fn no_nested_call_outlives_its_parent(
        limit in 1..40_u64,
        takes in prop::collection::vec(1..30_u64, 1..6),
        is_keyed in any::<bool>(),
    ) {
        let crew = Crew::new(
            "[capabilities.\"work.safe\"]\nretry = true\nconcurrency = 1\nqueue = 4\nwait = \"1m\"",
        );
        let hand = crew.hand("a");
        crew.next(&hand, takes.iter().flat_map(|seconds| [Act::Take(*seconds), Act::Panic]));
        let how = How {
            limit: Some(Duration::from_secs(limit)),
            key: if is_keyed { "k" } else { "" },
            ..How::default()
        };
        let mut calls: Vec<_> = (0..3)
            .map(|_| crew.call_as("work.nested", how, &json!("work.safe")))
            .collect();
        for call in &mut calls {
            let _ = call.poll();
        }
        crew.advance(limit);
        for call in calls {
            drop(crew.end(call));
        }
        crew.house.settle();
        prop_assert_eq!(crew.under_way(&hand), 0, "something goes on after {} s", limit);
    }
}

#[test]
fn a_pipeline_that_is_late_says_at_which_step() {
    let crew = Crew::new("[pipelines]\n\"work.words\" = [\"work.word\", \"work.word\"]");
    let hand = crew.hand("a");
    for act in [Act::Take(9), Act::Stall(5, 9)] {
        crew.next(&hand, [Act::Take(1), act]);
        let how = How {
            limit: Some(Duration::from_secs(3)),
            ..How::default()
        };
        let late = crew.end(crew.call_as("work.words", how, &json!(["a"])));
        let late = late.expect_err("it is too late");
        assert_eq!(late.kind(), ErrorKind::Deadline, "{late}");
        let details = late.details().expect("details");
        assert_eq!(details["step"], 2, "{act:?}: {late}");
    }
}

#[test]
fn without_time_nothing_is_begun() {
    let crew = Crew::new("");
    let hand = crew.hand("a");
    let how = How {
        limit: Some(Duration::ZERO),
        ..How::default()
    };
    let late = crew.end(crew.call_as("work.once", how, &json!(null)));
    assert_eq!(late.expect_err("no time").kind(), ErrorKind::Deadline);
    assert_eq!(crew.begun(&hand), 0);
}
