//! State, storage, and configuration.

use octa_kernel::lifecycle::State;
use serde_json::{Value, json};

use super::stage::{CONFORMER, Topic, long};

/// What is done with values of a facility, in this namespace.
fn steps(facility: &str, namespace: Option<&str>) -> Vec<Value> {
    let todo = [
        json!({ "get": "a" }),
        json!({ "set": ["a", 1] }),
        json!({ "get": "a" }),
        json!({ "compare-and-set": ["a", 2, 77] }),
        json!({ "compare-and-set": ["a", 2, 0] }),
        json!({ "compare-and-set": ["new", "fresh", 0] }),
        json!({ "add": ["a", 10] }),
        json!({ "add": ["counter", 1] }),
        json!({ "get-number": "a" }),
        json!({ "get-number": "new" }),
        json!({ "set": ["dir/b", { "deep": [null, "ü"] }] }),
        json!({ "set": ["dir/c", long()] }),
        json!({ "delete": "dir/c" }),
        json!({ "delete": "dir/c" }),
        json!({ "list": {} }),
        json!({ "list": { "limit": 0 } }),
        json!({ "list": { "prefix": "dir/" } }),
        json!({ "list": { "limit": 2 } }),
        json!({ "list": { "limit": 2, "after": "counter" } }),
        json!({ "set": ["", 1] }),
        json!({ "batch": [["d", 4, null], ["e", 5, 0], ["a", null, null]] }),
        json!({ "batch": [["f", 6, null], ["d", 7, 0]] }),
        json!({ "get": "f" }),
        json!({ "list": {} }),
    ];
    let step = |todo: &Value| json!({ facility: { "in": namespace, "do": todo } });
    todo.iter().map(step).collect()
}

#[test]
fn state() {
    Topic::of("state").check(async |stage| {
        stage
            .steps("conformer.run", json!(steps("state", None)))
            .await;
        let others = json!(steps("state", Some(CONFORMER)));
        stage.steps("companion.run", others).await;
        for capability in ["conformer.run_blocking", "conformer.run_in_thread"] {
            stage.steps(capability, json!(steps("state", None))).await;
        }
        stage.steps_in_task(json!(steps("state", None))).await;
    });
}

#[test]
fn storage() {
    Topic::of("storage").check(async |stage| {
        stage
            .steps("conformer.run", json!(steps("storage", None)))
            .await;
        stage
            .steps("companion.run", json!(steps("storage", Some(CONFORMER))))
            .await;
        stage
            .steps(
                "conformer.run_blocking",
                json!(steps("storage", Some("companion"))),
            )
            .await;
        stage.steps_in_task(json!(steps("storage", None))).await;
        // It outlives the plugin.
        let kernel = stage.running.kernel.clone();
        kernel.unload_plugin("conformer").await.expect("it ends");
        kernel.start_plugin("conformer").await.expect("it starts");
        stage
            .steps(
                "conformer.run",
                json!([{ "storage": { "do": { "list": {} } } }]),
            )
            .await;
    });
}

/// What the settings say.
const SETTINGS: &str = r#"
number = 7
text = "ü\n"
list = [1, -2]
inner = { ratio = 0.5, is_on = true }
"#;

#[test]
fn configuration() {
    let topic = Topic {
        config: SETTINGS,
        ..Topic::of("configuration")
    };
    topic.check(async |stage| {
        stage.call("conformer.settings", json!(null)).await;
        stage.call("companion.settings", json!(null)).await;
    });
    let topic = Topic {
        config: "number = \"seven\"",
        ..Topic::of("configuration-wrong")
    };
    topic.check(async |stage| {
        stage.standing();
        assert_eq!(stage.status().state, State::Blocked);
    });
}
