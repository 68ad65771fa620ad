//! Pipelines: capabilities one after the other, in one call.

use octa_kernel::CallOptions;
use serde_json::json;

use super::stage::Topic;

#[test]
fn step_by_step() {
    let topic = Topic {
        more: "[pipelines]\n\"conformer.add_three\" = \
               [\"conformer.add_one\", \"companion.add_one\", \"conformer.add_one\"]\n\
               \"conformer.around\" = [\"conformer.echo\", \"conformer.add_three\"]\n",
        ..Topic::of("pipelines")
    };
    topic.check_between(async |stage| {
        for (name, input) in [
            ("conformer.add_three", json!(1)),
            ("conformer.around", json!(1)),
            ("conformer.add_three", json!(u32::MAX - 1)),
            ("conformer.around", json!(u32::MAX)),
            ("conformer.add_three", json!("text")),
        ] {
            stage.call(name, input.clone()).await;
            let steps = json!([{ "call": { "capability": name, "input": input } }]);
            for caller in ["companion.run", "conformer.run_in_thread"] {
                stage.steps(caller, steps.clone()).await;
            }
        }
    });
}

#[test]
fn repeated() {
    let topic = Topic {
        more: "[pipelines]\n\"conformer.order\" = [\"conformer.done_once\", \"companion.judged\"]\n",
        ..Topic::of("pipelines-repeated")
    };
    topic.check_between(async |stage| {
        let mut tried = stage.listen("conformer.tried").await;
        let mut asked = stage.listen("companion.asked").await;
        let how = CallOptions {
            idempotency_key: "order 1".to_owned(),
            ..CallOptions::default()
        };
        stage.call("companion.behave", json!("panics")).await;
        let capability = "conformer.order";
        stage.call_as(capability, json!("two lamps"), &how).await;
        stage.hear(&mut tried).await;
        stage.hear(&mut asked).await;
        stage.call("companion.behave", json!("well")).await;
        // The first step is not done again, and in the end none is.
        for _ in 0..2 {
            stage.call_as(capability, json!("two lamps"), &how).await;
        }
        stage.hear(&mut asked).await;
        stage.hear_nothing(&mut tried);
        stage.hear_nothing(&mut asked);
        // Without a key all is done as often as it is asked for.
        stage.call(capability, json!("a lamp")).await;
        stage.hear(&mut tried).await;
        stage.hear(&mut asked).await;
    });
}
