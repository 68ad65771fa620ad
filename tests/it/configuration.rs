//! What `octa.toml` says to a plugin: checked against the schema in its manifest.

use octa_kernel::lifecycle::State;
use serde_json::json;

use crate::home::{Home, run};

/// Checks why a plugin with this configuration waits.
#[track_caller]
fn check(toml: &str, expect: &str) {
    run(async {
        let running = Home::with(&["configured"]).config(toml).start().await;
        running.check("configured", State::Blocked, &[expect]);
        running.end().await;
    });
}

#[test]
fn all_is_well() {
    run(async {
        let toml = "[plugins.configured.config]\nport = 8080\n";
        let running = Home::with(&["configured"]).config(toml).start().await;
        let shown = running.call("configured.show", json!(null)).await;
        assert_eq!(shown, Ok(json!({ "port": 8080, "greeting": null })));
        running.end().await;
    });
}

#[test]
fn an_unknown_key() {
    check(
        "[plugins.configured.config]\nport = 1\ngreting = \"hello\"\n",
        "invalid-input: octa.toml:3:11: `plugins.configured.config.greting` is an \
                unknown key, expected `greeting` or `port` (hint: did you mean `greeting`?)",
    );
}

#[test]
fn a_wrong_type() {
    check(
        "[plugins.configured.config]\nport = \"high\"\n",
        "invalid-input: octa.toml:2:8: `plugins.configured.config.port` is `\"high\"`, \
                expected an integer",
    );
}

#[test]
fn a_number_out_of_range() {
    check(
        "[plugins.configured.config]\nport = 70000\n",
        "invalid-input: octa.toml:2:8: `plugins.configured.config.port` is `70000`, \
                expected at most `65535`",
    );
}

#[test]
fn a_missing_value() {
    check(
        "[plugins.configured.config]\ngreeting = \"hello\"\n",
        "invalid-input: octa.toml:1:1: `plugins.configured.config.port` is missing, \
                expected an integer",
    );
}

#[test]
fn a_missing_section() {
    check(
        "",
        "invalid-input: `plugins.configured.config.port` is missing, expected an integer",
    );
}

#[test]
fn a_secret_that_is_not_there() {
    check(
        "[plugins.configured.config]\nport = 1\ngreeting = { env = \"NOT_THERE\" }\n",
        "invalid-input: octa.toml:3:12: plugin `configured` wants \
                `plugins.configured.config.greeting` from the environment variable \
                `NOT_THERE`, which is not set (hint: set `NOT_THERE` in the environment that \
                the kernel is started in)",
    );
}
