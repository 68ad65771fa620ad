//! The way back, by hand and by a restart.

use octa_kernel::{RollbackOptions, StateSource, lifecycle::State};
use serde_json::Value;

use super::stand::{COUNTER, Stand, UNWATCHED, put, put_bytes};
use crate::{
    fixtures, forge,
    home::{Home, Running, read, run},
};

const PLAIN: RollbackOptions = RollbackOptions {
    restore_saved: false,
};
const SAVED: RollbackOptions = RollbackOptions {
    restore_saved: true,
};

#[test]
fn to_code_that_knows_the_state() {
    run(async {
        let stand = Stand::of("reload-b").await;
        let first = stand.generation();
        let newer = forge::manifest("reload-b", &[("\"1.1.0\"", "\"1.1.1\"")]);
        put_bytes(&stand.running.home, &newer);
        stand.reload().await.expect("it can be reloaded");
        let back = stand.running.kernel.rollback_plugin(COUNTER, PLAIN).await;
        let back = back.expect("it goes back");
        assert_eq!((back.to.number, &back.to.hash), (3, &first.hash));
        stand.end("reload-b").await;
    });
}

#[test]
fn to_code_that_does_not() {
    run(async {
        let stand = Stand::of("reload-a").await;
        stand.succeed("reload-b").await;
        stand.load.goes_on(20).await;
        let kernel = &stand.running.kernel;
        let refused = kernel.rollback_plugin(COUNTER, PLAIN).await;
        let refused = refused.expect_err("it does not know the state");
        assert_eq!(
            stand.running.told(&refused.0),
            "conflict: plugin `counter` 1.0.0 reads state up to version 1, and what runs has version 2 (hint: a rollback can restore the state saved at the switch (`--restore-saved`) and lose what came later)"
        );
        assert_eq!(stand.generation().number, 2);
        let plan = kernel.plan_rollback(COUNTER, SAVED).await;
        assert_eq!(plan.expect("it can").loses.len(), 1);
        let back = kernel.rollback_plugin(COUNTER, SAVED).await;
        let state = back.expect("it goes back").state.expect("with its state");
        assert_eq!((state.source, state.to), (StateSource::Saved, 1));
        stand.served_by("reload-a").await;
        let tally = stand.load.end().await;
        assert_eq!(tally.failed, [""; 0]);
        let counted = stand.running.call("counter.get", Value::Null).await;
        let added = counted.expect("it answers")["counts"]["added"].as_u64();
        assert!(added > Some(0) && added < Some(tally.added), "{added:?}");
        stand.running.end().await;
    });
}

#[test]
fn there_is_nothing_before_the_first() {
    run(async {
        let stand = Stand::of("reload-a").await;
        let refused = stand.running.kernel.rollback_plugin(COUNTER, PLAIN).await;
        let refused = refused.expect_err("there is none");
        assert_eq!(
            stand.running.told(&refused.0),
            "not-found: nothing served before plugin `counter` as it is now"
        );
        stand.end("reload-a").await;
    });
}

/// Checks that a restart starts the first build where it finds these bytes in its place.
#[track_caller]
fn check_restart(bytes: &[u8]) {
    run(async {
        let home = Home::with(&[]).config(UNWATCHED);
        put(&home, "reload-a");
        let Running { kernel, home } = home.start().await;
        kernel.stop().await;
        drop(kernel);
        put_bytes(&home, bytes);
        let running = home.start().await;
        running.check(COUNTER, State::Started, &[]);
        let counted = running.call("counter.get", Value::Null).await;
        assert_eq!(counted.expect("it answers")["by"], "reload-a");
        assert_eq!(running.plugin(COUNTER).waiting.len(), 1);
        running.end().await;
    });
}

#[test]
fn a_restart_over_a_build_that_panics() {
    check_restart(&read(&fixtures::library("reload-panics-in-create")));
}

#[test]
fn a_restart_over_a_build_that_fails() {
    check_restart(&read(&fixtures::library("reload-fails-in-start")));
}

#[test]
fn a_restart_over_a_build_that_wants_more_than_is_granted() {
    check_restart(&read(&fixtures::library("reload-asks-more")));
}

#[test]
fn a_restart_over_a_build_of_another_abi() {
    let change = [("\"major\":1", "\"major\":7")];
    check_restart(&forge::manifest("reload-b", &change));
}

#[test]
fn a_restart_over_what_is_no_library() {
    check_restart(b"not a library");
}
