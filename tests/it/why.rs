//! What `why` says of real plugins in real kernels. Which reasons there are is a table of the
//! kernel; those that no scenario here can bring about are thought up in the kernel's own tests.

use octa_kernel::{Cause, Why, lifecycle::State};
use serde_json::json;

use crate::{
    fixtures, forge,
    home::{Home, Running, read, run},
};

/// Checks the tree of a plugin, and that it holds this reason for this state: `blocked/missing`.
#[track_caller]
fn check(running: &Running, name: &str, reason: &str, expect: &str) {
    let why = running.kernel.why(name).expect("it is known");
    let tree = steady(&running.home.anonymous(&why.to_string()));
    assert_eq!(tree, expect);
    assert!(holds(&why, None, reason), "no {reason} in:\n{tree}");
}

fn holds(why: &Why, below: Option<State>, reason: &str) -> bool {
    let below = why.state.or(below);
    let is_it = below.is_some_and(|state| format!("{state}/{}", why.cause) == reason);
    is_it || why.causes.iter().any(|cause| holds(cause, below, reason))
}

/// The text without the hash of what was built.
fn steady(text: &str) -> String {
    let mut parts = text.split("with content ");
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        steady.push_str("with content HASH");
        steady.push_str(rest);
    }
    steady
}

#[test]
fn disabled() {
    run(async {
        let toml = "[plugins.provider]\nenabled = false\n";
        let running = Home::with(&["provider"]).config(toml).start().await;
        check(
            &running,
            "provider",
            "discovered/disabled",
            "\
`provider` 0.1.0 is discovered
  it is disabled in the configuration
    hint: set `enabled = true` under `[plugins.provider]`",
        );
        running.end().await;
    });
}

#[test]
fn nobody_has_asked() {
    run(async {
        let running = Home::with(&["provider"]).build();
        let loaded = running.kernel.load_plugin("neighbour").await;
        loaded.expect("it loads");
        check(
            &running,
            "provider",
            "discovered/not-asked",
            "\
`provider` 0.1.0 is discovered
  nobody has asked for it so far
    hint: `octa start provider` starts it",
        );
        check(
            &running,
            "neighbour",
            "loaded/request",
            "\
`neighbour` 0.1.0 is loaded
  a request asked for it to be loaded, and no more
    hint: `octa start neighbour` starts it",
        );
        running.kernel.stop().await;
    });
}

#[test]
fn stopped_and_unloaded_on_request() {
    run(async {
        let running = Home::with(&["provider", "needs-neighbour"]).start().await;
        running
            .kernel
            .stop_plugin("neighbour")
            .await
            .expect("it stops");
        running
            .kernel
            .unload_plugin("provider")
            .await
            .expect("it stops");
        check(
            &running,
            "provider",
            "unloaded/request",
            "\
`provider` 0.1.0 is unloaded
  a request asked for it to be unloaded
    hint: `octa start provider` starts it",
        );
        check(
            &running,
            "needs-neighbour",
            "stopped/request",
            "\
`needs-neighbour` 0.1.0 is blocked
  it needs the plugin `neighbour`, which does not run
    `neighbour` 0.1.0 is stopped
      a request asked for it to be stopped
        hint: `octa start neighbour` starts it",
        );
        running
            .kernel
            .stop_plugin("needs-neighbour")
            .await
            .expect("it rests");
        check(
            &running,
            "needs-neighbour",
            "blocked/request",
            "\
`needs-neighbour` 0.1.0 is blocked
  a request asked for it to be stopped
    hint: `octa start needs-neighbour` starts it
  it needs the plugin `neighbour`, which does not run
    `neighbour` 0.1.0 is stopped
      a request asked for it to be stopped
        hint: `octa start neighbour` starts it",
        );
        running.kernel.stop().await;
        check(
            &running,
            "neighbour",
            "unloaded/kernel-stopped",
            "\
`neighbour` 0.1.0 is unloaded
  the kernel has stopped all plugins
    hint: start the kernel again",
        );
    });
}

#[test]
fn serving_without_what_it_would_like() {
    run(async {
        let home = Home::with(&[]);
        let changes = [
            (
                "\"plugin\":\"neighbour\"",
                "\"plugin\":\"neighbor\",\"optional\":true",
            ),
            (" and stops before it.", "."),
        ];
        home.put("likes", &forge::manifest("needs-neighbour", &changes));
        let running = home.start().await;
        check(
            &running,
            "needs-neighbour",
            "started/without",
            "\
`needs-neighbour` 0.1.0 is started
  generation 1, version 0.1.0 with content HASH, serves in the kernel's process
  it does without the plugin `neighbor`, and there is none
    hint: did you mean `neighbour`?",
        );
        check(
            &running,
            "neighbour.echo",
            "started/serving",
            "\
the capability `neighbour.echo` is offered by one plugin
  `neighbour` 0.1.0 is started
    generation 1, version 0.1.0 with content HASH, serves in the kernel's process",
        );
        running.end().await;
    });
}

