//! Panics of plugins, wherever they happen: each is an error that tells where, and nobody else
//! notices.

use octa_kernel::lifecycle::State;
use serde_json::{Value, json};

use crate::{
    home::{Home, next, run, until},
    logs,
};

/// Checks how a plugin fails that panics on its way up.
#[track_caller]
fn check_failed(fixture: &str, expect: &str) {
    run(async {
        let config = format!("[plugins.{fixture}.restart]\npolicy = \"never\"\n");
        let running = Home::with(&[fixture]).config(&config).start().await;
        running.check(fixture, State::Failed, &[expect]);
        running.end().await;
    });
}

/// Checks what a call of a plugin that panics answers; twice, since it goes on.
#[track_caller]
fn check_called(fixture: &str, capability: &str, input: Value, expect: Result<Value, &str>) {
    run(async {
        let running = Home::with(&[fixture]).start().await;
        for _ in 0..2 {
            let answer = running.call(capability, input.clone()).await;
            assert_eq!(
                answer.as_ref().map_err(String::as_str),
                expect.as_ref().map_err(|e| *e)
            );
        }
        running.check(fixture, State::Started, &[]);
        running.end().await;
    });
}

/// Waits for a line in the log.
async fn logged(text: &str) -> String {
    until(|| !logs::lines_with(text).is_empty()).await;
    logs::lines_with(text).swap_remove(0)
}

#[test]
fn in_create() {
    check_failed(
        "panics-in-create",
        "panicked: `create` of plugin `panics-in-create`: panicked: no object today \
                (at zoo/panics-in-create/src/lib.rs:12:9)",
    );
}

#[test]
fn in_start() {
    check_failed(
        "panics-in-start",
        "panicked: `start` of plugin `panics-in-start`: panicked: no start today (at \
                zoo/panics-in-start/src/lib.rs:11:9)",
    );
}

#[test]
fn in_stop() {
    run(async {
        let running = Home::with(&["panics-in-stop"]).start().await;
        running
            .kernel
            .stop_plugin("panics-in-stop")
            .await
            .expect("it stops all the same");
        running.check("panics-in-stop", State::Stopped, &[]);
        assert_eq!(
            logged("no stop today").await,
            "WARN octa_kernel::manager::retire: plugin `panics-in-stop` was stopped: \
                `stop` of plugin `panics-in-stop`: panicked: no stop today (at \
                zoo/panics-in-stop/src/lib.rs:11:9)"
        );
        running.end().await;
    });
}

#[test]
fn in_drop() {
    run(async {
        let running = Home::with(&["panics-in-drop"]).start().await;
        running
            .kernel
            .unload_plugin("panics-in-drop")
            .await
            .expect("it ends all the same");
        running.check("panics-in-drop", State::Unloaded, &[]);
        assert_eq!(
            logged("no end today").await,
            "ERROR panics-in-drop::octa_plugin_api::guard: dropping the plugin panicked: \
                panicked: no end today (at zoo/panics-in-drop/src/lib.rs:13:9)"
        );
        running.end().await;
    });
}

#[test]
fn in_a_handler() {
    check_called(
        "panics-in-handler",
        "panics-in-handler.now",
        json!(13),
        Err("panicked: panicked: number 13 is unlucky (at \
                zoo/panics-in-handler/src/lib.rs:12:9)"),
    );
}

#[test]
fn in_a_poll() {
    check_called(
        "panics-in-poll",
        "panics-in-poll.later",
        json!(null),
        Err("panicked: panicked: too late (at zoo/panics-in-poll/src/lib.rs:15:9)"),
    );
}

#[test]
fn in_a_waker() {
    check_called(
        "panics-in-waker",
        "panics-in-waker.now",
        json!(null),
        Ok(json!("Pending")),
    );
    assert!(!logs::lines_with("nobody wakes me").is_empty());
}

#[test]
fn in_the_drop_of_a_panics_payload() {
    check_called(
        "panics-in-payload",
        "panics-in-payload.now",
        json!(null),
        Err(
            "panicked: panicked: a panic with a payload that is no text (at \
                zoo/panics-in-payload/src/lib.rs:23:13)",
        ),
    );
}

#[test]
fn in_a_task() {
    run(async {
        let running = Home::with(&["panics-in-task"]).start().await;
        assert_eq!(
            running.call("panics-in-task.now", json!(null)).await,
            Ok(json!(null))
        );
        assert_eq!(
            logged("a task went wrong").await,
            "ERROR octa_loader::bridge: a task of plugin `panics-in-task` panicked: \
                panicked: a task went wrong (at zoo/panics-in-task/src/lib.rs:12:42)"
        );
        running.end().await;
    });
}

#[test]
fn in_a_thread_of_its_own() {
    run(async {
        let running = Home::with(&["panics-in-thread"]).start().await;
        assert_eq!(
            running.call("panics-in-thread.now", json!(null)).await,
            Ok(json!(true))
        );
        assert_eq!(
            logs::lines_with("a thread went wrong"),
            [
                "ERROR panics-in-thread::octa_plugin_api::guard: a thread of the plugin panicked: \
                panicked: a thread went wrong (at zoo/panics-in-thread/src/lib.rs:14:38)"
            ]
        );
        running.check("panics-in-thread", State::Started, &[]);
        running.end().await;
    });
}

#[test]
fn in_an_event() {
    run(async {
        let running = Home::with(&["panics-in-event"]).start().await;
        let mut dead = running.subscribe("kernel.dead_letter").await;
        let mut handled = running.subscribe("panics-in-event.out").await;
        running.publish("panics-in-event.in", true.into()).await;
        running.publish("panics-in-event.in", false.into()).await;
        let letter = next(&mut dead).await;
        assert_eq!(letter["cause"], "panicked: a bad event");
        assert_eq!(letter["kind"], "panicked");
        assert_eq!(next(&mut handled).await, json!(null));
        running.end().await;
    });
}
