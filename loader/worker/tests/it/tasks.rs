//! Tasks run when the kernel says so, and stand still when it says so.

use octa_wire::{ToWorker, control};
use serde_json::Value;

use crate::kernel::{Heard, INSTANCE, Kernel};

/// Begins a task; answers its number.
fn spawn(kernel: &mut Kernel, capability: &str) -> u64 {
    kernel
        .call(capability, &Value::Null)
        .result
        .expect("a task");
    kernel.await_that("a task", |heard| match heard {
        Heard::Spawned(task) => Some(*task),
        _ => None,
    })
}

fn start(kernel: &Kernel, task: u64) {
    let instance = INSTANCE;
    kernel.say(&ToWorker::StartTask { instance, task });
}

fn cancel(kernel: &Kernel, task: u64) {
    let instance = INSTANCE;
    kernel.say(&ToWorker::CancelTask { instance, task });
}

fn ended(kernel: &mut Kernel, expected: u64) -> Result<String, String> {
    kernel.await_that("the end of a task", |heard| match heard {
        Heard::TaskEnded { task, reply } if *task == expected => Some(reply.result.clone()),
        _ => None,
    })
}

fn has_submitted(kernel: &Kernel) -> bool {
    kernel.has_heard(|heard| matches!(heard, Heard::Submit { .. }))
}

#[test]
fn a_task_runs_when_it_is_started() {
    let mut kernel = Kernel::ready();
    let task = spawn(&mut kernel, "spawn");
    kernel.catch_up();
    assert!(!has_submitted(&kernel));
    start(&kernel, task);
    let operation = kernel.submitted("worker-fixture.task");
    kernel.reply(operation);
    assert_eq!(ended(&mut kernel, task), Ok(String::new()));
}

#[test]
fn a_task_that_panics_tells_how() {
    let mut kernel = Kernel::ready();
    let task = spawn(&mut kernel, "spawn_panic");
    start(&kernel, task);
    let error = ended(&mut kernel, task).expect_err("it panics");
    assert!(error.contains("panicked: in a task (at "), "{error}");
}

#[test]
fn a_task_is_cancelled_before_it_starts_and_after() {
    let mut kernel = Kernel::ready();
    let task = spawn(&mut kernel, "spawn");
    cancel(&kernel, task);
    ended(&mut kernel, task).expect_err("it was cancelled");
    let task = spawn(&mut kernel, "spawn");
    start(&kernel, task);
    let operation = kernel.submitted("worker-fixture.task");
    cancel(&kernel, task);
    kernel.await_heard(&Heard::CancelOperation(operation));
    ended(&mut kernel, task).expect_err("it was cancelled");
}

#[test]
fn frozen_tasks_stand_still_until_they_thaw() {
    let mut kernel = Kernel::ready();
    let task = spawn(&mut kernel, "spawn");
    let frozen = kernel.control(INSTANCE, control::FREEZE);
    kernel.answer(frozen).result.expect("none is under way");
    start(&kernel, task);
    kernel.catch_up();
    // Twice: what was started before the first answer has been looked at by the second.
    kernel.catch_up();
    assert!(!has_submitted(&kernel));
    let thawed = kernel.control(INSTANCE, control::THAW);
    kernel.answer(thawed).result.expect("it thaws");
    let operation = kernel.submitted("worker-fixture.task");
    // A task that waits stands still, too.
    let frozen = kernel.control(INSTANCE, control::FREEZE);
    kernel.answer(frozen).result.expect("none is under way");
    kernel.reply(operation);
    kernel.catch_up();
    kernel.catch_up();
    assert!(!kernel.has_heard(|heard| matches!(heard, Heard::TaskEnded { .. })));
    cancel(&kernel, task);
    ended(&mut kernel, task).expect_err("it was cancelled while it stood still");
}

/// A task that waits for events; answers the operation.
fn listen(kernel: &mut Kernel) -> u64 {
    let call = kernel.begin("listen", &Value::Null);
    let subscribed = kernel.submitted("worker-fixture.event");
    kernel.reply(subscribed);
    kernel.answer(call).result.expect("a task");
    let task = kernel.await_that("a task", |heard| match heard {
        Heard::Spawned(task) => Some(*task),
        _ => None,
    });
    start(kernel, task);
    kernel.submitted(NEXT_EVENT)
}

/// The target of a wait for an event.
const NEXT_EVENT: &str = "";

#[test]
fn no_event_is_waited_for_while_tasks_stand_still() {
    let mut kernel = Kernel::ready();
    let waiting = listen(&mut kernel);
    let frozen = kernel.control(INSTANCE, control::FREEZE);
    kernel.answer(frozen).result.expect("none is under way");
    assert!(kernel.has_heard(|heard| *heard == Heard::CancelOperation(waiting)));
    // It crossed the end of the wait.
    kernel.tell(waiting, 1);
    kernel.catch_up();
    assert!(!has_submitted(&kernel));
    let thawed = kernel.control(INSTANCE, control::THAW);
    kernel.answer(thawed).result.expect("it thaws");
    let again = kernel.submitted(NEXT_EVENT);
    kernel.tell(again, 2);
    let said = kernel.submitted("worker-fixture.heard");
    kernel.reply(said);
    kernel.submitted(NEXT_EVENT);
}

/// A call that waits for an event and does not look at what came; answers the operation.
fn ignore(kernel: &mut Kernel) -> (u64, u64) {
    let call = kernel.begin("ignore", &Value::Null);
    let subscribed = kernel.submitted("worker-fixture.event");
    kernel.reply(subscribed);
    let waiting = kernel.submitted(NEXT_EVENT);
    kernel.tell(waiting, 1);
    // It is here after that.
    kernel.catch_up();
    (call, waiting)
}

#[test]
fn an_event_that_came_and_is_not_taken_is_given_back() {
    let mut kernel = Kernel::ready();
    let (_, waiting) = ignore(&mut kernel);
    let frozen = kernel.control(INSTANCE, control::FREEZE);
    kernel.answer(frozen).result.expect("none is under way");
    assert!(kernel.has_heard(|heard| *heard == Heard::CancelOperation(waiting)));

    let mut kernel = Kernel::ready();
    let (id, waiting) = ignore(&mut kernel);
    kernel.say(&ToWorker::Cancel { id });
    kernel.answer(id).result.expect_err("it was cancelled");
    kernel.await_heard(&Heard::CancelOperation(waiting));
}
