//! Calls: what is sent and what comes back, from the host and from plugin to plugin.

use std::time::Duration;

use octa_kernel::{CallOptions, Payload};
use serde_json::json;

use super::stage::Topic;

#[test]
fn calls() {
    Topic::of("calls").check_between(async |stage| {
        for input in [
            json!(null),
            json!({ "text": "ü\n\"\0", "list": [1, -2, 3.5, u64::MAX, true] }),
        ] {
            stage.call("conformer.echo", input).await;
        }
        stage.call("conformer.add_one", json!(41)).await;
        stage.call("conformer.add_one", json!(u32::MAX)).await;
        stage.call("conformer.add_one", json!("text")).await;
        stage.call("conformer.add_one", json!(-1)).await;
        stage.call("conformer.eco", json!(1)).await;
        stage.call("nobody.knows", json!(1)).await;
        for capability in ["conformer.run", "conformer.run_blocking"] {
            let how = CallOptions {
                deadline: Some(Duration::from_secs(5)),
                idempotency_key: "once".to_owned(),
                routing_key: "lamp_1".to_owned(),
                trace_context: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
                ..CallOptions::default()
            };
            let steps = json!([
                "who",
                { "call": { "capability": "companion.run", "input": ["who"] } },
                { "call": {
                    "capability": "companion.run",
                    "input": ["who", { "call": {
                        "capability": "conformer.echo", "input": "there and back" } }],
                    // One that it has not called with before.
                    "idempotency_key": format!("by {capability}"),
                    "routing_key": "lamp_2",
                } },
                { "remaining": "companion.run" },
                { "call": { "capability": "companion.add_one", "input": "text" } },
                { "call": { "capability": "companion.nothing" } },
                { "call": { "capability": "companion.run", "input": [
                    { "call": { "capability": capability, "input": [] } }] } },
            ]);
            stage.steps_as(capability, steps, &how).await;
        }
        stage
            .steps(
                "companion.run",
                json!(["who", { "remaining": "conformer.run" }]),
            )
            .await;
    });
}

/// Sizes around those at which something may change on the way.
const SIZES: [usize; 9] = [0, 1, 64, 4_095, 4_096, 65_536, 1 << 18, 1 << 20, 8 << 20];

#[test]
fn payloads() {
    Topic::of("payloads").check_between(async |stage| {
        for size in SIZES {
            let mut bytes: Vec<u8> = (0..size).map(|index| (index % 253) as u8).collect();
            let payload = Payload::copy_from_slice(&bytes);
            let how = CallOptions::default();
            let answer = stage
                .running
                .kernel
                .call_with("conformer.reverse", &payload, &how);
            let answer = answer.await.expect("it answers");
            bytes.reverse();
            let is_same = *answer == *bytes;
            stage.note(&format!("{size} bytes come back: {is_same}"));
        }
        let steps = SIZES.map(|size| json!({ "call-bytes": ["companion.reverse", size] }));
        stage.steps("conformer.run", json!(steps)).await;
        let text = "long ".repeat(100_000);
        let answer = stage.running.call("conformer.echo", json!(text)).await;
        stage.note(&format!(
            "a long text comes back: {}",
            answer == Ok(json!(text))
        ));
        let fails = json!({ "message": text });
        let answer = stage.running.call("conformer.fail", fails).await;
        let is_same = answer == Err(format!("failed: {text}"));
        stage.note(&format!("a long error comes back: {is_same}"));
    });
}

#[test]
fn blocking() {
    Topic::of("blocking").check_between(async |stage| {
        let mut begun = stage.listen("conformer.begun").await;
        let calls = [(); 3].map(|()| stage.begin("conformer.wait_blocking", json!(null)));
        for _ in &calls {
            stage.hear(&mut begun).await;
        }
        stage.call("conformer.echo", json!("still here")).await;
        for _ in &calls {
            stage.call("conformer.release", json!(null)).await;
        }
        for call in calls {
            stage.ended("conformer.wait_blocking", call).await;
        }
        stage.call("conformer.block_in_poll", json!(null)).await;
        let steps = json!([
            "who",
            { "call": { "capability": "companion.run_blocking", "input": ["who"] } },
            { "call": { "capability": "companion.run_in_thread", "input": ["who"] } },
            { "publish": ["conformer.begun", 7] },
        ]);
        for capability in ["conformer.run_blocking", "conformer.run_in_thread"] {
            stage.steps(capability, steps.clone()).await;
            stage.hear(&mut begun).await;
        }
        stage.steps_in_task(steps.clone()).await;
        stage.hear(&mut begun).await;
        stage.call("conformer.keep", json!(null)).await;
        stage.steps("conformer.run_kept", steps).await;
        stage.hear(&mut begun).await;
    });
}
