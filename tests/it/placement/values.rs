//! State, storage, and configuration.

use std::time::Duration;

use octa_kernel::lifecycle::State;
use serde_json::{Value, json};

use super::stage::{CONFORMER, Topic, long};
use crate::home::until;

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
        json!({ "batch": [["e", null, 77]] }),
        json!({ "append": [["log/", 1], ["log/", 2]] }),
        json!({ "compare-and-delete": ["a", 77] }),
        json!({ "compare-and-delete": ["nothing", 0] }),
        json!({ "watch": ["a", [{ "set": ["a", 0] }, { "set": ["ab", "x"] }, { "set": ["b", 1] },
            { "delete": "b" }, { "delete": "a" }], 3] }),
        json!({ "watch-after": ["", 1_000_000, 1] }),
        json!({ "list": {} }),
        json!({ "list-all": "" }),
        json!({ "list-all": "dir/" }),
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

/// Room for one long text, and not for two.
const QUOTAS: &str = "[storage.quotas]\nconformer = \"8KiB\"\n[state]\nquota = \"8KiB\"\n";

#[test]
fn limits() {
    let topic = Topic {
        more: QUOTAS,
        ..Topic::of("values-limits")
    };
    topic.check(async |stage| {
        let too_long = "k".repeat(513);
        let todo = [
            json!({ "set": ["k", long()] }),
            json!({ "set": ["l", long()] }),
            json!({ "set": ["k", long()] }),
            json!({ "set": [too_long, 1] }),
            json!({ "set": ["bell\u{7}", 1] }),
            json!({ "watch": ["bell\u{7}", [], 0] }),
        ];
        for facility in ["state", "storage"] {
            let step = |todo: &Value| json!({ facility: { "do": todo } });
            let mut steps: Vec<_> = todo.iter().map(step).collect();
            steps.push(json!({ facility: { "in": "no/name", "do": { "get": "k" } } }));
            stage.steps("conformer.run", json!(steps)).await;
        }
    });
}

#[test]
fn a_value_has_its_time() {
    Topic::of("state-times").check(async |stage| {
        let step = |todo: Value| json!([{ "state": { "do": todo } }]);
        let hear = json!({ "watch": ["", [{ "set": ["ready", 0] }], 7] });
        let hearing = stage.begin("conformer.run", step(hear));
        let kernel = stage.running.kernel.clone();
        let is_ready = || matches!(kernel.state().get(CONFORMER, "ready"), Ok(Some(_)));
        until(is_ready).await;
        let set = [
            json!({ "set-for": ["short", 1, 1_000] }),
            json!({ "set-for": ["long", 2, 5_000] }),
            json!({ "set-for": ["stays", 3, 1_000] }),
            json!({ "set": ["stays", 4] }),
        ];
        for todo in set {
            stage.steps("conformer.run", step(todo)).await;
        }
        let list = step(json!({ "list-all": "" }));
        stage.steps("conformer.run", list.clone()).await;
        stage.pass(Duration::from_secs(1));
        stage.steps("conformer.run", list.clone()).await;
        // Nobody asks for what is over then.
        stage.time_runs_for(Duration::from_secs(4)).await;
        stage.pass(Duration::from_secs(4));
        stage.ended("conformer.run", hearing).await;
        stage.steps("conformer.run", list).await;
    });
}

#[test]
fn a_watch_goes_on_after_a_reload() {
    Topic::of("watches-reloaded").check(async |stage| {
        for facility in ["state", "storage"] {
            let step = |todo: Value| json!([{ facility: { "in": CONFORMER, "do": todo } }]);
            let first = json!({ "watch": ["", [{ "set": ["a", 1] }], 1] });
            stage.steps("conformer.run", step(first)).await;
            let other = json!({ "set": ["b", 2] });
            stage.steps("companion.run", step(other.clone())).await;
            let kernel = stage.running.kernel.clone();
            let again = kernel.reload_plugin(CONFORMER).await;
            again.expect("it takes over from itself");
            stage.steps("companion.run", step(other)).await;
            let rest = json!({ "watch-after": ["", 1, 2] });
            stage.steps("conformer.run", step(rest)).await;
        }
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
