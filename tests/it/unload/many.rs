//! Many generations one after the other: nothing is used up, and nothing grows.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    sync::Arc,
};

use crate::{
    fixtures, trees,
    unload::stage::{Copy, Live, Stage, Worker, check_unmapped, maps, until_unmapped},
};

/// Calls a generation of each copy in turn, on this thread and on workers, and unloads it.
fn check_in_turn(stage: &Stage, copies: &[Copy], workers: &[Worker], count: usize) {
    for copy in copies.iter().cycle().take(count) {
        let mut live = Live::of(&stage.open(copy));
        live.touch();
        for worker in workers {
            live = worker.run(move || {
                live.touch();
                live
            });
        }
        let generation = live.end();
        workers.iter().for_each(Worker::tidy);
        check_unmapped(&generation);
    }
}

#[test]
fn three_thousand_that_ask_for_the_thread_and_then_all_threads_end() {
    let (stage, workers) = (Stage::new(), [Worker::new("first"), Worker::new("second")]);
    check_in_turn(&stage, &[stage.copy("asks-thread")], &workers, 3_000);
    workers.into_iter().for_each(Worker::end);
}

#[test]
fn newer_and_older_ones_in_turn() {
    let stage = Stage::new();
    let copies = [
        stage.copy_of(trees::newer_plugin()),
        stage.copy("configured"),
        stage.copy_of(trees::newer_plugin()),
    ];
    todo!()
}
