//! What the kernel offers to plugins, through the author's typed handles.

use std::time::Duration;

use octa_kernel::time::VirtualClock;
use serde_json::json;

use crate::{
    home::{Home, Running, next, run},
    logs,
};

#[test]
fn storage_is_typed() {
    run(async {
        let running = Home::with(&["desk"]).start().await;
        let steps = running.call("desk.storage", json!(null)).await;
        let conflict = "conflict: plugin `desk`: `desk/a` has version 1, expected version";
        let again = "(hint: someone else wrote it: \
                     read the record again and decide on what it is now)";
        assert_eq!(
            steps,
            Ok(json!([
                null,
                1,
                format!("{conflict} 77 {again}"),
                format!(
                    "conflict: plugin `desk`: `desk/a` has version 1, expected no record {again}"
                ),
                11,
                3,
                format!(
                    "conflict: plugin `desk`: `desk/b` has version 3, expected no record {again}"
                ),
                [["a", 11], ["b", 2]],
                [["c", 3]],
                [true, false],
                "invalid-input: `b` in namespace `desk`: not the JSON expected: \
             invalid type: integer `2`, expected a string at line 1 column 1",
            ]))
        );
        running.end().await;
    });
}

#[test]
fn storage_outlives_the_kernel() {
    run(async {
        let home = Home::with(&["desk"]);
        let first = Running {
            kernel: home.builder().build().expect("a kernel"),
            home,
        };
        first
            .kernel
            .start()
            .await
            .expect("the plugin directory is there");
        first
            .call("desk.storage", json!(null))
            .await
            .expect("it writes");
        first.kernel.stop().await;
        let Running { kernel, home } = first;
        drop(kernel);
        let second = home.start().await;
        let found = second
            .kernel
            .storage()
            .get("desk", "c")
            .await
            .expect("storage is open");
        assert_eq!(
            found.map(|record| record.value.to_vec()),
            Some(b"3".to_vec())
        );
        second.end().await;
    });
}

#[test]
fn state_is_typed() {
    run(async {
        let running = Home::with(&["desk"]).start().await;
        let steps = running.call("desk.state", json!(null)).await;
        assert_eq!(
            steps,
            Ok(json!([
                null,
                "failed: conflict",
                12,
                [["a", 12], ["b", "text"]],
                [true, false],
            ]))
        );
        running.end().await;
    });
}

#[test]
fn time_is_the_kernels() {
    run(async {
        let clock = VirtualClock::default();
        let home = Home::with(&["desk"]);
        let kernel = home
            .builder()
            .clock(clock.clone())
            .build()
            .expect("a kernel");
        let running = Running { kernel, home };
        running
            .kernel
            .start()
            .await
            .expect("the plugin directory is there");
        let hour = Duration::from_secs(3600);
        let mut sleeps = running.subscribe("desk.sleeps").await;
        let passing = async {
            next(&mut sleeps).await;
            clock.advance(hour);
        };
        let (slept, ()) = tokio::join!(running.call("desk.sleep", json!(3600)), passing);
        assert_eq!(slept, Ok(json!([3600, 3600])));
        running.end().await;
    });
}

#[test]
fn lines_of_the_log_arrive_with_their_origin() {
    run(async {
        let running = Home::with(&["desk"]).start().await;
        let line = "a line of the desk that nobody else writes";
        running
            .call("desk.log", json!(line))
            .await
            .expect("it logs");
        assert_eq!(logs::lines_with(line), [format!("INFO desk::desk: {line}")]);
        running.end().await;
    });
}

#[test]
fn subscriptions_and_tasks_can_be_made_at_run_time() {
    run(async {
        let running = Home::with(&["desk"]).start().await;
        let heard = running.call("desk.listen", json!(null)).await;
        assert_eq!(heard, Ok(json!([1, "desk.said", "desk", "hello"])));
        let mut tasks = running.subscribe("desk.task").await;
        running
            .call("desk.spawn", json!(null))
            .await
            .expect("a task");
        assert_eq!(next(&mut tasks).await, "desk");
        running.end().await;
    });
}

#[test]
fn a_plugin_may_bring_its_own_runtime_and_threads() {
    run(async {
        let toml = "[plugins.own-runtime.allow]\ncall = [\"neighbour.echo\"]\n";
        let running = Home::with(&["own-runtime"]).config(toml).start().await;
        let mut works = running.subscribe("own-runtime.works").await;
        for capability in ["own-runtime.in_runtime", "own-runtime.in_thread"] {
            let answer = running.call(capability, json!(null)).await;
            assert_eq!(answer, Ok(json!("hello")), "{capability}");
            next(&mut works).await;
        }
        running.end().await;
    });
}

#[test]
fn blocking_inside_a_poll_is_an_error() {
    run(async {
        let running = Home::with(&["blocks-in-poll"]).start().await;
        let answer = running.call("blocks-in-poll.now", json!(null)).await;
        let expect = "unsupported: `block_on` inside a handler that is polled \
                      (hint: await the future, or mark the handler `blocking`)";
        assert_eq!(answer, Err(expect.to_owned()));
        running.end().await;
    });
}