#[test]
fn a_missing_capability() {
    run(async {
        let running = Home::with(&["needs-missing"]).start().await;
        check(
            &running,
            "needs-missing",
            "blocked/missing",
            "\
`needs-missing` 0.1.0 is blocked
  it needs the capability `neighbour.ecko`, which no plugin offers
    hint: did you mean `neighbour.echo`?",
        );
        running.end().await;
    });
}

#[test]
fn another_version() {
    run(async {
        let home = Home::with(&[]);
        home.put(
            "old",
            &forge::manifest("needs-neighbour", &[("^0.1", "^9.1")]),
        );
        let running = home.start().await;
        check(
            &running,
            "needs-neighbour",
            "blocked/other-version",
            "\
`needs-neighbour` 0.1.0 is blocked
  it needs the plugin `neighbour` in version `^9.1`, found `neighbour` 0.1.0
    hint: add a plugin that offers it in a version that meets `^9.1`",
        );
        running.end().await;
    });
}

#[test]
fn a_cycle_of_three() {
    run(async {
        let home = Home::with(&["ring-a"]);
        let to_c = [("ring-b", "ring-c"), ("ring-a", "ring-b")];
        home.put("ring-b", &forge::manifest("ring-a", &to_c));
        let to_a = [
            ("ring-b", "ring-x"),
            ("ring-a", "ring-c"),
            ("ring-x", "ring-a"),
        ];
        home.put("ring-c", &forge::manifest("ring-a", &to_a));
        let running = home.start().await;
        check(
            &running,
            "ring-a",
            "blocked/cycle",
            "\
`ring-a` 0.1.0 is blocked
  it needs the capability `ring-b.turn`, which nobody offers now
    `ring-b` 0.1.0 is blocked
      it needs the capability `ring-c.turn`, which nobody offers now
        `ring-c` 0.1.0 is blocked
          it needs the capability `ring-a.turn`, which nobody offers now
            `ring-a` again, which closes a cycle: `ring-a` needs `ring-b`, `ring-b` needs `ring-c`, `ring-c` needs `ring-a`
              hint: make one of these needs optional",
        );
        running.end().await;
    });
}

#[test]
fn a_chain_to_what_failed() {
    run(async {
        let home = Home::with(&["fails-in-start"]).config(NEVER);
        let changes = [("\"plugin\":\"neighbour\"", "\"plugin\":\"fails-in-start\"")];
        let changes = [
            changes[0],
            (
                "Behaves well: starts after `neighbour` and stops before it",
                "Starts after another",
            ),
        ];
        home.put("needs", &forge::manifest("needs-neighbour", &changes));
        let running = home.start().await;
        check(
            &running,
            "needs-neighbour",
            "blocked/dependency",
            "\
`needs-neighbour` 0.1.0 is blocked
  it needs the plugin `fails-in-start`, which does not run
    `fails-in-start` 0.1.0 is failed
      `start` of plugin `fails-in-start`: the cupboard is bare
        hint: fill the cupboard
      it is not started again by itself: its restart policy is `never`
        hint: `octa start fails-in-start` tries it again",
        );
        check(
            &running,
            "fails-in-start",
            "failed/restart-never",
            "\
`fails-in-start` 0.1.0 is failed
  `start` of plugin `fails-in-start`: the cupboard is bare
    hint: fill the cupboard
  it is not started again by itself: its restart policy is `never`
    hint: `octa start fails-in-start` tries it again",
        );
        running.end().await;
    });
}

/// No restarts of those that break down here.
const NEVER: &str = r#"
    [plugins.fails-in-start.restart]
    policy = "never"
    [plugins.panics-in-start.restart]
    policy = "never"
"#;

