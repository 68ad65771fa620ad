//! Which of two providers gets a call, and who answers when neither can.

use std::time::Duration;

use octa_kernel::CallOptions;
use serde_json::{Value, json};

use super::stage::{Stage, Topic};
use crate::home::until;

/// What both offer.
const SERVE: &str = "shared.serve";
const COMPANION: &str = "companion";
const KEYS: usize = 32;
/// How often plugins are asked for their health.
const ASKED: Duration = Duration::from_secs(5);

/// Has one of them started or stopped.
async fn bring(stage: &mut Stage, plugin: &str, what: &str) {
    let kernel = &stage.running.kernel;
    let brought = match what {
        "starts" => kernel.start_plugin(plugin).await,
        _ => kernel.stop_plugin(plugin).await,
    };
    brought.expect("it does");
    stage.note(&format!("{plugin} {what}"));
}

/// Has the companion tell how it feels, and lets time go on until it was asked.
async fn feel(stage: &mut Stage, health: &str) {
    stage.call("companion.feel", json!(health)).await;
    let (kernel, clock) = (stage.running.kernel.clone(), stage.clock.clone());
    until(|| {
        clock.advance(ASKED);
        let providers = kernel.service(SERVE).expect("it is known").providers;
        let mut companions = providers.iter().filter(|it| it.plugin == COMPANION);
        companions.all(|it| it.own_health.to_string() == health)
    })
    .await;
}

#[test]
fn failover() {
    let topic = Topic {
        more: "[capabilities.\"shared.serve\"]\nrouting = \"failover\"\n\
               order = [\"companion\", \"conformer\"]\nbreaker = { calls = 2, open = \"3s\" }\n",
        ..Topic::of("routing-failover")
    };
    topic.check_between(async |stage| {
        let steps = json!([{ "call": { "capability": SERVE } }]);
        stage.call(SERVE, json!(null)).await;
        stage.steps("conformer.run", steps.clone()).await;
        stage.steps("companion.run", steps).await;
        stage.call("companion.behave", json!("fails")).await;
        for _ in 0..4 {
            stage.call(SERVE, json!(null)).await;
        }
        stage.call("companion.behave", json!("well")).await;
        stage.pass(Duration::from_secs(3));
        for _ in 0..2 {
            stage.call(SERVE, json!(null)).await;
        }
        for what in ["stops", "starts"] {
            bring(stage, COMPANION, what).await;
            stage.call(SERVE, json!(null)).await;
        }
        for health in ["0", "0.5"] {
            feel(stage, health).await;
            stage.call(SERVE, json!(null)).await;
        }
        for plugin in [COMPANION, "conformer"] {
            bring(stage, plugin, "stops").await;
        }
        stage.call(SERVE, json!(null)).await;
    });
}

#[test]
fn least_in_flight() {
    let topic = Topic {
        more: "[capabilities.\"shared.serve\"]\nrouting = \"least-in-flight\"\n",
        ..Topic::of("routing-least-in-flight")
    };
    topic.check_between(async |stage| {
        let mut asked = stage.listen("*.asked").await;
        for plugin in ["conformer", COMPANION] {
            let behave = format!("{plugin}.behave");
            stage.call(&behave, json!("late")).await;
        }
        let mut calls = Vec::new();
        let mut begin = |stage: &Stage| {
            let how = CallOptions {
                deadline: Some(Duration::from_secs(86_400)),
                ..CallOptions::default()
            };
            calls.push(stage.begin_as(SERVE, json!(null), how));
        };
        for _ in 0..4 {
            begin(stage);
        }
        stage.hear_all(&mut asked, 4).await;
        for in_flight in [1, 0] {
            stage.call("companion.release", json!(null)).await;
            until_in_flight(stage, in_flight).await;
        }
        // It is asked until it has as much to do again, and is asked less when it is not well.
        for _ in 0..2 {
            begin(stage);
            stage.hear(&mut asked).await;
        }
        feel(stage, "0.5").await;
        for _ in 0..2 {
            begin(stage);
            stage.hear(&mut asked).await;
        }
        for plugin in ["conformer", COMPANION] {
            for _ in 0..4 {
                let release = format!("{plugin}.release");
                stage.call(&release, json!(null)).await;
            }
        }
        for call in calls {
            call.await.expect("no panic").expect("it answers");
        }
    });
}

