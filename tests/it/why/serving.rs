//! Plugins that serve, and what is wrong with them all the same.

use serde_json::json;

use super::check;
use crate::{
    fixtures, forge,
    home::{Home, read, run, until},
};

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
  generation 1, version 0.1.0 with content …, serves in the kernel's process
  it does without the plugin `neighbor`, and there is none
    hint: did you mean `neighbour`?",
        );
        check(
            &running,
            "neighbour.echo",
            "started/serving",
            "\
the capability `neighbour.echo` is offered by one plugin
  `neighbour` gets every call: nobody else offers this now
    `neighbour` 0.1.0 is started
      generation 1, version 0.1.0 with content …, serves in the kernel's process
  a call has 30s unless its caller says otherwise, as `call_deadline` in `[kernel]` says",
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
  generation 1, version 1.0.0 with content …, serves in the kernel's process
{expect}"
            );
            check(&running, "counter", reason, &expect);
        }
        let counted = running.call("counter.get", json!(null)).await;
        assert_eq!(counted.expect("it serves")["by"], "reload-a");
        running.end().await;
    });
}

#[test]
fn it_says_that_it_is_unwell() {
    run(async {
        let home = Home::with(&[]);
        home.put("counter", &read(&fixtures::library("reload-unwell")));
        let running = home.start().await;
        until(|| running.plugin("counter").health == Some(0.0)).await;
        check(
            &running,
            "counter",
            "started/unwell",
            "\
`counter` 1.2.0 is started
  generation 1, version 1.2.0 with content …, serves in the kernel's process
  it says that its health is 0.00 of 1: no calls go to it while somebody else offers the same",
        );
        running.end().await;
    });
}
