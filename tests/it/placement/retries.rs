//! Retries: of calls, and of events until they are dead letters.

use std::time::Duration;

use octa_kernel::{CallOptions, bus::Subscription};
use serde_json::json;

use super::stage::{Stage, Topic};
use crate::home::until;

/// Waits until time stands at a pause about so long, a quarter more or less, and goes on to its
/// end.
async fn pause(stage: &mut Stage, about: Duration) {
    let clock = stage.clock.clone();
    let is_about = |next: &Duration| (about * 3 / 4..=about * 5 / 4).contains(next);
    until(|| clock.until_next().as_ref().is_some_and(is_about)).await;
    clock.advance(clock.until_next().unwrap_or_default());
    stage.note(&format!("after about {about:?}"));
}

const PAUSE: Duration = Duration::from_millis(100);

#[test]
fn calls() {
    Topic::of("retries").check_between(async |stage| {
        let mut tried = stage.listen("conformer.tried").await;
        for how in ["fails", "panics"] {
            for times in 0..4 {
                let call = stage.begin("conformer.retried", json!({ how: times }));
                stage.hear(&mut tried).await;
                for retry in 0..times.min(2) {
                    pause(stage, PAUSE * 2_u32.pow(retry)).await;
                    stage.hear(&mut tried).await;
                }
                stage.ended("conformer.retried", call).await;
            }
        }
        let fails_once = json!({ "fails": 1 });
        let retried = json!({ "capability": "conformer.retried", "input": fails_once });
        let call = stage.begin("companion.run", json!([{ "call": retried }]));
        stage.hear(&mut tried).await;
        pause(stage, PAUSE).await;
        stage.hear(&mut tried).await;
        stage.ended("companion.run", call).await;
        // Who does not want it is not given it.
        let mut not_retried = retried.clone();
        not_retried["no_retries"] = json!(true);
        let steps = json!([{ "call": not_retried }]);
        stage.steps("companion.run", steps).await;
        stage.hear(&mut tried).await;
        let how = CallOptions {
            no_retries: true,
            ..CallOptions::default()
        };
        let capability = "conformer.retried";
        stage.call_as(capability, fails_once.clone(), &how).await;
        stage.hear(&mut tried).await;
        // What may not be done twice is not, unless it can be told by its key.
        let capability = "conformer.done_once";
        stage.call(capability, fails_once.clone()).await;
        stage.hear(&mut tried).await;
        let how = CallOptions {
            idempotency_key: "once".to_owned(),
            ..CallOptions::default()
        };
        let call = stage.begin_as(capability, fails_once, how);
        stage.hear(&mut tried).await;
        pause(stage, PAUSE).await;
        stage.hear(&mut tried).await;
        stage.ended(capability, call).await;
        stage.hear_nothing(&mut tried);
    });
}

#[test]
fn turned_off() {
    let topic = Topic {
        more: "[capabilities.\"conformer.retried\"]\nretry = false\n",
        ..Topic::of("retries-off")
    };
    topic.check(async |stage| {
        let mut tried = stage.listen("conformer.tried").await;
        stage.call("conformer.retried", json!({ "fails": 1 })).await;
        stage.hear(&mut tried).await;
        stage.hear_nothing(&mut tried);
    });
}

#[test]
fn events() {
    Topic::of("patience").check(async |stage| {
        let mut tried = stage.listen("conformer.tried").await;
        let mut dead = stage.listen("kernel.dead_letter").await;
        stage
            .publish("conformer.patient", json!({ "fails": 9 }))
            .await;
        stage
            .publish("conformer.patient", json!("waits behind it"))
            .await;
        give_up(stage, &mut tried).await;
        stage.hear(&mut dead).await;
        stage.hear(&mut tried).await;
        letters(stage).await;
        // Once more, with all its attempts.
        let replayed = stage.running.kernel.replay_dead_letter(1).await;
        replayed.expect("it is there");
        letters(stage).await;
        give_up(stage, &mut tried).await;
        stage.hear(&mut dead).await;
        letters(stage).await;
        stage
            .publish("conformer.patient", json!({ "panics": 1 }))
            .await;
        stage.hear(&mut tried).await;
        pause(stage, PAUSE).await;
        stage.hear(&mut tried).await;
        stage.hear_nothing(&mut dead);
    });
}

/// An event is tried, and again, and again, and for the last time.
async fn give_up(stage: &mut Stage, tried: &mut Subscription) {
    stage.hear(tried).await;
    for about in [PAUSE, 2 * PAUSE, 3 * PAUSE] {
        stage.hear_nothing(tried);
        pause(stage, about).await;
        stage.hear(tried).await;
    }
}

/// Writes down the dead letters there are.
async fn letters(stage: &mut Stage) {
    let letters = stage.running.kernel.dead_letters().await;
    stage.note(&format!("{} dead letters", letters.len()));
    for letter in letters {
        let payload = String::from_utf8_lossy(&letter.event.payload);
        stage.note(&format!(
            "  {} of {} by {}: {} ({}), tried {} times: {payload}",
            letter.id,
            letter.subscription,
            letter.plugin,
            letter.cause,
            letter.kind,
            letter.attempts,
        ));
    }
}
