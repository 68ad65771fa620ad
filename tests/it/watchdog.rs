//! Plugins that do not give their threads back: who it is, and where, is told once, others go on,
//! and a plugin that never does is given up.

use std::{fs, path::PathBuf, thread::JoinHandle};

use octa_kernel::{BlockedStatus, bus::Subscription, lifecycle::State};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::{
    forge,
    home::{Home, Running, data, next, run, until},
    logs,
};

/// A plugin that goes by a name of its own, since others' log is the same, and a pipe for it to
/// wait at.
struct Waiter {
    name: &'static str,
    pipe: PathBuf,
    running: Running,
    blocked: Subscription,
    unblocked: Subscription,
}

impl Waiter {
    async fn new(name: &'static str, config: &str) -> Self {
        Self::among(name, &[], config).await
    }

    async fn among(name: &'static str, others: &[&str], config: &str) -> Self {
        let home = Home::with(others).config(config);
        home.put(
            name,
            &forge::manifest("waits-at-file", &[("waits-at-file", name)]),
        );
        let pipe = home.root().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
        let running = home.start().await;
        Self {
            name,
            pipe,
            blocked: running.subscribe("kernel.plugin.thread_blocked").await,
            unblocked: running.subscribe("kernel.plugin.thread_freed").await,
            running,
        }
    }

    fn pipe(&self) -> Value {
        json!(self.pipe)
    }

    /// Lets go of one that waits.
    fn release(&self) {
        fs::write(&self.pipe, "").expect("somebody reads");
    }

    /// Lets go of all that wait: one that writes lets those go that read at that moment.
    async fn release_all(&self) {
        until(|| {
            let left = !self.status().is_empty();
            if left {
                let pipe = fs::OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open(&self.pipe);
                drop(pipe.expect("the pipe"));
            }
            !left
        })
        .await;
    }

    fn status(&self) -> Vec<BlockedStatus> {
        self.running.plugin(self.name).blocked
    }

    /// Waits until it is told that this blocks a thread; the status says the same.
    async fn check_blocked(&mut self, what: &str) -> Value {
        let told = told_of(&mut self.blocked, self.name).await;
        assert_eq!(
            (&told["what"], &told["generation"]),
            (&json!(what), &json!(1))
        );
        let status = self.status();
        let found = status
            .iter()
            .find(|it| it.what == what)
            .expect("it is seen");
        let place = json!([found.thread, found.thread_id, found.place, found.likely]);
        assert_eq!(
            place,
            json!([
                told["thread"],
                told["thread_id"],
                told["where"],
                told["likely"]
            ])
        );
        assert_eq!(told["since_ms"], found.since / 1_000_000);
        told
    }

    /// Waits until it is told that this has returned, and that it had been told once.
    async fn check_unblocked(&mut self, what: &str) {
        let told = told_of(&mut self.unblocked, self.name).await;
        assert_eq!(
            (&told["what"], &told["generation"]),
            (&json!(what), &json!(1))
        );
        assert!(!self.status().iter().any(|it| it.what == what));
        let again = std::iter::from_fn(|| self.blocked.try_recv());
        let again = again
            .map(|event| data(&event))
            .find(|it| it["plugin"] == self.name);
        assert_eq!(again, None);
        let line = format!("plugin `{}` (generation 1) blocks the thread", self.name);
        assert_eq!(logs::lines_with(&line).len(), 1);
    }
}

/// The next event that is about this plugin.
async fn told_of(events: &mut Subscription, plugin: &str) -> Value {
    loop {
        let told = next(events).await;
        if told["plugin"] == plugin {
            return told;
        }
    }
}

/// Calls on a thread that the handler may block.
fn call_apart(running: &Running, capability: String, input: Value) -> JoinHandle<Value> {
    let kernel = running.kernel.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let call = kernel.call::<Value>(&capability, &input);
        runtime
            .expect("a runtime")
            .block_on(call)
            .expect("an answer")
    })
}

/// Where it is: seen from outside, as far as that goes.
fn check_place(told: &Value) {
    assert_eq!(told["likely"][0], "waits_at_file::read_through", "{told}");
    let place = "in `waits_at_file::read_through`, waiting in the system call `openat`";
    assert_eq!(told["where"], place);
}

#[test]
fn a_call_that_blocks_is_told_until_it_returns() {
    run(async {
        let mut waiter = Waiter::new("waits-in-call", "").await;
        let what = "the handler of `waits-in-call.read`";
        let capability = "waits-in-call.read".to_owned();
        let call = call_apart(&waiter.running, capability, waiter.pipe());
        let told = waiter.check_blocked(what).await;
        check_place(&told);
        assert_eq!(
            (&told["may_block"], &told["callers"]),
            (&json!(false), &json!([]))
        );
        waiter.running.check_neighbour().await;
        waiter.release();
        assert_eq!(call.join().expect("it returns"), json!(null));
        waiter.check_unblocked(what).await;
        waiter.running.end().await;
    });
}

