//! Work that ends before it is finished: by a deadline, by the caller, by a stop. Each time the
//! plugin's future is dropped.

use octa_kernel::lifecycle::State;
use serde_json::json;

use crate::{
    home::{Home, next, run, until},
    logs,
};

/// Checks how a call that is never answered ends by a deadline.
#[track_caller]
fn check_deadline(toml: &str, capability: &str, expect: &str) {
    run(async {
        let running = Home::with(&["never-answers"]).config(toml).start().await;
        let mut given_up = running.subscribe("never-answers.given_up").await;
        let answer = running.call(capability, json!(null)).await;
        assert_eq!(answer, Err(expect.to_owned()));
        next(&mut given_up).await;
        running.end().await;
    });
}

#[test]
fn by_the_deadline_of_the_capability() {
    check_deadline(
        "",
        "never-answers.hurry",
        "deadline: `never-answers.hurry` did not answer within 50ms",
    );
}

#[test]
fn by_the_configured_deadline() {
    check_deadline(
        "[kernel]\ncall_deadline = \"50ms\"\n",
        "never-answers.wait",
        "deadline: `never-answers.wait` did not answer within 50ms",
    );
}

#[test]
fn by_the_deadline_of_the_capability_in_a_nested_call() {
    run(async {
        let home = Home::with(&["never-answers", "relay"]);
        let running = home
            .config("[plugins.relay.allow]\ncall = [\"**\"]\n")
            .start()
            .await;
        let input = json!({ "capability": "never-answers.hurry", "input": null });
        let answer = running.call("relay.forward", input).await;
        assert_eq!(
            answer,
            Err("deadline: `never-answers.hurry` did not answer within 50ms".to_owned())
        );
        running.end().await;
    });
}

#[test]
fn by_the_caller() {
    run(async {
        let running = Home::with(&["never-answers"]).start().await;
        let mut begun = running.subscribe("never-answers.begun").await;
        let mut given_up = running.subscribe("never-answers.given_up").await;
        tokio::select! {
            answer = running.call("never-answers.wait", json!(null)) => {
                panic!("it answered {answer:?}")
            }
            _ = next(&mut begun) => {}
        }
        next(&mut given_up).await;
        running.end().await;
    });
}

#[test]
fn by_a_stop() {
    run(async {
        let home = Home::with(&["never-answers"]).config("[kernel]\nstop_deadline = \"50ms\"\n");
        let running = home.start().await;
        let mut begun = running.subscribe("never-answers.begun").await;
        let mut given_up = running.subscribe("never-answers.given_up").await;
        let stopping = async {
            next(&mut begun).await;
            running
                .kernel
                .stop_plugin("never-answers")
                .await
                .expect("it stops");
        };
        let (answer, ()) = tokio::join!(running.call("never-answers.wait", json!(null)), stopping);
        assert_eq!(
            answer,
            Err("interrupted: plugin `never-answers` was stopped before it answered".to_owned())
        );
        next(&mut given_up).await;
        running.check("never-answers", State::Stopped, &[]);
        running.end().await;
    });
}

#[test]
fn by_a_stop_while_nothing_else_wakes_the_caller() {
    run(async {
        // The deadline of the call, which would wake its caller, lies behind that of the scenario.
        let config = "[kernel]\nstop_deadline = \"50ms\"\ncall_deadline = \"2m\"\n";
        let running = Home::with(&["never-answers"]).config(config).start().await;
        let mut begun = running.subscribe("never-answers.begun").await;
        let call = running.call_aside("never-answers.wait", json!(null));
        next(&mut begun).await;
        let stopped = running.kernel.stop_plugin("never-answers").await;
        stopped.expect("it stops");
        assert_eq!(
            call.await.expect("the call does not panic"),
            Err("interrupted: plugin `never-answers` was stopped before it answered".to_owned())
        );
        running.end().await;
    });
}

