//! Topics on which nobody can publish, whatever a plugin may do.

use super::*;

const HINT: &str = "(hint: a name is segments of letters, digits, `_` and `-` with dots between, \
                    such as `device.state_changed`)";

fn refusals(topic: &str) -> [String; 4] {
    let bench = Bench::new();
    let lamp = bench.serving();
    let asked = |flags| {
        let request = Request {
            flags,
            payload: Payload::json(&1).expect("JSON"),
            ..request(operation::PUBLISH, topic)
        };
        ask(&lamp, &request).expect_err("it is refused")
    };
    [
        asked(0),
        asked(publish_flag::RETAIN),
        asked(publish_flag::CLEAR),
        publish(&bench.on_trial(), topic, 1).expect_err("it is refused"),
    ]
}

#[test]
fn what_is_no_topic_is_told_before_permissions_are() {
    for (topic, fault) in [
        (
            "a b",
            "has ` ` at position 2, expected a letter, a digit, `_` or `-`",
        ),
        (
            "lamp.on!",
            "has `!` at position 8, expected a letter, a digit, `_` or `-`",
        ),
        // A pattern outside of what it may do, and one inside.
        (
            "door.*",
            "has `*` at position 6, expected a letter, a digit, `_` or `-`",
        ),
        (
            "lamp.*",
            "has `*` at position 6, expected a letter, a digit, `_` or `-`",
        ),
        ("kernel..x", "has an empty segment at position 8"),
        ("", "is empty"),
    ] {
        let expected = format!("invalid-input: topic `{topic}` {fault} {HINT}");
        assert_eq!(refusals(topic), [(); 4].map(|()| expected.clone()));
    }
}

#[test]
fn a_topic_of_others_is_denied() {
    for refused in refusals("door.open") {
        let expected = "denied: plugin `lamp` may not publish `door.open`: its manifest does not \
                        ask for it (hint: ask for it in the plugin: \
                        `#[tentacle(publishes(\"lamp.**\", \"door.open\"))]`)";
        assert_eq!(refused, expected);
    }
}
