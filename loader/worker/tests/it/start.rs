//! How a worker begins, and what it does not begin with.

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
};

use octa_wire::ToWorker;
use serde_json::json;

use crate::kernel::{INSTANCE, Kernel, RING_BYTES, hello, library};

fn check_end(mut kernel: Kernel, code: i32, line: &str) {
    let (status, lines) = kernel.end();
    assert_eq!((status.code(), lines.trim_end()), (Some(code), line));
}

#[test]
fn it_is_no_worker_by_itself() {
    let run = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_octa-worker"));
        let output = program.args(arguments).stdin(Stdio::null()).output();
        let output = output.expect("it runs");
        let lines = String::from_utf8(output.stderr).expect("text");
        (output.status.code(), lines)
    };
    let (code, line) = run(&[]);
    assert_eq!(code, Some(64));
    assert!(
        line.contains("is started by the Octamillia kernel"),
        "{line}"
    );
    let (code, line) = run(&[octa_worker::ARGUMENT, "x"]);
    assert_eq!(code, Some(64));
    assert!(line.contains("with a connection as its input"), "{line}");
}

#[test]
fn it_answers_over_rings_and_without() {
    for ring_bytes in [RING_BYTES, 0] {
        let mut kernel = Kernel::greeted(ring_bytes);
        kernel.catch_up();
        kernel.say(&ToWorker::Goodbye);
        check_end(kernel, 0, "");
    }
}

#[test]
fn a_kernel_of_another_protocol_is_told_both_versions() {
    let mut kernel = Kernel::silent(RING_BYTES);
    // Of the rest nothing is known.
    let welcome = kernel.greet(&json!({"protocol": {"major": 2, "minor": 7}, "new": [1]}));
    assert_eq!(welcome["protocol"], json!({"major": 1, "minor": 0}));
    check_end(
        kernel,
        76,
        "the kernel speaks protocol 2.7, this worker 1.0 (hint: install both from one release)",
    );
}

#[test]
fn a_newer_kernel_may_say_more() {
    let mut kernel = Kernel::silent(0);
    let mut hello = hello(0);
    hello["protocol"]["minor"] = json!(9);
    hello["news"] = json!(true);
    kernel.greet(&hello);
    kernel.catch_up();
}

#[test]
fn garbage_ends_it() {
    let check = |frame: &[u8], code: i32, line: &str| {
        let kernel = Kernel::silent(0);
        kernel.link().send(frame).expect("it is sent");
        check_end(kernel, code, line);
    };
    check(
        &[1, 0, 0, 0, 0x7f],
        65,
        "the kernel said something that makes no sense: \
         a frame of kind 0x7f, expected one of `ToWorker`",
    );
    check(
        &[0xff; 8],
        74,
        "the other process broke the protocol: a frame of `4294967295` bytes, where 1 to \
         67174400 were expected",
    );
    let mut ping = Vec::new();
    ToWorker::Ping { number: 1 }.encode(&mut ping);
    check(
        &ping,
        65,
        "the kernel spoke out of turn: `anything but Hello`",
    );
    let mut hello = Vec::new();
    ToWorker::Hello(b"?").encode(&mut hello);
    check(
        &hello,
        65,
        "the kernel said something that makes no sense: expected value at line 1 column 1",
    );
}

#[test]
fn what_is_not_there_ends_it() {
    let unknown = |message: ToWorker<'_>, line: &str| {
        let kernel = Kernel::greeted(RING_BYTES);
        kernel.say(&message);
        check_end(kernel, 65, line);
    };
    unknown(
        ToWorker::Destroy { id: 1, instance: 4 },
        "the kernel speaks of instance 4, which is not there",
    );
    unknown(
        ToWorker::Create {
            id: 1,
            instance: 4,
            generation: 8,
            log_level: 0,
            config: b"{}",
        },
        "the kernel speaks of library 8, which is not there",
    );
    unknown(
        ToWorker::Hello(b"{}"),
        "the kernel spoke out of turn: `Hello`",
    );
}

#[test]
fn what_has_just_ended_is_no_news() {
    let mut kernel = Kernel::ready();
    let (instance, task, id) = (INSTANCE, 77, 77);
    kernel.say(&ToWorker::Cancel { id });
    kernel.say(&ToWorker::Cut { id });
    kernel.say(&ToWorker::StartTask { instance, task });
    kernel.say(&ToWorker::CancelTask { instance, task });
    kernel.reply(77);
    let generation = 77;
    kernel.say(&ToWorker::Close { id, generation });
    assert_eq!(kernel.answer(id).number, 1);
    kernel.catch_up();
}

#[test]
fn it_ends_with_the_kernel_whatever_runs() {
    for runs in ["block", "block_as_declared", "hang", "yield"] {
        let mut kernel = Kernel::ready();
        kernel.begin(runs, &json!(null));
        kernel.catch_up();
        let (status, lines) = kernel.close();
        assert_eq!((status.code(), lines.as_str()), (Some(0), ""), "{runs}");
    }
}

#[test]
fn it_ends_if_the_kernel_is_gone_before_it_spoke() {
    let kernel = Kernel::silent(RING_BYTES);
    assert_eq!(kernel.close().0.code(), Some(0));
}

#[test]
fn a_plugin_that_aborts_takes_only_it_along() {
    let mut kernel = Kernel::ready();
    kernel.begin("abort", &json!(null));
    let (status, _) = kernel.end();
    assert_eq!(status.signal(), Some(6));
}

#[test]
fn a_confined_worker_does_its_work() {
    let mut hello = hello(RING_BYTES);
    hello["sandbox"] = json!({});
    hello["libraries"] = json!([library().parent()]);
    let mut kernel = Kernel::greeted_with(&hello, RING_BYTES).with_instance();
    let blocked = kernel.begin("block", &json!(null));
    kernel
        .call("release", &json!(null))
        .result
        .expect("it is answered");
    kernel.answer(blocked).result.expect("it is released");
}

#[test]
#[cfg(target_os = "linux")]
fn plugins_find_nothing_that_it_inherits() {
    // What is passed on by mistake.
    let leak = std::fs::File::open("/dev/zero").expect("a file");
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).expect("it is passed on");
    let kernel = Kernel::greeted(RING_BYTES);
    let open = std::fs::read_dir(format!("/proc/{}/fd", kernel.id())).expect("its descriptors");
    let open: Vec<_> = open
        .map(|entry| std::fs::read_link(entry.expect("one").path()).expect("a link"))
        .collect();
    let is_open = |path: &str| open.iter().any(|open| open == std::path::Path::new(path));
    assert!(is_open("/dev/null") && !is_open("/dev/zero"), "{open:?}");
    let memory = open
        .iter()
        .any(|open| open.to_string_lossy().contains("memfd"));
    assert!(!memory, "{open:?}");
    let of = |descriptor: u32| {
        let link = format!("/proc/{}/fd/{descriptor}", kernel.id());
        std::fs::read_link(link).expect("a link")
    };
    assert_eq!(of(0), std::path::Path::new("/dev/null"));
    assert_eq!(of(1), of(2));
}
