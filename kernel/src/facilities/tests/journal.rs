//! The journal as a generation on trial meets it.

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
