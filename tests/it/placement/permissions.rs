//! What plugins are refused, of every kind, and what they may not do while they wait to take over.

use serde_json::{Value, json};

use super::stage::Topic;

fn wishes() -> Value {
    let place = |what: Value| json!({ "in": "foreign", "do": what });
    json!([
        { "publish": ["foreign.topic", 1] },
        { "publish": ["kernel.plugin.started", 1] },
        { "call": { "capability": "neighbour.echo" } },
        { "call": { "capability": "foreign.thing" } },
        { "listen": ["foreign.**", []] },
        { "listen": ["**", []] },
        { "listen": ["conformer.out", []] },
        { "state": place(json!({ "get": "a" })) },
        { "state": place(json!({ "set": ["a", 1] })) },
        { "state": place(json!({ "list": {} })) },
        { "storage": place(json!({ "get": "a" })) },
        { "storage": place(json!({ "delete": "a" })) },
        { "storage": place(json!({ "list": {} })) },
        { "storage": place(json!({ "batch": [["a", 1, null]] })) },
    ])
}

#[test]
fn refused() {
    Topic::of("permissions").check(async |stage| {
        for capability in [
            "conformer.run",
            "conformer.run_blocking",
            "conformer.run_in_thread",
        ] {
            stage.steps(capability, wishes()).await;
        }
        stage.steps_in_task(wishes()).await;
    });
}

#[test]
fn not_granted() {
    let topic = Topic {
        others: &[("reaches-out", "reaches-out")],
        ..Topic::of("permissions-not-granted")
    };
    topic.check(async |stage| {
        let status = stage.running.plugin("reaches-out");
        for problem in status.problems {
            let told = stage.running.told(&problem);
            stage.note(&told);
        }
    });
}
