//! Errors and panics: what is told of them, to the caller and in the log.

use serde_json::json;

use super::stage::Topic;

#[test]
fn errors() {
    Topic::of("errors").check_between(async |stage| {
        let all = json!({
            "message": "the lamp is broken",
            "hint": "buy another",
            "location": "somewhere:1:2",
            "details": { "lamp": 7, "since": [2026, 1, 1] },
        });
        let others = json!({ "kind": "conflict", "message": "", "plugin": "another" });
        let mut begun = stage.listen("conformer.begun").await;
        for how in [all, others] {
            stage.call("conformer.fail", how.clone()).await;
            let call = stage.begin("conformer.fail_later", how.clone());
            stage.hear(&mut begun).await;
            stage.call("conformer.release", json!(null)).await;
            stage.ended("conformer.fail_later", call).await;
            let steps = json!([{ "call": { "capability": "conformer.fail", "input": how } }]);
            stage.steps("companion.run", steps).await;
        }
        let kinds = [
            "failed",
            "panicked",
            "invalid-input",
            "not-found",
            "denied",
            "deadline",
            "cancelled",
            "interrupted",
            "unavailable",
            "conflict",
            "too-large",
            "unsupported",
            "plugin-gone",
            "unknown-capability",
            "cycle",
            "overloaded",
            "invalid-output",
            "internal",
            "strange",
        ];
        for kind in kinds {
            stage.call("conformer.fail", json!({ "kind": kind })).await;
        }
        stage.call("conformer.fail_io", json!(null)).await;
    });
}

#[test]
fn panics() {
    Topic::of("panics").check_between(async |stage| {
        let text = format!("a panic {}", stage.mark());
        let mut begun = stage.listen("conformer.begun").await;
        stage.call("conformer.panic", json!(text)).await;
        stage.call("conformer.panic_any", json!(null)).await;
        let call = stage.begin("conformer.panic_later", json!(text));
        stage.hear(&mut begun).await;
        stage.call("conformer.release", json!(null)).await;
        stage.ended("conformer.panic_later", call).await;
        let steps = json!([
            { "call": { "capability": "conformer.panic", "input": text } },
            { "call": { "capability": "conformer.panic_any" } },
        ]);
        stage.steps("companion.run", steps).await;
        stage.call("conformer.panic_in_thread", json!(text)).await;
        stage.logged(1).await;
        stage.standing();
    });
}

#[test]
fn panics_in_drop() {
    Topic::of("panics-in-drop").check(async |stage| {
        let text = format!("a bomb {}", stage.mark());
        let mut begun = stage.listen("conformer.begun").await;
        let call = stage.begin("conformer.panic_in_drop", json!(text));
        stage.hear(&mut begun).await;
        call.abort();
        stage.logged(1).await;
        stage.unfinished(0).await;
        stage.call("conformer.echo", json!("still here")).await;
        stage.standing();
    });
}

#[test]
fn panics_in_a_task() {
    Topic::of("panics-in-task").check(async |stage| {
        let text = format!("a task goes wrong {}", stage.mark());
        stage.call("conformer.spawn", json!(text)).await;
        stage.logged(1).await;
        stage.unfinished(0).await;
        stage.standing();
    });
}
