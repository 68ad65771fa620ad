//! What waits: for a deadline, for a caller that goes away, for time.

use std::time::Duration;

use octa_kernel::{CallOptions, time::Clock as _};
use serde_json::json;

use super::stage::Topic;

const LITTLE: Duration = Duration::from_millis(50);

#[test]
fn deadlines() {
    Topic::of("deadlines").check_between(async |stage| {
        let mut begun = stage.listen("conformer.begun").await;
        let mut given_up = stage.listen("conformer.given_up").await;
        let call = stage.begin("conformer.wait", json!(null));
        stage.hear(&mut begun).await;
        stage.time_runs().await;
        stage.pass(Duration::from_secs(29));
        stage.hear_nothing(&mut given_up);
        stage.pass(Duration::from_secs(1));
        stage.ended("conformer.wait", call).await;
        stage.hear(&mut given_up).await;
        let call = stage.begin("conformer.hurry", json!(null));
        stage.hear(&mut begun).await;
        stage.time_runs_for(LITTLE).await;
        stage.pass(LITTLE);
        stage.ended("conformer.hurry", call).await;
        stage.hear(&mut given_up).await;
        // Of a call that a plugin makes, the caller lives on.
        let steps = json!([
            { "call": { "capability": "conformer.hurry" } },
            { "call": { "capability": "conformer.echo", "input": "and goes on" } },
        ]);
        let call = stage.begin("companion.run", steps);
        stage.hear(&mut begun).await;
        stage.time_runs_for(LITTLE).await;
        stage.pass(LITTLE);
        stage.ended("companion.run", call).await;
        stage.hear(&mut given_up).await;
        stage.unfinished(0).await;
    });
}

#[test]
fn deadlines_of_the_caller() {
    Topic::of("callers-deadlines").check_between(async |stage| {
        let mut begun = stage.listen("conformer.begun").await;
        let mut given_up = stage.listen("conformer.given_up").await;
        let how = CallOptions {
            deadline: Some(Duration::from_secs(5)),
            ..CallOptions::default()
        };
        let call = stage.begin_as("conformer.wait", json!(null), how.clone());
        stage.hear(&mut begun).await;
        stage.time_runs().await;
        stage.pass(Duration::from_secs(5));
        stage.ended("conformer.wait", call).await;
        stage.hear(&mut given_up).await;
        // Within what is left to whom it is called for.
        let steps = json!([{ "remaining": "companion.run" }]);
        for capability in [
            "conformer.run",
            "conformer.run_blocking",
            "conformer.run_in_thread",
        ] {
            stage.steps_as(capability, steps.clone(), &how).await;
        }
    });
}

#[test]
fn callers_that_go_away() {
    Topic::of("cancellation").check_between(async |stage| {
        let mut begun = stage.listen("conformer.begun").await;
        let mut given_up = stage.listen("conformer.given_up").await;
        let call = stage.begin("conformer.wait", json!(null));
        stage.hear(&mut begun).await;
        call.abort();
        stage.hear(&mut given_up).await;
        // Through another plugin, whose caller goes away.
        let steps = json!([{ "call": { "capability": "conformer.wait" } }]);
        let call = stage.begin("companion.run", steps);
        stage.hear(&mut begun).await;
        call.abort();
        stage.hear(&mut given_up).await;
        // Another plugin goes away by itself.
        let call = stage.begin("companion.give_up", json!("conformer.wait"));
        stage.hear(&mut begun).await;
        stage.publish("companion.signal.give_up", json!(null)).await;
        stage.ended("companion.give_up", call).await;
        stage.hear(&mut given_up).await;
        stage.unfinished(0).await;
        stage.call("conformer.echo", json!("still here")).await;
    });
}

#[test]
fn timers() {
    Topic::of("timers").check(async |stage| {
        let mut sleeps = stage.listen("conformer.sleeps").await;
        let mut woke = stage.listen("conformer.woke").await;
        let call = stage.begin("conformer.sleep", json!([30, 10, 20]));
        stage.hear(&mut sleeps).await;
        for (time, wakes) in [(10, true), (5, false), (5, true), (10, true)] {
            stage.pass(Duration::from_millis(time));
            if wakes {
                stage.hear(&mut woke).await;
            }
        }
        stage.ended("conformer.sleep", call).await;
        let call = stage.begin("conformer.sleep", json!([3_000_000]));
        stage.hear(&mut sleeps).await;
        stage.pass(Duration::from_secs(3_000));
        stage.hear(&mut woke).await;
        stage.ended("conformer.sleep", call).await;
    });
}

/// The one thing that differs, as `docs/containment.md` tells: a process of its own has no clock but
/// the system's.
#[test]
fn clocks() {
    Topic::of("clocks").check(async |stage| {
        for capability in ["conformer.run", "conformer.run_in_thread"] {
            stage.pass(Duration::from_secs(3_600));
            let told = stage.running.call(capability, json!(["now"])).await;
            let is_hosts = told == Ok(json!([stage.clock.wall().as_secs()]));
            let is_as_told = is_hosts == stage.is_inside;
            stage.note(&format!(
                "{capability} reads the clock it should: {is_as_told}"
            ));
        }
    });
}
