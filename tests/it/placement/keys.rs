//! Idempotency keys: what is repeated is not done again.

use octa_kernel::CallOptions;
use serde_json::json;

use super::stage::Topic;
use crate::home::until;

fn key(key: &str) -> CallOptions {
    CallOptions {
        idempotency_key: key.to_owned(),
        ..CallOptions::default()
    }
}

#[test]
fn repeated() {
    Topic::of("keys").check_between(async |stage| {
        let mut tried = stage.listen("conformer.tried").await;
        let capability = "conformer.done_once";
        for (input, key) in [("a", key("1")), ("a", key("1")), ("b", key("1"))] {
            stage.call_as(capability, json!(input), &key).await;
        }
        stage.hear(&mut tried).await;
        stage.hear_nothing(&mut tried);
        // Another's key is another.
        let call = json!({ "capability": capability, "input": "a", "idempotency_key": "1" });
        let steps = json!([{ "call": call }, { "call": call }]);
        stage.steps("companion.run", steps).await;
        stage.hear(&mut tried).await;
        stage.hear_nothing(&mut tried);
        // None would have it done each time.
        let empty = json!({ "capability": capability, "input": "a", "idempotency_key": "" });
        let long = "k".repeat(257);
        let long = json!({ "capability": capability, "input": "a", "idempotency_key": long });
        let steps = json!([{ "call": empty }, { "call": long }]);
        stage.steps("companion.run", steps).await;
        stage.hear_nothing(&mut tried);
        // That it failed is an answer.
        for _ in 0..2 {
            let how = CallOptions {
                no_retries: true,
                ..key("2")
            };
            stage.call_as(capability, json!({ "fails": 1 }), &how).await;
        }
        stage.hear(&mut tried).await;
        stage.hear_nothing(&mut tried);
        // That it broke down says nothing.
        for _ in 0..2 {
            let how = CallOptions {
                no_retries: true,
                ..key("3")
            };
            stage
                .call_as(capability, json!({ "panics": 1 }), &how)
                .await;
            stage.hear(&mut tried).await;
        }
    });
}

#[test]
fn under_way() {
    Topic::of("keys-under-way").check_between(async |stage| {
        let mut asked = stage.listen("conformer.asked").await;
        stage.call("conformer.behave", json!("late")).await;
        let capability = "conformer.limited";
        let first = stage.begin_as(capability, json!(null), key("1"));
        stage.hear(&mut asked).await;
        let second = stage.begin_as(capability, json!(null), key("1"));
        let kernel = stage.running.kernel.clone();
        until(|| {
            let service = kernel.service(capability).expect("it is known");
            service.counts.remembered == 1
        })
        .await;
        stage.call("conformer.release", json!(null)).await;
        stage.ended(capability, first).await;
        stage.ended(capability, second).await;
        stage.hear_nothing(&mut asked);
        // It goes on when its caller goes away.
        let gone = stage.begin_as(capability, json!(null), key("2"));
        stage.hear(&mut asked).await;
        gone.abort();
        gone.await.expect_err("it has not answered");
        stage.unfinished(1).await;
        stage.call("conformer.release", json!(null)).await;
        stage.call_as(capability, json!(null), &key("2")).await;
        stage.hear_nothing(&mut asked);
        // So it does when that is another plugin, whose own caller goes away.
        let call = json!({ "capability": capability, "idempotency_key": "3" });
        let gone = stage.begin("companion.run", json!([{ "call": call }]));
        stage.hear(&mut asked).await;
        gone.abort();
        gone.await.expect_err("it has not answered");
        stage.call("conformer.release", json!(null)).await;
        let steps = json!([{ "call": call }]);
        stage.steps("companion.run", steps).await;
        stage.hear_nothing(&mut asked);
        stage.unfinished(0).await;
    });
}
