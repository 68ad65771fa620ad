//! The journal: facts, parts, consumers, and the events that tell of facts.

use serde_json::{Value, json};

use super::stage::Topic;

const KEEPER: &str = "keeps-journal";

/// What is recorded, read and refused.
fn steps() -> Value {
    let expected = json!(["b", "a"]);
    json!([
        { "record": ["k1", { "watts": 1 }] },
        { "record": ["k1", { "watts": 1 }] },
        { "record": ["k1", { "watts": 2 }] },
        { "record": ["k2", "ü"] },
        { "find": "k1" },
        { "find": "k3" },
        { "facts": [0, 10] },
        { "facts": [1, 1] },
        { "facts": [2, 1] },
        { "facts": [0, 0] },
        { "wait": 1 },
        { "stream": "other", "facts": [0, 10] },
        { "gather": ["whole", "a", 1, expected] },
        { "gather": ["whole", "a", 2, expected] },
        { "gather": ["whole", "c", 2, expected] },
        { "gather": ["whole", "a", 2, ["a"]] },
        { "unfinished": [null, 10] },
        { "unfinished": ["whole", 10] },
        { "gather": ["whole", "b", 3, expected] },
        { "gather": ["whole", "b", 3, expected] },
        { "unfinished": [null, 10] },
        { "find": "whole" },
        { "gather": ["never", "a", 1, expected] },
        { "drop": "never" },
        { "drop": "never" },
        { "next": ["billing", 2] },
        { "acknowledge": ["billing", 1] },
        { "first": "billing" },
        { "acknowledge": ["billing", 2] },
        { "acknowledge": ["billing", 1] },
        { "trim": 9 },
        { "facts": [0, 10] },
        { "forget": "billing" },
        { "forget": "billing" },
        { "record": ["", 1] },
        { "stream": "a/b", "record": ["k", 1] },
        { "topic": "keeps-journal..x", "record": ["k", 1] },
        { "topic": "elsewhere.x", "record": ["k", 1] },
        { "topic": "foreign.x", "record": ["k", 1] },
        { "namespace": "elsewhere", "record": ["k", 1] },
        { "namespace": "elsewhere", "facts": [0, 1] },
        { "find": "k" },
    ])
}

#[test]
fn facts() {
    let topic = Topic {
        others: &[(KEEPER, KEEPER)],
        more: "[plugins.keeps-journal.allow]\n\
               publish = [\"elsewhere.**\"]\nstorage = [\"elsewhere\"]\n",
        ..Topic::of("journal")
    };
    topic.check(async |stage| {
        stage.steps("keeps-journal.run", steps()).await;
    });
}

#[test]
fn events() {
    let topic = Topic {
        others: &[(KEEPER, KEEPER)],
        more: "[plugins.keeps-journal.allow]\n\
               publish = [\"elsewhere.**\"]\nstorage = [\"elsewhere\"]\n",
        ..Topic::of("journal-events")
    };
    topic.check(async |stage| {
        let mut heard = stage.listen("keeps-journal.heard").await;
        let told = "keeps-journal.recorded";
        let steps = json!([
            { "topic": told, "record": ["k1", 1] },
            { "topic": told, "record": ["k1", 1] },
            { "topic": told, "gather": ["whole", "a", 1, ["a", "b"]] },
            { "topic": told, "gather": ["whole", "b", 2, ["a", "b"]] },
            { "topic": told, "record": ["k2", 2] },
        ]);
        stage.steps("keeps-journal.run", steps).await;
        for _ in 0..3 {
            stage.hear(&mut heard).await;
        }
        stage.hear_nothing(&mut heard);
    });
}