#[test]
fn tasks_end_with_the_stop() {
    run(async {
        let running = Home::with(&["works-on"]).start().await;
        let mut given_up = running.subscribe("works-on.given_up").await;
        let begun = running.call("works-on.begin", json!(null)).await;
        assert_eq!(begun, Ok(json!(null)));
        running
            .kernel
            .stop_plugin("works-on")
            .await
            .expect("it stops");
        next(&mut given_up).await;
        until(|| running.plugin("works-on").unfinished == 0).await;
        running.end().await;
    });
}

/// How much works on while a task is aborted: more than the ledger has shards.
const LATER: usize = 20;

#[test]
fn aborting_a_task_that_has_ended_ends_nothing_else() {
    run(async {
        let home = Home::with(&["aborts-late"]).config("[kernel]\nstop_deadline = \"50ms\"\n");
        let running = home.start().await;
        let unfinished = || running.plugin("aborts-late").unfinished;
        let begin = async |ends: bool| {
            let begun = running.call("aborts-late.begin", ends.into()).await;
            assert_eq!(begun, Ok(json!(null)));
        };
        let abort_oldest = async || {
            let aborted = running.call("aborts-late.abort_oldest", json!(null)).await;
            assert_eq!(aborted, Ok(json!(null)));
        };
        begin(true).await;
        until(|| unfinished() == 0).await;
        for _ in 0..LATER {
            begin(false).await;
        }
        let call = || running.call_aside("aborts-late.wait", json!(null));
        let calls: Vec<_> = (0..LATER).map(|_| call()).collect();
        until(|| unfinished() == 2 * LATER).await;
        abort_oldest().await;
        assert_eq!(unfinished(), 2 * LATER);
        // That of a task which still runs does end it.
        abort_oldest().await;
        assert_eq!(unfinished(), 2 * LATER - 1);
        assert!(calls.iter().all(|call| !call.is_finished()));
        running.end().await;
    });
}

#[test]
fn a_stop_that_waits_for_ever() {
    run(async {
        let home = Home::with(&["hangs-in-stop"]).config("[kernel]\nstop_deadline = \"50ms\"\n");
        let running = home.start().await;
        running
            .kernel
            .stop_plugin("hangs-in-stop")
            .await
            .expect("it is stopped all the same");
        running.check("hangs-in-stop", State::Stopped, &[]);
        let told = "plugin `hangs-in-stop` was stopped: \
                    `stop` of plugin `hangs-in-stop` did not return within 50ms";
        assert_eq!(logs::lines_with(told).len(), 1);
        running.end().await;
    });
}

#[test]
fn a_task_whose_drop_blocks_keeps_its_instance_in_memory() {
    run(async {
        let home = Home::with(&["blocks-in-drop"]).config("[kernel]\nstop_deadline = \"50ms\"\n");
        let running = home.start().await;
        let begun = running.call("blocks-in-drop.begin", json!(null)).await;
        assert_eq!(begun, Ok(json!(null)));
        let unloaded = running.kernel.unload_plugin("blocks-in-drop");
        unloaded.await.expect("it is unloaded");
        // Told when it has been tried for a while.
        crate::home::until(|| {
            !logs::lines_with("plugin `blocks-in-drop` stays mapped: ").is_empty()
        })
        .await;
        running.end().await;
    });
}

#[test]
fn what_was_ended_by_a_stop_keeps_nothing_in_memory() {
    run(async {
        let running = Home::with(&["works-on"]).start().await;
        let kernel = &running.kernel;
        for _ in 0..50 {
            for _ in 0..4 {
                running
                    .call("works-on.begin", json!(null))
                    .await
                    .expect("a task");
            }
            kernel
                .unload_plugin("works-on")
                .await
                .expect("it is unloaded");
            kernel
                .start_plugin("works-on")
                .await
                .expect("it starts again");
        }
        assert_eq!(logs::lines_with("plugin `works-on` stays mapped"), [""; 0]);
        running.end().await;
    });
}
