//! Calls and deliveries, however long their code takes.

use std::path::Path;

use octa_wire::{Event, ToWorker};
use serde_json::{Value, json};

use crate::kernel::{GENERATION, Heard, INSTANCE, Kernel, RING_BYTES, Reply, inspected, library};

const NOTHING: Value = Value::Null;

fn deliver(kernel: &mut Kernel, numbers: &[u32]) -> u64 {
    let id = kernel.next();
    let payloads: Vec<_> = numbers.iter().map(u32::to_string).collect();
    let event = |payload| Event {
        id: 1,
        topic: "worker-fixture.in",
        source: "test",
        payload,
        ..Event::default()
    };
    kernel.say(&ToWorker::Deliver {
        id,
        instance: INSTANCE,
        handler: 0,
        events: payloads.iter().map(|text| event(text.as_bytes())).collect(),
    });
    id
}

#[test]
fn calls_are_answered_over_rings_and_without() {
    for ring_bytes in [RING_BYTES, 0] {
        let mut kernel = Kernel::ready_over(ring_bytes);
        for round in 0..100 {
            let text = json!(format!("hello {round}"));
            let reply = kernel.call("echo", &text);
            assert_eq!(reply.result, Ok(text.to_string()));
        }
    }
}

#[test]
fn what_is_large_goes_through() {
    let mut kernel = Kernel::ready();
    let text = json!("x".repeat(5 * RING_BYTES));
    assert_eq!(kernel.call("echo", &text).result, Ok(text.to_string()));
}

#[test]
fn errors_come_with_their_hints() {
    let mut kernel = Kernel::ready();
    let reply = kernel.call("fail", &NOTHING);
    assert_eq!(
        reply.result,
        Err("failed: as asked (hint: do not ask)".to_owned())
    );
}

#[test]
fn why_a_library_does_not_open_is_told_in_full() {
    let mut kernel = Kernel::greeted(RING_BYTES);
    let reply = kernel.open(&inspected(), Path::new("/nowhere/at all.so"));
    let error = reply.result.expect_err("there is none");
    assert!(
        error.contains("cannot open the library of plugin `octa-worker`: "),
        "{error}"
    );
    assert!(error.contains("/nowhere/at all.so"), "{error}");
    assert!(
        error.contains("(hint: build the plugin on a system no newer"),
        "{error}"
    );
    // It may be tried again.
    assert_eq!(
        kernel.open(&inspected(), &library()).result,
        Ok(String::new())
    );
}

#[test]
fn an_operation_is_answered_by_the_kernel() {
    let mut kernel = Kernel::ready();
    let call = kernel.begin("publish", &json!("hello"));
    let operation = kernel.submitted("worker-fixture.said");
    kernel.reply(operation);
    assert_eq!(kernel.answer(call).result, Ok("3".to_owned()));
}

#[test]
fn a_thread_of_the_plugins_own_reaches_the_kernel() {
    let mut kernel = Kernel::ready();
    let call = kernel.begin("call", &NOTHING);
    let operation = kernel.submitted("other.echo");
    kernel.reply(operation);
    kernel.answer(call).result.expect("it is answered");
}

#[test]
fn what_never_waits_holds_up_nobody() {
    let mut kernel = Kernel::ready();
    let id = kernel.begin("yield", &NOTHING);
    kernel
        .call("echo", &json!("go on"))
        .result
        .expect("it is answered");
    kernel.say(&ToWorker::Cancel { id });
    kernel.answer(id).result.expect_err("it was cancelled");
}

#[test]
fn the_clocks_are_read_at_once() {
    let mut kernel = Kernel::ready();
    let year: u64 = kernel
        .call("year", &NOTHING)
        .result
        .expect("a year")
        .parse()
        .expect("one");
    assert!(year > 2020, "{year}");
}

#[test]
fn lines_for_the_log_come_through() {
    let mut kernel = Kernel::ready();
    kernel
        .call("log", &json!("a line"))
        .result
        .expect("it logs");
    kernel.await_heard(&Heard::Log {
        level: 2,
        message: "a line".to_owned(),
    });
}

#[test]
fn a_handler_that_blocks_holds_up_nobody() {
    for blocks in ["block", "block_as_declared"] {
        let mut kernel = Kernel::ready();
        let blocked: Vec<_> = (0..4).map(|_| kernel.begin(blocks, &NOTHING)).collect();
        kernel.catch_up();
        kernel
            .call("echo", &json!("go on"))
            .result
            .expect("it is answered");
        assert!(!kernel.has_heard(|heard| matches!(heard, Heard::Answer { .. })));
        kernel
            .call("release", &NOTHING)
            .result
            .expect("it is answered");
        for call in blocked {
            kernel.answer(call).result.expect("it is answered");
        }
    }
}

