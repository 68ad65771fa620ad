//! Checks of what goes in and comes out: whose fault it is.

use octa_kernel::{CallOptions, Payload};
use serde_json::json;

use super::stage::{Topic, told};

#[test]
fn whose_fault_it_is() {
    Topic::of("checks").check_between(async |stage| {
        let capability = "conformer.checked";
        let mut asked = stage.listen("conformer.asked").await;
        for input in [
            json!([1, 2]),
            json!("text"),
            json!([1, -2]),
            json!({ "a": 1 }),
            json!(null),
        ] {
            stage.call(capability, input.clone()).await;
            let steps = json!([{ "call": { "capability": capability, "input": input } }]);
            stage.steps("companion.run", steps).await;
        }
        for text in ["[1, 2", "", "\u{feff}[]"] {
            let payload = Payload::copy_from_slice(text.as_bytes());
            let how = CallOptions::default();
            let kernel = &stage.running.kernel;
            let answer = kernel.call_with(capability, &payload, &how).await;
            let error = answer.expect_err("it is not JSON");
            stage.note(&format!("{text:?} → {}", told(&error.0)));
        }
        stage.hear_all(&mut asked, 2).await;
        stage.hear_nothing(&mut asked);
        stage.call("conformer.behave", json!("lies")).await;
        stage.call(capability, json!([])).await;
        let steps = json!([{ "call": { "capability": capability, "input": [] } }]);
        stage.steps("companion.run", steps).await;
        // Of what is not checked the caller finds out by itself.
        stage.call("conformer.judged", json!(null)).await;
    });
}
