//! Plugins that nobody wants started, or not yet.

use octa_kernel::lifecycle::State;

use super::{check, needing};
use crate::home::{Home, next, run, until};

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
        let running = Home::with(&["desk", "needs-neighbour"]).start().await;
        running
            .kernel
            .stop_plugin("neighbour")
            .await
            .expect("it stops");
        running
            .kernel
            .unload_plugin("desk")
            .await
            .expect("it stops");
        check(
            &running,
            "desk",
            "unloaded/request",
            "\
`desk` 0.1.0 is unloaded
  a request asked for it to be unloaded
    hint: `octa start desk` starts it",
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
fn what_is_still_mapped() {
    run(async {
        let running = Home::with(&["no-delete"]).start().await;
        running
            .kernel
            .unload_plugin("no-delete")
            .await
            .expect("it stops");
        check(
            &running,
            "no-delete",
            "unloaded/still-mapped",
            "\
`no-delete` 0.1.0 is unloaded
  a request asked for it to be unloaded
    hint: `octa start no-delete` starts it
  generation 1 (version 0.1.0), which has ended, is still mapped: linked with `-z nodelete`",
        );
        running.end().await;
    });
}

#[test]
fn who_is_being_started_and_who_waits_for_it() {
    run(async {
        let toml = "[kernel]\nstart_deadline = \"3s\"\n[plugins.hangs-in-start.restart]\npolicy = \"never\"\n";
        let home = Home::with(&["hangs-in-start"]).config(toml);
        home.put("needs", &needing("hangs-in-start"));
        let running = home.build();
        let mut begun = running.subscribe("hangs-in-start.begun").await;
        let looking = async {
            next(&mut begun).await;
            until(|| running.state("needs-neighbour") == State::Loaded).await;
            check(
                &running,
                "hangs-in-start",
                "loaded/under-way",
                "\
`hangs-in-start` 0.1.0 is loaded
  it is being started now",
            );
            check(
                &running,
                "needs-neighbour",
                "loaded/turn",
                "\
`needs-neighbour` 0.1.0 is loaded
  it starts after those that it needs or would like
    `hangs-in-start` 0.1.0 is loaded
      it is being started now",
            );
        };
        let (started, ()) = tokio::join!(running.kernel.start(), looking);
        started.expect("the plugin directory is there");
        check(
            &running,
            "hangs-in-start",
            "failed/deadline",
            "\
`hangs-in-start` 0.1.0 is failed
  `start` of plugin `hangs-in-start` did not return within 3s
    hint: raise the deadline in `[kernel]` of the configuration, or find what it waits for
  it is not started again by itself: its restart policy is `never`
    hint: `octa start hangs-in-start` tries it again",
        );
        running.end().await;
    });
}