#[test]
fn what_is_woken_is_not_lost_when_a_handler_blocks() {
    let mut kernel = Kernel::ready();
    let waiting = kernel.begin("publish", &json!("hello"));
    let operation = kernel.submitted("worker-fixture.said");
    // The reply is handled, and what it wakes is queued, while the handler blocks.
    kernel.begin("block", &NOTHING);
    kernel.reply(operation);
    kernel.answer(waiting).result.expect("it is answered");
}

#[test]
fn a_call_that_is_cancelled_is_dropped_and_answered() {
    let mut kernel = Kernel::ready();
    let id = kernel.begin("hang", &NOTHING);
    kernel.catch_up();
    kernel.say(&ToWorker::Cancel { id });
    // It asks for something in its drop, and blocks until it has it.
    let operation = kernel.submitted("worker-fixture.given_up");
    kernel.catch_up();
    assert!(!kernel.has_heard(|heard| matches!(heard, Heard::Answer { .. })));
    kernel.reply(operation);
    let error = kernel.answer(id).result.expect_err("it was cancelled");
    assert!(error.starts_with("interrupted: "), "{error}");
}

#[test]
fn a_call_that_is_cancelled_while_it_blocks_is_answered_after_that() {
    let mut kernel = Kernel::ready();
    let id = kernel.begin("block_and_hang", &NOTHING);
    kernel.catch_up();
    kernel.say(&ToWorker::Cancel { id });
    kernel.catch_up();
    assert!(!kernel.has_heard(|heard| matches!(heard, Heard::Answer { .. })));
    kernel
        .call("release", &NOTHING)
        .result
        .expect("it is answered");
    kernel.answer(id).result.expect_err("it was cancelled");
}

#[test]
fn operations_of_what_is_cancelled_are_cancelled() {
    let mut kernel = Kernel::ready();
    let id = kernel.begin("publish", &json!("hello"));
    let operation = kernel.submitted("worker-fixture.said");
    kernel.say(&ToWorker::Cancel { id });
    kernel.await_heard(&Heard::CancelOperation(operation));
    kernel.answer(id).result.expect_err("it was cancelled");
}

#[test]
fn each_event_that_is_handled_is_told() {
    let mut kernel = Kernel::ready();
    let id = deliver(&mut kernel, &[1, 2, 3]);
    kernel.answer(id).result.expect("all are handled");
    for _ in 0..3 {
        assert!(kernel.has_heard(|heard| *heard == Heard::Handled(id)));
        kernel.await_heard(&Heard::Handled(id));
    }
}

#[test]
fn a_delivery_ends_at_the_event_that_fails() {
    let mut kernel = Kernel::ready();
    let id = deliver(&mut kernel, &[1, 13, 3]);
    let error = kernel.answer(id).result.expect_err("the second one fails");
    assert_eq!(error, "failed: an unlucky number");
    kernel.await_heard(&Heard::Handled(id));
    assert!(!kernel.has_heard(|heard| *heard == Heard::Handled(id)));
}

#[test]
fn a_delivery_that_is_cut_begins_no_further_event() {
    let mut kernel = Kernel::ready();
    let id = deliver(&mut kernel, &[1, 7, 13]);
    kernel.catch_up();
    kernel.say(&ToWorker::Cut { id });
    kernel.catch_up();
    kernel
        .call("release", &NOTHING)
        .result
        .expect("it is answered");
    kernel
        .answer(id)
        .result
        .expect("the last one, which would fail, is not begun");
    kernel.await_heard(&Heard::Handled(id));
    kernel.await_heard(&Heard::Handled(id));
}

#[test]
fn an_instance_goes_when_none_of_its_code_runs() {
    let mut kernel = Kernel::ready();
    let blocked = kernel.begin("block", &NOTHING);
    kernel.catch_up();
    let destroy = |kernel: &mut Kernel| {
        let id = kernel.next();
        let instance = INSTANCE;
        kernel.say(&ToWorker::Destroy { id, instance });
        kernel.answer(id)
    };
    let done = |number| Reply {
        number,
        result: Ok(String::new()),
    };
    kernel
        .call("echo", &json!("go on"))
        .result
        .expect("it is answered");
    // It is asked for before that, and its gate is closed by this.
    kernel.begin("release", &NOTHING);
    kernel.answer(blocked).result.expect("it is released");
    assert_eq!(destroy(&mut kernel), done(1));
    let id = kernel.next();
    kernel.say(&ToWorker::Close {
        id,
        generation: GENERATION,
    });
    let closed = kernel.answer(id);
    assert!(
        closed.number == 1 || closed.result != Ok(String::new()),
        "{closed:?}"
    );
}