#[test]
fn permissions() {
    run(async {
        let toml = r#"
            [plugins.reaches-out.allow]
            call = ["neighbour.*"]
            subscribe = ["foreign.**"]
            storage = ["foreign"]
            state = ["foreign"]
            provide = ["foreign.thing"]
        "#;
        let running = Home::with(&["reaches-out"]).config(toml).start().await;
        check(
            &running,
            "reaches-out",
            "blocked/permission",
            "\
`reaches-out` 0.1.0 is blocked
  plugin `reaches-out` may not publish `foreign.topic`: it lies outside the plugin's own namespace and is not granted
    hint: to grant it, write into the configuration under `[plugins.reaches-out.allow]`: `publish = [\"foreign.topic\"]`",
        );
        running.end().await;
    });
}

#[test]
fn a_configuration() {
    run(async {
        let toml = "[plugins.configured.config]\nport = 1\ngreting = \"hello\"\n";
        let running = Home::with(&["configured"]).config(toml).start().await;
        check(
            &running,
            "configured",
            "blocked/configuration",
            "\
`configured` 0.1.0 is blocked
  octa.toml:3:11: `plugins.configured.config.greting` is an unknown key, expected `greeting` or `port`
    hint: did you mean `greeting`?",
        );
        running.end().await;
    });
}

#[test]
fn a_panic() {
    run(async {
        let home = Home::with(&["panics-in-start"]).config(NEVER);
        let running = home.start().await;
        check(
            &running,
            "panics-in-start",
            "failed/panicked",
            "\
`panics-in-start` 0.1.0 is failed
  `start` of plugin `panics-in-start`: panicked: no start today (at zoo/panics-in-start/src/lib.rs:11:9)
  it is not started again by itself: its restart policy is `never`
    hint: `octa start panics-in-start` tries it again",
        );
        running.end().await;
    });
}

#[test]
fn a_file_that_is_no_plugin() {
    run(async {
        let home = Home::with(&["no-manifest"]);
        home.put("libtext_file", b"text");
        let running = home.start().await;
        let expect = "\
`HOME/plugins/libtext_file.so` is rejected
  file `HOME/plugins/libtext_file.so` is not a library of a kind that is known";
        let path = running.home.plugins().join("libtext_file.so");
        for name in ["libtext_file.so", "text-file", &path.display().to_string()] {
            let why = running.kernel.why(name).expect("it is known");
            assert_eq!(why.cause, Cause::RejectedFile);
            assert_eq!(running.home.anonymous(&why.to_string()), expect, "{name}");
        }
        let unknown = |name| {
            let problem = running.kernel.why(name).expect_err("nothing is called so");
            running.told(&problem)
        };
        let nothing = "not-found: there is no plugin, no rejected file and no capability";
        assert_eq!(
            unknown("neighbuor"),
            format!("{nothing} `neighbuor` (hint: did you mean `neighbour`?)")
        );
        assert_eq!(
            unknown("neighbour.ecko"),
            format!("{nothing} `neighbour.ecko` (hint: did you mean `neighbour.echo`?)")
        );
        assert_eq!(
            unknown("text-fiel"),
            format!("{nothing} `text-fiel` (hint: did you mean `text-file`?)")
        );
        assert_eq!(
            unknown("nothing-like-it"),
            format!(
                "{nothing} `nothing-like-it` (hint: `octa list` shows the plugins and files there are, `octa capabilities` what can be called)"
            )
        );
        running.end().await;
    });
}

#[test]
fn a_newer_build_that_does_not_serve() {
    run(async {
        let home = Home::with(&[]).config("[kernel]\nwatch = false\n");
        let put = |home: &Home, build| home.put("counter", &read(&fixtures::library(build)));
        put(&home, "reload-a");
        let running = home.start().await;
        let cases = [
            (
                "reload-asks-more",
                "started/newer-build",
                "  a newer build, version 1.2.0, waits: plugin `counter` may not publish `alert.raised`: it lies outside the plugin's own namespace and is not granted
    hint: to grant it, write into the configuration under `[plugins.counter.allow]`: `publish = [\"alert.raised\"]`",
            ),
            (
                "reload-fails-in-start",
                "started/refused-build",
                "  what its file holds does not serve: `start` of plugin `counter`: the ink is dry
    hint: refill the ink",
            ),
        ];
        for (build, reason, expect) in cases {
            put(&running.home, build);
            running
                .kernel
                .reload_plugin("counter")
                .await
                .expect_err("it is refused");
            let expect = format!(
                "\
`counter` 1.0.0 is started
  generation 1, version 1.0.0 with content HASH, serves in the kernel's process
{expect}"
            );
            check(&running, "counter", reason, &expect);
        }
        let counted = running.call("counter.get", json!(null)).await;
        assert_eq!(counted.expect("it serves")["by"], "reload-a");
        running.end().await;
    });
}