#[test]
fn an_event_that_blocks_is_told_until_it_returns() {
    run(async {
        let mut waiter = Waiter::new("waits-inevent", "").await;
        let what = "the handler of events on `waits-inevent.in`";
        waiter
            .running
            .publish("waits-inevent.in", waiter.pipe())
            .await;
        let told = waiter.check_blocked(what).await;
        check_place(&told);
        assert_eq!(told["thread"], "octa-pool");
        waiter.running.check_neighbour().await;
        waiter.release();
        waiter.check_unblocked(what).await;
        waiter.running.end().await;
    });
}

#[test]
fn a_task_that_blocks_is_told_until_it_returns() {
    run(async {
        let mut waiter = Waiter::new("waits-in-task", "").await;
        let begun = waiter.running.call("waits-in-task.begin", waiter.pipe());
        assert_eq!(begun.await, Ok(json!(null)));
        let told = told_of(&mut waiter.blocked, waiter.name).await;
        check_place(&told);
        let what = told["what"].as_str().expect("text").to_owned();
        assert!(what.starts_with("task "), "{what}");
        waiter.running.check_neighbour().await;
        waiter.release();
        waiter.check_unblocked(&what).await;
        waiter.running.end().await;
    });
}

#[test]
fn the_innermost_is_told_and_who_called_it() {
    run(async {
        let allow = "[plugins.relay.allow]\ncall = [\"**\"]\n";
        let mut waiter = Waiter::among("waits-by-call", &["relay"], allow).await;
        let input = json!({ "capability": "waits-by-call.read", "input": waiter.pipe() });
        let call = call_apart(&waiter.running, "relay.forward".to_owned(), input);
        let what = "the handler of `waits-by-call.read`";
        let told = waiter.check_blocked(what).await;
        let callers = ["the handler of `relay.forward` of plugin `relay`"];
        assert_eq!(told["callers"], json!(callers));
        assert!(waiter.running.plugin("relay").blocked.is_empty());
        waiter.release();
        call.join().expect("it returns");
        waiter.check_unblocked(what).await;
        waiter.running.end().await;
    });
}

#[test]
fn a_drop_that_blocks_is_told() {
    run(async {
        let config = "[kernel]\nstop_deadline = \"50ms\"\n";
        let running = Home::with(&["blocks-in-drop"]).config(config).start().await;
        let mut blocked = running.subscribe("kernel.plugin.thread_blocked").await;
        let begun = running.call("blocks-in-drop.begin", json!(null)).await;
        assert_eq!(begun, Ok(json!(null)));
        let unloaded = running.kernel.unload_plugin("blocks-in-drop");
        unloaded.await.expect("it is unloaded");
        let told = told_of(&mut blocked, "blocks-in-drop").await;
        let what = told["what"].as_str().expect("text");
        assert!(what.starts_with("the drop of task "), "{what}");
        let first = told["likely"][0].as_str().expect("text");
        assert_eq!(
            first,
            "<blocks_in_drop::Slow as core::ops::drop::Drop>::drop"
        );
        // Also of a plugin that does not serve any more.
        assert_eq!(running.plugin("blocks-in-drop").blocked.len(), 1);
        running.end().await;
    });
}

#[test]
fn a_loop_is_told_by_the_function_that_was_entered() {
    run(async {
        let running = Home::with(&["spins-in-event"]).start().await;
        let mut blocked = running.subscribe("kernel.plugin.thread_blocked").await;
        running.publish("spins-in-event.in", 1.into()).await;
        let told = told_of(&mut blocked, "spins-in-event").await;
        assert!(
            told["where"]
                .as_str()
                .is_some_and(|it| it.ends_with(", running")),
            "{told}"
        );
        let first = told["likely"][0].as_str().expect("text");
        assert!(first.contains("SpinsInEvent"), "{told}");
        let released = running.call("spins-in-event.release", json!(null)).await;
        assert_eq!(released, Ok(json!(null)));
        running.end().await;
    });
}

/// With a limit that is short, and is over when it is told.
const SHORT: &str = "[kernel]\nstuck_after = \"1ms\"\nstop_deadline = \"50ms\"\n";

