//! Needs that are met in order, and such that cannot be met.

use octa_kernel::lifecycle::State;

use crate::{
    forge,
    home::{Home, run},
};

#[test]
fn a_missing_capability() {
    run(async {
        let running = Home::with(&["needs-missing"]).start().await;
        running.check(
            "needs-missing",
            State::Blocked,
            &[
                "blocked: `needs-missing` needs the capability `neighbour.ecko`, which no \
                plugin offers (hint: did you mean `neighbour.echo`?)",
            ],
        );
        running.end().await;
    });
}

#[test]
fn a_chain_to_a_missing_capability() {
    run(async {
        let home = Home::with(&["needs-missing"]);
        let changes = [
            ("needs-neighbour", "needs-transfer"),
            ("\"neighbour\"", "\"needs-missing\""),
        ];
        let changes = [changes[0], ("Behaves well: starts", "Starts"), changes[1]];
        home.put(
            "needs-transfer",
            &forge::manifest("needs-neighbour", &changes),
        );
        let running = home.start().await;
        running.check(
            "needs-transfer",
            State::Blocked,
            &[
                "blocked: `needs-transfer` needs `needs-missing`, `needs-missing` needs the \
                capability `neighbour.ecko`, which no plugin offers (hint: did you mean \
                `neighbour.echo`?)",
            ],
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
        running.check(
            "needs-neighbour",
            State::Blocked,
            &[
                "blocked: `needs-neighbour` needs the plugin `neighbour` in version `^9.1`, \
                found `neighbour` `0.1.0` (hint: add a plugin that offers it in a version \
                that meets `^9.1`)",
            ],
        );
        running.end().await;
    });
}

#[test]
fn a_cycle_of_three() {
    run(async {
        let home = Home::with(&["ring-a"]);
        home.put(
            "ring-b",
            &forge::manifest("ring-a", &[("ring-b", "ring-c"), ("ring-a", "ring-b")]),
        );
        let changes = [
            ("ring-b", "ring-x"),
            ("ring-a", "ring-c"),
            ("ring-x", "ring-a"),
        ];
        home.put("ring-c", &forge::manifest("ring-a", &changes));
        let running = home.start().await;
        for [first, second, third] in [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]] {
            let expect = format!(
                "blocked: `ring-{first}` needs `ring-{second}`, `ring-{second}` needs \
                 `ring-{third}`, `ring-{third}` needs `ring-{first}`, which closes a cycle \
                 (hint: make one of these needs optional)"
            );
            running.check(&format!("ring-{first}"), State::Blocked, &[&expect]);
        }
        running.end().await;
    });
}

#[test]
fn dependents_stop_before_and_start_after() {
    run(async {
        let running = Home::with(&["needs-neighbour"]).build();
        let mut moves = running.subscribe("kernel.plugin.**").await;
        running
            .kernel
            .start()
            .await
            .expect("the plugin directory is there");
        running
            .kernel
            .stop_plugin("neighbour")
            .await
            .expect("it is there");
        running.check("neighbour", State::Stopped, &[]);
        running.check(
            "needs-neighbour",
            State::Blocked,
            &[
                "blocked: `needs-neighbour` needs `neighbour`, which is disabled or stopped (hint: \
                `neighbour` must be enabled in the configuration and be started)",
            ],
        );
        running
            .kernel
            .start_plugin("neighbour")
            .await
            .expect("it starts again");
        running.check("needs-neighbour", State::Started, &[]);
        let mut told = Vec::new();
        while let Some(event) = moves.try_recv() {
            let data = crate::home::data(&event);
            told.push(format!(
                "{} {}",
                data["plugin"].as_str().unwrap_or_default(),
                data["to"]
            ));
        }
        // When which one is loaded is open.
        told.retain(|told| !told.ends_with("\"loaded\""));
        assert_eq!(
            told,
            [
                "neighbour \"started\"",
                "needs-neighbour \"started\"",
                "needs-neighbour \"stopped\"",
                "needs-neighbour \"blocked\"",
                "neighbour \"stopped\"",
                "neighbour \"started\"",
                "needs-neighbour \"started\"",
            ]
        );
        running.end().await;
    });
}
