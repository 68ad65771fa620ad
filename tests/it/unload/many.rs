//! Many generations one after the other: nothing is used up, and nothing grows.

use std::{
    env, fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
};

use serde_json::json;

use crate::{
    fixtures, trees,
    unload::stage::{Copy, Live, Stage, Worker, check_unmapped, maps, until_unmapped},
};

/// Brings a copy to life, has it called on this thread and on workers, and unloads it.
fn check_life(stage: &Stage, copy: &Copy, workers: &[Worker], call: fn(&Live)) {
    let mut live = Live::of(&stage.open(copy));
    call(&live);
    for worker in workers {
        live = worker.run(move || {
            call(&live);
            live
        });
    }
    let generation = live.end();
    workers.iter().for_each(Worker::tidy);
    check_unmapped(&generation);
}

fn touch(live: &Live) {
    live.touch();
}

#[test]
fn three_thousand_ask_for_the_thread_and_then_all_threads_end() {
    let (stage, workers) = (Stage::new(), [Worker::new("first"), Worker::new("second")]);
    let copy = stage.copy("asks-thread");
    for _ in 0..3_000 {
        check_life(&stage, &copy, &workers, touch);
    }
    workers.into_iter().for_each(Worker::end);
}

#[test]
fn newer_and_older_ones_in_turn() {
    let stage = Stage::new();
    let copies = [stage.copy_of(trees::newer_plugin()), stage.copy("desk")];
    let log = |live: &Live| drop(live.call(3, &json!("hello")));
    for copy in copies.iter().cycle().take(1_000) {
        check_life(&stage, copy, &[], log);
    }
}

#[test]
fn a_plugin_of_another_compiler() {
    if let Some(library) = fixtures::foreign_library("leaves-local") {
        let (stage, workers) = (Stage::new(), [Worker::new("foreign")]);
        let copy = stage.copy_of(&library);
        for _ in 0..20 {
            check_life(&stage, &copy, &workers, touch);
        }
        workers.into_iter().for_each(Worker::end);
    }
}

#[test]
fn fifty_servers_with_a_runtime_of_their_own() {
    let stage = Stage::new();
    for _ in 0..50 {
        let live = stage.live("serves-tcp");
        let port = live
            .touch()
            .as_u64()
            .and_then(|port| u16::try_from(port).ok());
        let mut stream = TcpStream::connect(("127.0.0.1", port.expect("a port"))).expect("served");
        stream.write_all(b"hello").expect("it reads");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).expect("it answers");
        assert_eq!(&answer, b"hello");
        let generation = live.end();
        // Its threads were joined; the last of their destructors may run a moment longer.
        until_unmapped(&generation);
    }
}

/// The variable that tells a test that it is alone in its process.
const ALONE: &str = "OCTA_TEST_ALONE";

/// In a process of its own: other tests map and allocate, too.
#[test]
fn five_hundred_leave_no_mapping_and_no_memory() {
    if fixtures::variable(ALONE).is_some() {
        return check_flat();
    }
    let name = "unload::many::five_hundred_leave_no_mapping_and_no_memory";
    let mut test = Command::new(env::current_exe().expect("this program"));
    let output = test.args(["--exact", name]).env(ALONE, "1").output();
    let output = output.expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("1 passed"), "{told}");
}

fn check_flat() {
    let (stage, workers) = (Stage::new(), [Worker::new("flat")]);
    let live = |count| {
        for _ in 0..count {
            for fixture in ["leaves-local", "joins-thread", "brings-library"] {
                let copy = stage.copy(fixture);
                check_life(&stage, &copy, &workers, touch);
                copy.staged.remove().expect("nobody holds it");
            }
        }
        (maps().lines().count(), resident())
    };
    let before = live(50);
    let after = live(500);
    assert_eq!(after.0, before.0, "mappings");
    let grown = after.1.saturating_sub(before.1);
    assert!(
        grown * 100 <= before.1,
        "{} pages, then {}",
        before.1,
        after.1
    );
}

/// The pages of this process that are in memory.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").expect("Linux");
    let resident = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    resident.expect("a number")
}
