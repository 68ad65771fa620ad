//! What `octa.toml` says to a plugin, checked against the schema in its manifest, and what it says
//! to nobody.

use std::fs;

use octa_kernel::lifecycle::State;
use serde_json::json;

use crate::{
    home::{Home, run},
    program::{Serving, octa},
};

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

#[test]
fn a_strict_sandbox_where_there_is_none() {
    check(
        "[plugins.configured]\nconfig = { port = 1 }\nsandbox = { strict = true }\n",
        "unsupported: plugin `configured` runs in the kernel's own process, where its `sandbox` \
                is not enforced, and `strict` is set there (hint: give it a process of its own: \
                `placement = \"process\"` in `[plugins.configured]`)",
    );
}

/// What a log warns of, without the time and the source.
fn warnings(log: &str) -> Vec<&str> {
    let warnings = log.lines().filter(|line| line.contains(" WARN "));
    warnings
        .filter_map(|line| Some(line.split_once(": ")?.1))
        .collect()
}

#[test]
fn what_is_said_to_nobody_is_told_at_the_start_and_after_each_change() {
    run(async {
        let stray = "HOME/octa.toml:1:10: `plugins.neighbuor` is of no plugin there is \
                     (hint: did you mean `neighbour`?)";
        let ecko = "[plugins.neighbuor.limits]\nmemory = \"1GiB\"\n\
                    [capabilities.\"neighbour.ecko\"]\nconcurrency = 1\n";
        let serving = Serving::begin(Home::with(&[]).config(ecko)).await;
        let called = octa(&serving.home, &["call", "neighbour.ecko", "1"]);
        let unknown = "error: no plugin offers the capability `neighbour.ecko`\n\
                       hint: did you mean `neighbour.echo`?\n";
        assert_eq!((called.code, called.stderr.as_str()), (3, unknown));

        let save = |toml: &str| fs::write(serving.home.root().join("octa.toml"), toml);
        let echo = ecko.replace("ecko", "echo").replace("concurrency", "queue");
        save(&echo).expect("a file");
        serving.told("has no effect without `concurrency`").await;
        save("[plugins.neighbour]\nlimits = { memory = \"1GiB\" }\n").expect("a file");
        serving.told("`plugins.neighbour.limits`").await;
        let [_, log] = serving.interrupt();
        let expect = [
            stray,
            "HOME/octa.toml:3:1: `capabilities.\"neighbour.ecko\"` is of a capability that no plugin offers \
             (hint: did you mean `neighbour.echo`?)",
            stray,
            "HOME/octa.toml:4:9: `capabilities.\"neighbour.echo\".queue` has no effect without `concurrency`, \
             as no call waits (hint: say how many calls there may be at once: `concurrency` in \
             `[capabilities.\"neighbour.echo\"]`)",
            "HOME/octa.toml:2:10: `plugins.neighbour.limits` has no effect: the plugin runs in the \
             kernel's own process (hint: give it a process of its own: `placement = \"process\"` in \
             `[plugins.neighbour]`)",
        ];
        assert_eq!(warnings(&log), expect, "{log}");
    });
}
