//! The journal as a generation on trial meets it, and what its events may be published on.

use super::*;

fn journal<'a>(operation: u32, payload: &str) -> Request<'a> {
    Request {
        key: "k",
        payload: Payload::copy_from_slice(payload.as_bytes()),
        ..request(operation, "lamp")
    }
}

const WRITES: [(u32, &str); 7] = [
    (operation::JOURNAL_RECORD, r#"{"stream":"s","fact":1}"#),
    (
        operation::JOURNAL_GATHER,
        r#"{"stream":"s","part":"a","value":1,"expected":["a"]}"#,
    ),
    (operation::JOURNAL_NEXT, r#"{"stream":"s","limit":1}"#),
    (operation::JOURNAL_ACKNOWLEDGE, r#"{"stream":"s"}"#),
    (operation::JOURNAL_FORGET, r#"{"stream":"s"}"#),
    (operation::JOURNAL_DROP_PARTS, r#"{"stream":"s"}"#),
    (operation::JOURNAL_TRIM, r#"{"stream":"s"}"#),
];

#[test]
fn it_may_read_and_not_write() {
    let bench = Bench::new();
    let lamp = bench.on_trial();
    for (operation, payload) in WRITES {
        let refused = ask(&lamp, &journal(operation, payload)).expect_err("it is too early");
        let expect = "unavailable: plugin `lamp` has not taken over yet and may not write stream \
                      `s` of `lamp` (hint: ";
        assert!(refused.starts_with(expect), "{refused}");
    }
    let facts = journal(operation::JOURNAL_FACTS, r#"{"stream":"s","limit":1}"#);
    let facts = ask(&lamp, &facts).expect("it reads");
    assert_eq!(facts.result.expect("facts").to_vec(), b"[]");
    lamp.release(None);
    let written = ask(&lamp, &journal(WRITES[0].0, WRITES[0].1));
    assert!(written.expect("it has taken over").number > 0);
}

#[test]
fn an_event_needs_a_topic_and_the_permission_to_publish_there() {
    let bench = Bench::new();
    let lamp = bench.serving();
    for (topic, expected) in [
        (
            "a b",
            "invalid-input: topic `a b` has ` ` at position 2, expected a letter, a digit, `_` \
             or `-` (hint: a name is segments of letters, digits, `_` and `-` with dots between, \
             such as `device.state_changed`)",
        ),
        (
            "door.open",
            "denied: plugin `lamp` may not publish `door.open`: its manifest does not ask for it \
             (hint: ask for it in the plugin: `#[tentacle(publishes(\"lamp.**\", \"door.open\"))]`)",
        ),
    ] {
        let fact = format!(r#"{{"stream":"s","fact":1,"topic":"{topic}"}}"#);
        let refused = ask(&lamp, &journal(operation::JOURNAL_RECORD, &fact));
        assert_eq!(refused.expect_err("it is refused"), expected);
    }
}

#[test]
fn nothing_can_be_a_fact_and_a_part() {
    let bench = Bench::new();
    let lamp = bench.serving();
    for (operation, payload) in [
        (operation::JOURNAL_RECORD, r#"{"stream":"a","fact":null}"#),
        (
            operation::JOURNAL_GATHER,
            r#"{"stream":"b","part":"x","value":null,"expected":["x"]}"#,
        ),
    ] {
        let written = ask(&lamp, &journal(operation, payload));
        assert!(written.expect("it is written").number > 0);
    }
    for (operation, payload, field) in [
        (operation::JOURNAL_RECORD, r#"{"stream":"a"}"#, "fact"),
        (operation::JOURNAL_GATHER, r#"{"stream":"b"}"#, "value"),
    ] {
        let refused = ask(&lamp, &journal(operation, payload)).expect_err("it is refused");
        let expect = format!("invalid-input: the operation has no `{field}`");
        assert_eq!(refused, expect);
    }
}