#[test]
fn what_may_block_is_told_and_never_given_up() {
    run(async {
        let running = Home::with(&["blocks-in-handler"])
            .config(SHORT)
            .start()
            .await;
        let mut blocked = running.subscribe("kernel.plugin.thread_blocked").await;
        let mut unblocked = running.subscribe("kernel.plugin.thread_freed").await;
        let call = running.call_aside("blocks-in-handler.wait", json!(null));
        let told = told_of(&mut blocked, "blocks-in-handler").await;
        assert_eq!(told["what"], "the handler of `blocks-in-handler.wait`");
        assert_eq!(told["may_block"], true);
        let released = running.call("blocks-in-handler.release", json!(null)).await;
        assert_eq!(released, Ok(json!(null)));
        assert_eq!(call.await.expect("it ends"), Ok(json!(null)));
        told_of(&mut unblocked, "blocks-in-handler").await;
        running.check("blocks-in-handler", State::Started, &[]);
        running.end().await;
    });
}

#[test]
fn a_plugin_that_never_returns_is_given_up_and_its_generation_kept() {
    run(async {
        let mut waiter = Waiter::new("waits-forever", SHORT).await;
        let what = "the handler of events on `waits-forever.in`";
        let mut given_up = waiter.running.subscribe("kernel.plugin.quarantined").await;
        waiter
            .running
            .publish("waits-forever.in", waiter.pipe())
            .await;
        waiter.check_blocked(what).await;
        assert_eq!(next(&mut given_up).await["plugin"], waiter.name);
        let plugin = waiter.running.plugin(waiter.name);
        let problem = "quarantined: plugin `waits-forever`: the handler of events on \
             `waits-forever.in` blocks its thread for more than 1ms \
             (hint: `octa start waits-forever` tries it again, and so does another file)";
        waiter
            .running
            .check(waiter.name, State::Quarantined, &[problem]);
        let lines = &plugin.faults[0].last_lines;
        assert!(
            lines[1].starts_with("in `waits_at_file::read_through`"),
            "{lines:?}"
        );
        let kept = || waiter.running.plugin(waiter.name).retired;
        until(|| kept().iter().any(|it| it.generation.number == 1)).await;
        assert_eq!(waiter.status().len(), 1);
        waiter.running.check_neighbour().await;
        // When it does return, after all, it is unmapped.
        waiter.release();
        until(|| kept().is_empty()).await;
        waiter.check_unblocked(what).await;
        waiter.running.end().await;
    });
}

#[test]
fn all_that_never_return_are_one_fault() {
    run(async {
        let waiter = Waiter::new("waits-manyone", SHORT).await;
        let mut given_up = waiter.running.subscribe("kernel.plugin.quarantined").await;
        for _ in 0..3 {
            let begun = waiter.running.call("waits-manyone.begin", waiter.pipe());
            assert_eq!(begun.await, Ok(json!(null)));
        }
        assert_eq!(next(&mut given_up).await["plugin"], waiter.name);
        until(|| waiter.status().len() == 3).await;
        waiter.release_all().await;
        let plugin = waiter.running.plugin(waiter.name);
        assert_eq!((plugin.state, plugin.faults.len()), (State::Quarantined, 1));
        assert!(given_up.try_recv().is_none());
        waiter.running.end().await;
    });
}

/// More than the kernel has threads for anything.
const MANY: usize = 8;

#[test]
fn as_many_as_the_kernel_has_threads_hold_up_nobody() {
    run(async {
        let mut waiter = Waiter::new("waits-at-many", "").await;
        let capability = || "waits-at-many.read".to_owned();
        let call = |_| call_apart(&waiter.running, capability(), waiter.pipe());
        let calls: Vec<_> = (0..MANY).map(call).collect();
        for _ in 0..MANY {
            let begun = waiter.running.call("waits-at-many.begin", waiter.pipe());
            assert_eq!(begun.await, Ok(json!(null)));
        }
        waiter
            .running
            .publish("waits-at-many.in", waiter.pipe())
            .await;
        for _ in 0..2 * MANY + 1 {
            told_of(&mut waiter.blocked, waiter.name).await;
        }
        assert_eq!(waiter.status().len(), 2 * MANY + 1);
        // Calls, events, the manager, and timers, which end the wait for a stop.
        waiter.running.check_neighbour().await;
        let kernel = &waiter.running.kernel;
        kernel
            .unload_plugin("neighbour")
            .await
            .expect("it is unloaded");
        kernel
            .start_plugin("neighbour")
            .await
            .expect("it is started");
        waiter.running.check_neighbour().await;
        waiter.release_all().await;
        for call in calls {
            assert_eq!(call.join().expect("it returns"), json!(null));
        }
        waiter.running.end().await;
    });
}
