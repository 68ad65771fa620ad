//! Events: who hears what, in which order, how often, and what becomes of those that fail or find
//! no room.

use std::{future::Future as _, pin::pin, task::Poll};

use serde_json::{Value, json};

use super::stage::{Stage, Topic};
use crate::home::{data, until};

#[test]
fn who_hears_what() {
    Topic::of("events").check_between(async |stage| {
        let mut told = stage.listen("conformer.told").await;
        for (topic, heard) in [
            ("conformer.in", 1),
            ("conformer.in.a", 2),
            ("conformer.in.a.b", 1),
            ("conformer.out", 0),
        ] {
            let number = json!({ "of": topic });
            stage.publish(topic, number.clone()).await;
            stage.hear_all(&mut told, heard).await;
            let steps = json!([{ "publish": [topic, number] }]);
            for capability in ["companion.run", "conformer.run", "companion.run_in_thread"] {
                stage.steps(capability, steps.clone()).await;
                stage.hear_all(&mut told, heard).await;
            }
        }
        for topic in ["", "no topic", "conformer.*"] {
            stage.publish(topic, json!(1)).await;
            let steps = json!([{ "publish": [topic, 1] }]);
            stage.steps("conformer.run", steps).await;
        }
        for size in [0, 5_000, 1 << 20] {
            stage
                .publish("conformer.bytes", json!("b".repeat(size)))
                .await;
            stage.hear(&mut told).await;
        }
        stage.hear_nothing(&mut told);
    });
}

#[test]
fn order() {
    Topic::of("order").check_between(async |stage| {
        const MANY: u32 = 100;
        let mut counted = stage.listen("conformer.counted").await;
        let steps = json!([{ "publish-many": ["conformer.ordered", MANY] }]);
        let publishers = ["companion.run", "conformer.run_in_thread"];
        let calls = publishers.map(|capability| stage.begin(capability, steps.clone()));
        for number in 0..MANY {
            stage
                .running
                .publish("conformer.ordered", number.into())
                .await;
        }
        for call in calls {
            stage.ended("published", call).await;
        }
        for _ in 0..3 * MANY {
            counted.recv().await.expect("the bus is open");
        }
        stage.call("conformer.heard", json!(null)).await;
    });
}

#[test]
fn failures() {
    Topic::of("failing-events").check(async |stage| {
        let mut tried = stage.listen("conformer.tried").await;
        let mut dead = stage.listen("kernel.dead_letter").await;
        for times in 0..4 {
            for how in ["fails", "panics"] {
                stage
                    .publish("conformer.fails", json!({ how: times }))
                    .await;
                for _ in 0..=times.min(2) {
                    stage.hear_tried(&mut tried).await;
                }
                if times > 2 {
                    stage.hear(&mut dead).await;
                }
            }
        }
        stage.publish("conformer.number", json!("no number")).await;
        stage.hear(&mut dead).await;
        // In the same batch as others: those before and after are handled once.
        for times in [0, 9, 0, 1, 0] {
            stage
                .publish("conformer.fails", json!({ "fails": times }))
                .await;
        }
        for _ in 0..8 {
            stage.hear_tried(&mut tried).await;
        }
        stage.hear(&mut dead).await;
        stage.hear_nothing(&mut tried);
        stage.hear_nothing(&mut dead);
    });
}

#[test]
fn back_pressure() {
    Topic::of("back-pressure").check_between(async |stage| {
        let mut begun = stage.listen("conformer.begun").await;
        let mut told = stage.listen("conformer.told").await;
        stage.publish("conformer.narrow", json!(0)).await;
        stage.hear(&mut begun).await;
        for number in [1, 2] {
            stage.publish("conformer.narrow", json!(number)).await;
        }
        let kernel = stage.running.kernel.clone();
        let mut waiting = pin!(kernel.publish("conformer.narrow", &3));
        let polled = std::future::poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_ready()));
        let is_ready = polled.await;
        stage.note(&format!("there is room for another: {is_ready}"));
        let steps = json!([{ "publish": ["conformer.narrow", 4] }]);
        let call = stage.begin("companion.run", steps);
        until(|| stage.status().subscriptions.iter().any(|s| s.matched == 5)).await;
        for number in 0..5 {
            stage.call("conformer.release", json!(null)).await;
            stage.hear(&mut told).await;
            if number < 4 {
                stage.hear(&mut begun).await;
            }
        }
        waiting.await.expect("there is room now");
        stage.ended("companion.run", call).await;
        counters(stage, "conformer.narrow");
    });
}

#[test]
fn overflow() {
    Topic::of("overflow").check(async |stage| {
        let mut begun = stage.listen("conformer.begun").await;
        let mut told = stage.listen("conformer.told").await;
        stage.publish("conformer.lossy", json!(0)).await;
        stage.hear(&mut begun).await;
        for number in 1..6 {
            stage.publish("conformer.lossy", json!(number)).await;
        }
        counters(stage, "conformer.lossy");
        for _ in 0..3 {
            stage.call("conformer.release", json!(null)).await;
            stage.hear(&mut told).await;
        }
        stage.hear_nothing(&mut told);
        counters(stage, "conformer.lossy");
    });
}

#[test]
fn at_once() {
    Topic::of("concurrency").check(async |stage| {
        let mut begun = stage.listen("conformer.begun").await;
        let mut told = stage.listen("conformer.told").await;
        for topic in ["conformer.twofold", "conformer.blocking"] {
            let at_once = if topic == "conformer.twofold" { 2 } else { 1 };
            for number in 0..3 {
                stage.publish(topic, json!(number)).await;
            }
            stage.hear_all(&mut begun, at_once).await;
            stage.hear_nothing(&mut begun);
            for _ in 0..3 {
                stage.call("conformer.release", json!(null)).await;
                // Which of those inside it is, is open.
                let event = told.recv().await.expect("the bus is open");
                stage.note(&format!("told by {}", data(&event)["by"]));
            }
            stage.hear_all(&mut begun, 3 - at_once).await;
            stage.unfinished(0).await;
        }
    });
}

#[test]
fn at_run_time() {
    Topic::of("subscriptions").check_between(async |stage| {
        let listen = |pattern: &str, topics: &[&str]| {
            let publish: Vec<Value> = topics.iter().map(|topic| json!([topic, topic])).collect();
            json!({ "listen": [pattern, publish] })
        };
        let steps = json!([
            listen(
                "conformer.signal.a",
                &["conformer.signal.a", "conformer.signal.a"]
            ),
            listen(
                "conformer.signal.**",
                &["conformer.signal.a", "conformer.signal.a.b"]
            ),
            listen("conformer.signal.*", &["conformer.signal.b"]),
            listen("conformer.signal..a", &[]),
            listen("conformer.elsewhere", &[]),
            listen("conformer.signal.none", &[]),
        ]);
        for capability in [
            "conformer.run",
            "conformer.run_blocking",
            "conformer.run_in_thread",
        ] {
            stage.steps(capability, steps.clone()).await;
        }
        stage.steps_in_task(steps).await;
        until(|| stage.status().ledger.subscriptions == 0).await;
        stage.note("no subscription is left");
    });
}

/// Writes down what became of the events of a subscription.
fn counters(stage: &mut Stage, pattern: &str) {
    let status = stage.status();
    let found = status.subscriptions.iter().find(|s| s.pattern == pattern);
    let found = found.expect("it subscribes");
    let counted = format!(
        "matched {}, delivered {}, dropped {}, queued {}",
        found.matched, found.delivered, found.dropped, found.queued
    );
    stage.note(&format!("{pattern}: {counted}"));
}
