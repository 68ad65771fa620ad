//! The life of a plugin: how it starts, fails to, stops, and is told to be.

use std::time::Duration;

use octa_kernel::{Kernel, PluginError};
use serde_json::{Value, json};

use super::stage::{CONFORMER, Stage, Topic};
use crate::home::{data, next, until};

/// Plays what becomes of the conformer in a mood.
fn check_mood(mood: &str) {
    let (name, config) = (format!("mood-{mood}"), format!("mood = \"{mood}\""));
    let topic = Topic {
        config: &config,
        ..Topic::of(&name)
    };
    topic.check(async |stage| {
        let mut moves = stage.listen("kernel.plugin.**").await;
        stage.standing();
        bring(stage, "start", async |kernel| {
            kernel.start_plugin(CONFORMER).await
        })
        .await;
        stage.standing();
        bring(stage, "stop", async |kernel| {
            kernel.stop_plugin(CONFORMER).await
        })
        .await;
        stage.standing();
        stage.call("conformer.echo", json!("anybody there?")).await;
        bring(stage, "unload", async |kernel| {
            kernel.unload_plugin(CONFORMER).await
        })
        .await;
        stage.standing();
        while let Some(event) = moves.try_recv() {
            let data = data(&event);
            stage.note(&format!(
                "{}: {} → {}",
                event.topic, data["from"], data["to"]
            ));
        }
    });
}

async fn bring(
    stage: &mut Stage,
    what: &str,
    how: impl AsyncFn(&Kernel) -> Result<(), PluginError>,
) {
    let brought = how(&stage.running.kernel).await;
    let told = match brought {
        Ok(()) => "well".to_owned(),
        Err(error) => stage.running.told(&error.0),
    };
    stage.note(&format!("{what} → {told}"));
}

#[test]
fn fails_in_create() {
    check_mood("fails-in-create");
}

#[test]
fn panics_in_create() {
    check_mood("panics-in-create");
}

#[test]
fn fails_in_start() {
    check_mood("fails-in-start");
}

#[test]
fn panics_in_start() {
    check_mood("panics-in-start");
}

#[test]
fn fails_in_stop() {
    check_mood("fails-in-stop");
}

#[test]
fn panics_in_stop() {
    check_mood("panics-in-stop");
}

#[test]
fn step_by_step() {
    Topic::of("lifecycle").check(async |stage| {
        let mut moves = stage.listen("kernel.plugin.**").await;
        let mut stopping = stage.listen("conformer.stopping").await;
        for _ in 0..2 {
            bring(stage, "stop", async |kernel| {
                kernel.stop_plugin(CONFORMER).await
            })
            .await;
            stage.hear(&mut stopping).await;
            stage.standing();
            stage.call("conformer.echo", json!(1)).await;
            bring(stage, "start", async |kernel| {
                kernel.start_plugin(CONFORMER).await
            })
            .await;
            stage.call("conformer.echo", json!(2)).await;
            bring(stage, "unload", async |kernel| {
                kernel.unload_plugin(CONFORMER).await
            })
            .await;
            stage.hear(&mut stopping).await;
            stage.call("conformer.echo", json!(3)).await;
            bring(stage, "load", async |kernel| {
                kernel.load_plugin(CONFORMER).await
            })
            .await;
            stage.standing();
            stage.call("conformer.echo", json!(4)).await;
            bring(stage, "start", async |kernel| {
                kernel.start_plugin(CONFORMER).await
            })
            .await;
            stage.call("conformer.echo", json!(5)).await;
        }
        while let Some(event) = moves.try_recv() {
            let data = data(&event);
            stage.note(&format!(
                "{}: {} → {}",
                event.topic, data["from"], data["to"]
            ));
        }
    });
}

#[test]
fn steps_in_start() {
    let steps = json!([
        "who",
        { "publish": ["conformer.signal.start", 1] },
        { "call": { "capability": "companion.echo", "input": "hello" } },
        { "storage": { "do": { "set": ["a", 1] } } },
        { "state": { "do": { "set": ["a", 1] } } },
        { "log": ["info", "starts"] },
        { "listen": ["conformer.signal.*", [["conformer.signal.a", 1]]] },
        { "spawn": "conformer.task" },
    ]);
    let config = format!("mood = \"acts-in-start\"\nsteps = '{steps}'");
    let topic = Topic {
        config: &config,
        ..Topic::of("acts-in-start")
    };
    topic.check(async |stage| {
        // Once its companion is started for sure.
        bring(stage, "stop", async |kernel| {
            kernel.stop_plugin(CONFORMER).await
        })
        .await;
        bring(stage, "start", async |kernel| {
            kernel.start_plugin(CONFORMER).await
        })
        .await;
        stage.call("conformer.in_start", json!(null)).await;
    });
}

#[test]
fn a_stop_with_work_under_way() {
    Topic::of("stop").check(async |stage| {
        let mut begun = stage.listen("conformer.begun").await;
        let mut given_up = stage.listen("conformer.given_up").await;
        // One that ends in time.
        let call = stage.begin("conformer.echo_later", json!("in time"));
        stage.hear(&mut begun).await;
        stage.call("conformer.release", json!(null)).await;
        bring(stage, "stop", async |kernel| {
            kernel.stop_plugin(CONFORMER).await
        })
        .await;
        stage.ended("conformer.echo_later", call).await;
        bring(stage, "start", async |kernel| {
            kernel.start_plugin(CONFORMER).await
        })
        .await;
        // Some that do not.
        let mut dead = stage.listen("kernel.dead_letter").await;
        let call = stage.begin("conformer.wait", json!(null));
        stage.hear(&mut begun).await;
        stage
            .publish("conformer.lossy", json!("never handled"))
            .await;
        stage.hear(&mut begun).await;
        let steps = json!([{ "call": { "capability": "conformer.wait" } }]);
        let others = stage.begin("companion.run", steps);
        stage.hear(&mut begun).await;
        let kernel = stage.running.kernel.clone();
        let stopping = tokio::spawn(async move { kernel.stop_plugin(CONFORMER).await });
        // Its deadline is armed once it waits.
        until(|| {
            stage.clock.advance(Duration::from_millis(100));
            stopping.is_finished()
        })
        .await;
        stage.ended("conformer.wait", call).await;
        stage.ended("companion.run", others).await;
        stage.hear(&mut given_up).await;
        stage.hear(&mut given_up).await;
        // Who of two is faster decides what it says.
        let letter = next(&mut dead).await;
        let said = Value::from(stage.running.said(&letter).await);
        stage.note(&format!("a dead letter: {said}, {}", letter["kind"]));
        stage.standing();
        stage.unfinished(0).await;
    });
}

#[test]
fn health() {
    Topic::of("health").check(async |stage| {
        // Twice the time between two questions: one of them is asked in it.
        let enough = Duration::from_secs(10);
        for (told, seen) in [
            ("0.25", 0.25),
            ("0.0", 0.0),
            ("7", 1.0),
            ("-1", 0.0),
            ("1", 1.0),
            ("NaN", 0.0),
        ] {
            stage.call("conformer.feel", json!(told)).await;
            until(|| {
                stage.clock.advance(enough);
                stage.status().health == Some(seen)
            })
            .await;
            stage.note(&format!("health is {seen}"));
        }
        stage.standing();
    });
}
