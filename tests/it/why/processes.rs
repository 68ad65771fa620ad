//! Plugins in processes of their own: where they live, and how they die.

use octa_kernel::{lifecycle::State, time::VirtualClock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::{check, holds};
use crate::{
    forge,
    home::{Home, Running, run, until},
};

const DIES: &str = "dies-on-request";

/// A kernel, whose time stands still, with a plugin that dies on request, restarted as is said.
async fn mortal(restart: &str) -> (Running, VirtualClock) {
    let toml =
        format!("[plugins.{DIES}]\nplacement = \"process\"\n[plugins.{DIES}.restart]\n{restart}\n");
    let (home, clock) = (Home::with(&[DIES]).config(&toml), VirtualClock::default());
    let kernel = home.builder().clock(clock.clone()).build();
    let kernel = kernel.expect("a kernel");
    kernel.start().await.expect("the plugin directory is there");
    (Running { kernel, home }, clock)
}

/// Waits until it has died, has come into this state, and nothing is left to be done.
async fn comes_into(running: &Running, state: State) {
    let is_moving = || {
        holds(
            &running.kernel.why(DIES).expect("it is known"),
            None,
            &format!("{state}/under-way"),
        )
    };
    until(|| {
        running.state(DIES) == state && !running.plugin(DIES).faults.is_empty() && !is_moving()
    })
    .await;
}

#[test]
fn it_lives_apart() {
    run(async {
        let (running, _) = mortal("").await;
        check(
            &running,
            DIES,
            "started/process",
            "\
`dies-on-request` 0.1.0 is started
  generation 1, version 0.1.0 with content …, serves in a process of its own
    it is process …",
        );
        running.end().await;
    });
}

#[test]
fn it_is_killed() {
    run(async {
        let (running, _) = mortal("").await;
        let process = running.plugin(DIES).process.expect("it has one");
        let id = i32::try_from(process.id).ok().and_then(Pid::from_raw);
        kill_process(id.expect("a process id"), Signal::KILL).expect("it lives");
        comes_into(&running, State::Failed).await;
        check(
            &running,
            DIES,
            "failed/ended",
            "\
`dies-on-request` 0.1.0 is failed
  plugin `dies-on-request` was ended by signal 9 (SIGKILL)
  it is started again by itself; restarts spent: 1 of 5",
        );
        running.end().await;
    });
}

#[test]
fn it_ends_by_itself() {
    run(async {
        let (running, _) = mortal("").await;
        let called = running.call("dies-on-request.well", json!(null)).await;
        called.expect_err("it is gone");
        comes_into(&running, State::Failed).await;
        check(
            &running,
            DIES,
            "failed/restart-never",
            "\
`dies-on-request` 0.1.0 is failed
  plugin `dies-on-request` ended by itself with code 0 during a call of `dies-on-request.well` by `host`
  it is not started again by itself: that is no case for its restart policy, `on-failure`
    hint: `octa start dies-on-request` starts it again",
        );
        running.end().await;
    });
}

#[test]
fn it_comes_back_and_the_caller_is_blamed() {
    run(async {
        let (running, clock) = mortal("").await;
        for _ in 0..2 {
            let called = running.call("dies-on-request.now", json!(null)).await;
            called.expect_err("it is gone");
            comes_into(&running, State::Failed).await;
            until(|| running.plugin(DIES).restarts.next.is_some()).await;
            clock.advance(std::time::Duration::from_secs(2));
            comes_into(&running, State::Started).await;
        }
        let tree = "\
`dies-on-request` 0.1.0 is started
  generation 3, version 0.1.0 with content …, serves in a process of its own
    it is process …
  restarts spent: 2 of 5; all are back when it has been well for a while
  plugin `dies-on-request` was ended by signal 6 (SIGABRT) during a call of `dies-on-request.now` by `host`; blamed on `host`, whose call of `dies-on-request.now` alone was under way 2 times now
    it wrote last: that was the last straw
  plugin `dies-on-request` was ended by signal 6 (SIGABRT) during a call of `dies-on-request.now` by `host`
    it wrote last: that was the last straw";
        for reason in ["started/fault", "started/last-line", "started/restarts"] {
            check(&running, DIES, reason, tree);
        }
        running.end().await;
    });
}

#[test]
fn it_may_not_live_there() {
    run(async {
        let toml = "[plugins.needs-neighbour]\nplacement = \"in-process\"\n";
        let home = Home::with(&[]).config(toml);
        let changes = [
            (
                "Behaves well: starts after `neighbour` and stops before it.",
                "",
            ),
            (
                "\"capabilities\":",
                "\"placement\":\"process\",\"capabilities\":",
            ),
        ];
        home.put("apart", &forge::manifest("needs-neighbour", &changes));
        let running = home.start().await;
        check(
            &running,
            "needs-neighbour",
            "blocked/placement",
            "\
`needs-neighbour` 0.1.0 is blocked
  plugin `needs-neighbour` runs in a process of its own only
    hint: remove `placement` from `[plugins.needs-neighbour]`",
        );
        running.end().await;
    });
}

#[test]
fn its_content_ends_whatever_opens_it() {
    run(async {
        let home = Home::with(&["exits-on-load"]).config("[kernel]\nvet = true\n");
        let running = home.start().await;
        check(
            &running,
            "exits-on-load",
            "failed/content-refused",
            "\
`exits-on-load` 0.1.0 is failed
  plugin `exits-on-load` is not opened in the kernel's process: a process that opened it to try it ended by itself with code 0
    hint: put another build in its place, or give it a process of its own: `placement = \"process\"` in `[plugins.exits-on-load]`
  it is not started again by itself, since the same would happen
    hint: another file or another configuration of it is tried at once",
        );
        running.end().await;
    });
}
