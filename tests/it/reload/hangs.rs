//! Builds that block a thread for ever, one step at a time.

use std::time::Duration;

use octa_kernel::{Reloaded, time::VirtualClock};

use super::stand::Stand;
use crate::{
    home::{run, until},
    logs,
};

/// The deadlines that hold meanwhile; those of calls are far beyond.
const DEADLINES: &str =
    "start_deadline = \"3m\"\nstop_deadline = \"2s\"\ncall_deadline = \"24h\"\n";

/// Lets time pass once a build has told that it hangs, for ever.
async fn pass(clock: VirtualClock, hanging: &'static str) {
    let told = format!("{hanging} blocks for ever");
    until(|| !logs::lines_with(&told).is_empty()).await;
    loop {
        // Slowly enough for what does not hang.
        clock.advance(Duration::from_millis(100));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Reloads while time passes, once a build has told that it hangs.
async fn reload(
    stand: &Stand,
    clock: &VirtualClock,
    hanging: &'static str,
) -> Result<Reloaded, String> {
    tokio::select! {
        reloaded = stand.reload() => reloaded,
        () = pass(clock.clone(), hanging) => unreachable!("time passes for ever"),
    }
}

/// Checks how a build that hangs is refused in place of a good one.
#[track_caller]
fn check_new(build: &'static str, expect: &str) {
    run(async {
        let (stand, clock) = Stand::timeless("reload-a", DEADLINES).await;
        let before = stand.generation();
        stand.put(build);
        let refused = reload(&stand, &clock, build).await;
        assert_eq!(refused.expect_err("it hangs"), expect);
        assert_eq!(stand.generation(), before, "the generation has changed");
        stand.load.goes_on(20).await;
        stand.succeed("reload-b").await;
        stand.end("reload-b").await;
    });
}

#[test]
fn in_create() {
    check_new(
        "reload-hangs-in-create",
        "deadline: `create` of plugin `counter` did not return within 180s (hint: raise the deadline in `[kernel]` of the configuration, or find what it waits for)",
    );
}

#[test]
fn in_restore() {
    check_new(
        "reload-hangs-in-restore",
        "deadline: `restore` of plugin `counter` did not return within 180s (hint: raise the deadline in `[kernel]` of the configuration, or find what it waits for)",
    );
}

#[test]
fn in_start() {
    check_new(
        "reload-hangs-in-start",
        "deadline: `start` of plugin `counter` did not return within 180s (hint: raise the deadline in `[kernel]` of the configuration, or find what it waits for)",
    );
}

#[test]
fn in_save() {
    run(async {
        let (stand, clock) = Stand::timeless("reload-hangs-in-save", DEADLINES).await;
        let before = stand.generation();
        stand.put("reload-b");
        let refused = reload(&stand, &clock, "reload-hangs-in-save").await;
        assert_eq!(
            refused.expect_err("nothing is handed over"),
            "deadline: `save` of plugin `counter` did not return within 2s (hint: raise the deadline in `[kernel]` of the configuration, or find what it waits for)"
        );
        assert_eq!(stand.generation(), before, "the generation has changed");
        stand.load.goes_on(20).await;
        stand.end("reload-hangs-in-save").await;
    });
}

#[test]
fn in_stop() {
    run(async {
        let (stand, clock) = Stand::timeless("reload-hangs-in-stop", DEADLINES).await;
        stand.put("reload-b");
        // Whether it is waited for or not: time passes to the end.
        let passing = tokio::spawn(pass(clock, "reload-hangs-in-stop"));
        let reloaded = stand.reload().await.expect("the new one serves");
        assert_eq!((reloaded.from.number, reloaded.to.number), (1, 2));
        stand.end("reload-b").await;
        passing.abort();
    });
}
