//! What a plugin may reach: what it asked for and what was granted, and nothing else.

use octa_kernel::lifecycle::State;
use serde_json::json;

use crate::{
    forge,
    home::{Home, run},
};

/// How a wish is refused, and the line of configuration that would grant it.
fn refused(wish: &str, line: &str) -> String {
    format!(
        "denied: plugin `reaches-out` may not {wish}: it lies outside the plugin's own namespace \
         and is not granted (hint: to grant it, write into the configuration under \
         `[plugins.reaches-out.allow]`: `{line}`)"
    )
}

/// How a wish is refused that the manifest does not ask for, and the setting that would.
fn unasked(wish: &str, setting: &str) -> String {
    format!(
        "denied: plugin `sneaks` may not {wish}: its manifest does not ask for it \
         (hint: ask for it in the plugin: `#[tentacle({setting})]`)"
    )
}

#[test]
fn what_reaches_out_must_be_granted() {
    run(async {
        let running = Home::with(&["reaches-out"]).start().await;
        let expect = [
            refused("call `neighbour.*`", "call = [\"neighbour.*\"]"),
            refused("publish `foreign.topic`", "publish = [\"foreign.topic\"]"),
            refused("subscribe to `foreign.**`", "subscribe = [\"foreign.**\"]"),
            refused(
                "use the storage namespace `foreign`",
                "storage = [\"foreign\"]",
            ),
            refused("use the state namespace `foreign`", "state = [\"foreign\"]"),
            refused("provide `foreign.thing`", "provide = [\"foreign.thing\"]"),
        ];
        running.check(
            "reaches-out",
            State::Blocked,
            &expect.each_ref().map(String::as_str),
        );
        running.end().await;
    });
}

#[test]
fn what_is_missing_is_told_once_for_each_kind() {
    run(async {
        let home = Home::with(&[]);
        let changes = [
            (
                "Asks for what lies beyond its own namespace, of every kind.",
                "",
            ),
            (
                "\"publish\":[\"foreign.topic\"]",
                "\"publish\":[\"foreign.topic\",\"alarm.*\",\"news\"]",
            ),
            (
                "\"subscribe\":[]",
                "\"subscribe\":[\"foreign.**\",\"door\"]",
            ),
            (
                "\"storage\":[\"foreign\"]",
                "\"storage\":[\"foreign\",\"shared\"]",
            ),
        ];
        home.put("reaches-out", &forge::manifest("reaches-out", &changes));
        let toml = r#"
            [plugins.reaches-out.allow]
            publish = ["alarm.*"]
            call = ["neighbour.*"]
            state = ["foreign"]
            provide = ["foreign.thing"]
        "#;
        let running = home.config(toml).start().await;
        let refused = |wish: &str, line: &str| {
            format!(
                "denied: plugin `reaches-out` may not {wish}: they lie outside the plugin's own \
                 namespace and are not granted (hint: to grant them, write into the \
                 configuration under `[plugins.reaches-out.allow]`: `{line}`)"
            )
        };
        let expect = [
            refused(
                "publish `foreign.topic`, `news`",
                "publish = [\"alarm.*\", \"foreign.topic\", \"news\"]",
            ),
            refused(
                "subscribe to `foreign.**`, `door`",
                "subscribe = [\"foreign.**\", \"door\"]",
            ),
            refused(
                "use the storage namespaces `foreign`, `shared`",
                "storage = [\"foreign\", \"shared\"]",
            ),
        ];
        running.check(
            "reaches-out",
            State::Blocked,
            &expect.each_ref().map(String::as_str),
        );
        let why = running.kernel.why("reaches-out").expect("it is known");
        let why = why.to_string();
        assert_eq!(why.matches("hint: ").count(), expect.len(), "{why}");
        running.end().await;
    });
}

#[test]
fn granted_it_runs() {
    run(async {
        let toml = r#"
            [plugins.reaches-out.allow]
            publish = ["foreign.**"]
            call = ["neighbour.*"]
            subscribe = ["foreign.**"]
            storage = ["foreign"]
            state = ["foreign"]
            provide = ["foreign.thing"]
        "#;
        let running = Home::with(&["reaches-out"]).config(toml).start().await;
        running.check("reaches-out", State::Started, &[]);
        assert_eq!(
            running.call("foreign.thing", json!(null)).await,
            Ok(json!(null))
        );
        running.end().await;
    });
}

#[test]
fn what_was_not_asked_for_is_refused_even_if_granted() {
    run(async {
        let toml = r#"
            [plugins.sneaks.allow]
            publish = ["foreign.**"]
            call = ["neighbour.*"]
            subscribe = ["foreign.**"]
            storage = ["foreign"]
            state = ["foreign"]
        "#;
        let running = Home::with(&["sneaks"]).config(toml).start().await;
        let tried = running.call("sneaks.try", json!(null)).await;
        let kernels = "denied: plugin `sneaks` may not publish `kernel.plugin.started`: \
                       `kernel` is the kernel's own namespace \
                       (hint: choose a name under `sneaks`)";
        let expect = [
            unasked("publish `foreign.topic`", "publishes = \"foreign.topic\""),
            kernels.to_owned(),
            unasked("call `neighbour.echo`", "calls = \"neighbour.echo\""),
            unasked("subscribe to `foreign.**`", "subscribes = \"foreign.**\""),
            unasked(
                "use the storage namespace `foreign`",
                "storage = \"foreign\"",
            ),
            unasked("use the state namespace `foreign`", "state = \"foreign\""),
        ];
        assert_eq!(tried, Ok(json!(expect)));
        running.end().await;
    });
}
