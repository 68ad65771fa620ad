//! Limits: how many calls at once, how often one may call, and who is cut off.

use std::time::Duration;

use serde_json::json;

use super::stage::{Stage, Topic};
use crate::home::until;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn at_once() {
    Topic::of("bulkhead").check_between(async |stage| {
        let capability = "conformer.limited";
        let mut asked = stage.listen("conformer.asked").await;
        stage.call("conformer.behave", json!("late")).await;
        let inside = stage.begin(capability, json!(null));
        stage.hear(&mut asked).await;
        let waits = stage.begin(capability, json!(null));
        someone_waits(stage).await;
        stage.call(capability, json!(null)).await;
        stage.time_runs_for(SECOND).await;
        stage.pass(SECOND);
        stage.ended(capability, waits).await;
        let steps = json!([{ "call": { "capability": capability } }]);
        let waits = stage.begin("companion.run", steps.clone());
        someone_waits(stage).await;
        stage.steps("companion.run", steps).await;
        stage.hear_nothing(&mut asked);
        for (what, call) in [(capability, inside), ("companion.run", waits)] {
            stage.call("conformer.release", json!(null)).await;
            stage.ended(what, call).await;
        }
        stage.hear(&mut asked).await;
        stage.hear_nothing(&mut asked);
    });
}

async fn someone_waits(stage: &Stage) {
    let kernel = &stage.running.kernel;
    let service = || kernel.service("conformer.limited").expect("it is known");
    until(|| service().providers[0].waiting == 1).await;
}

#[test]
fn how_often() {
    Topic::of("rates").check_between(async |stage| {
        let capability = "conformer.rationed";
        let steps = json!([{ "call": { "capability": capability } }]);
        for time in [0, 250, 250, 1000] {
            stage.pass(Duration::from_millis(time));
            for _ in 0..3 {
                stage.call(capability, json!(null)).await;
            }
            stage.steps("companion.run", steps.clone()).await;
        }
    });
}

#[test]
fn cut_off() {
    Topic::of("breaker").check_between(async |stage| {
        let capability = "conformer.judged";
        let mut asked = stage.listen("conformer.asked").await;
        for (manner, times) in [("refuses", 2), ("fails", 1), ("panics", 1)] {
            stage.call("conformer.behave", json!(manner)).await;
            for _ in 0..times {
                stage.call(capability, json!(null)).await;
                stage.hear(&mut asked).await;
            }
            breaker(stage);
        }
        // Nobody comes through, whoever it is.
        for seconds in [0, 2] {
            stage.pass(Duration::from_secs(seconds));
            stage.call(capability, json!(null)).await;
            let steps = json!([{ "call": { "capability": capability } }]);
            stage.steps("companion.run", steps).await;
        }
        stage.hear_nothing(&mut asked);
        // One is let in, to see; and again, until that goes well.
        stage.pass(SECOND);
        breaker(stage);
        stage.call(capability, json!(null)).await;
        stage.hear(&mut asked).await;
        breaker(stage);
        stage.pass(3 * SECOND);
        stage.call("conformer.behave", json!("late")).await;
        let probe = stage.begin(capability, json!(null));
        stage.hear(&mut asked).await;
        stage.call(capability, json!(null)).await;
        stage.call("conformer.release", json!(null)).await;
        stage.ended(capability, probe).await;
        breaker(stage);
        stage.call("conformer.behave", json!("well")).await;
        stage.call(capability, json!(null)).await;
    });
}

/// Writes down how the breaker is.
fn breaker(stage: &mut Stage) {
    let service = stage.running.kernel.service("conformer.judged");
    let provider = service.expect("it is known").providers.swap_remove(0);
    let breaker = provider.breaker.expect("it is judged");
    stage.note(&format!(
        "{:?} (next try: {:?}), {} of {} failed, the last with {:?}; health {}",
        breaker.state,
        breaker.next_try_ms,
        breaker.failures,
        breaker.calls,
        breaker.last_error.as_deref().unwrap_or_default(),
        provider.health,
    ));
}
