//! Plugins that wait: for permissions, a configuration, and others.

use super::{check, needing, never};
use crate::{
    forge,
    home::{Home, run},
};

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
        let home = Home::with(&["fails-in-start"]).config(&never("fails-in-start"));
        home.put("needs", &needing("fails-in-start"));
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
fn the_same_cause_is_told_once() {
    run(async {
        let home = Home::with(&["needs-missing"]);
        let missing = "{\"plugin\":\"needs-missing\"}";
        let changes = [
            (
                "Behaves well: starts after `neighbour` and stops before it.",
                "",
            ),
            (
                "{\"plugin\":\"neighbour\",\"version\":\"^0.1\"}",
                &*format!("{missing},{missing}"),
            ),
        ];
        home.put("twice", &forge::manifest("needs-neighbour", &changes));
        let running = home.start().await;
        check(
            &running,
            "needs-neighbour",
            "blocked/see-above",
            "\
`needs-neighbour` 0.1.0 is blocked
  it needs the plugin `needs-missing`, which does not run
    `needs-missing` 0.1.0 is blocked
      it needs the capability `neighbour.ecko`, which no plugin offers
        hint: did you mean `neighbour.echo`?
  it needs the plugin `needs-missing`, which does not run
    `needs-missing` is explained above",
        );
        running.end().await;
    });
}