/// Waits until the companion has so many calls under way.
async fn until_in_flight(stage: &Stage, count: usize) {
    let kernel = &stage.running.kernel;
    until(|| {
        let providers = kernel.service(SERVE).expect("it is known").providers;
        let mut companions = providers.iter().filter(|it| it.plugin == COMPANION);
        companions.all(|it| it.in_flight == Some(count))
    })
    .await;
}

#[test]
fn by_key() {
    let topic = Topic {
        more: "[capabilities.\"shared.serve\"]\nrouting = \"by-key\"\n",
        ..Topic::of("routing-by-key")
    };
    topic.check_between(async |stage| {
        stage.call(SERVE, json!(null)).await;
        let steps = json!([
            { "call": { "capability": SERVE } },
            { "call": { "capability": SERVE, "idempotency_key": "no routing key" } },
        ]);
        stage.steps("companion.run", steps).await;
        let both = who(stage).await;
        let share = both.iter().filter(|by| *by == COMPANION).count();
        stage.note(&format!("both are asked: {}", 0 < share && share < KEYS));
        let again = who(stage).await;
        stage.note(&format!("each key finds its own again: {}", both == again));
        bring(stage, COMPANION, "stops").await;
        let alone = who(stage).await;
        let is_alone = alone.iter().all(|by| by == "conformer");
        stage.note(&format!("the other one is asked alone: {is_alone}"));
        bring(stage, COMPANION, "starts").await;
        let again = who(stage).await;
        stage.note(&format!("each key finds its own again: {}", both == again));
    });
}

/// Who answers for each key, to the host and to the companion alike.
async fn who(stage: &mut Stage) -> Vec<Value> {
    let mut found = Vec::new();
    for number in 0..KEYS {
        let how = CallOptions {
            routing_key: format!("lamp_{number}"),
            ..CallOptions::default()
        };
        let answer = stage.begin_as(SERVE, json!(null), how.clone()).await;
        let answer = answer.expect("no panic").expect("somebody answers");
        let call = json!({ "capability": SERVE, "routing_key": how.routing_key });
        let steps = json!([{ "call": call }]);
        let gave = stage.running.call("conformer.run", steps).await;
        assert_eq!(gave, Ok(json!([answer])), "of the same key");
        found.push(answer["by"].clone());
    }
    found
}

#[test]
fn fallback() {
    Topic::of("fallback").check_between(async |stage| {
        let capability = "conformer.covered";
        let steps = json!([{ "call": { "capability": capability, "input": "instead" } }]);
        let mut asked = stage.listen("conformer.asked").await;
        // What it has done, or may have, is not done by another.
        for manner in ["well", "fails", "refuses", "panics"] {
            stage.call("conformer.behave", json!(manner)).await;
            stage.call(capability, json!("instead")).await;
            stage.hear(&mut asked).await;
        }
        let how = CallOptions {
            idempotency_key: "not twice".to_owned(),
            ..CallOptions::default()
        };
        stage.call_as(capability, json!("instead"), &how).await;
        stage.hear(&mut asked).await;
        // There is no place.
        stage.call("conformer.behave", json!("late")).await;
        let inside = stage.begin(capability, json!(null));
        stage.hear(&mut asked).await;
        stage.call(capability, json!("instead")).await;
        stage.steps("companion.run", steps).await;
        stage.call("conformer.release", json!(null)).await;
        stage.ended(capability, inside).await;
        stage.hear_nothing(&mut asked);
    });
}

#[test]
fn fallback_elsewhere() {
    let topic = Topic {
        more: "[capabilities.\"conformer.covered\"]\nfallback = \"companion.covered\"\n",
        ..Topic::of("fallback-elsewhere")
    };
    topic.check_between(async |stage| {
        let capability = "conformer.covered";
        stage.call(capability, json!("instead")).await;
        bring(stage, "conformer", "stops").await;
        stage.call(capability, json!("instead")).await;
        let steps = json!([{ "call": { "capability": capability, "input": "instead" } }]);
        stage.steps("companion.run", steps).await;
        bring(stage, COMPANION, "stops").await;
        stage.call(capability, json!("instead")).await;
        bring(stage, "conformer", "starts").await;
        stage.call(capability, json!("instead")).await;
    });
}
