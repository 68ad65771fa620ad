//! What is left on threads of the host: thread-locals with destructors, and values of keys.

use std::sync::{Arc, Barrier};

use crate::unload::stage::{Stage, Worker, causes, check_kept, check_unmapped, until_unmapped};

#[test]
fn a_local_of_the_thread_that_unloads() {
    let live = Stage::new().live("leaves-local");
    live.touch();
    check_unmapped(&live.end());
}

#[test]
fn a_local_that_is_touched_while_the_library_is_loaded() {
    let live = Stage::new().live("local-on-load");
    assert_eq!(live.touch(), "loaded");
    check_unmapped(&live.end());
}

#[test]
fn a_local_that_is_touched_while_the_library_is_closed() {
    check_unmapped(&Stage::new().live("local-at-end").end());
}

#[test]
fn a_thread_that_was_waited_for() {
    let live = Stage::new().live("joins-thread");
    assert_eq!(live.touch(), 42);
    check_unmapped(&live.end());
}

/// Touches a thread-local on a worker; answers the generation when its instance is gone.
fn touched_on(worker: &Worker, stage: &Stage) -> Arc<octa_loader::Generation> {
    let live = stage.live("leaves-local");
    let live = worker.run(move || {
        live.touch();
        live
    });
    live.end()
}

#[test]
fn a_local_of_an_idle_thread_goes_when_that_ends() {
    let (stage, worker) = (Stage::new(), Worker::new("idle-one"));
    let generation = touched_on(&worker, &stage);
    check_kept(&generation, &["destructor pending on thread `idle-one`"]);
    worker.end();
    check_unmapped(&generation);
}

#[test]
fn a_local_of_an_idle_thread_goes_when_that_tidies() {
    let (stage, worker) = (Stage::new(), Worker::new("idle-two"));
    let generation = touched_on(&worker, &stage);
    check_kept(&generation, &["destructor pending on thread `idle-two`"]);
    worker.tidy();
    check_unmapped(&generation);
    worker.end();
}

#[test]
fn a_local_goes_at_the_end_of_the_next_call_of_any_plugin() {
    let (stage, worker) = (Stage::new(), Worker::new("busy"));
    let generation = touched_on(&worker, &stage);
    let other = stage.live("asks-thread");
    let other = worker.run(move || {
        other.touch();
        other
    });
    check_unmapped(&generation);
    worker.end();
    check_unmapped(&other.end());
}

#[test]
fn many_threads_call_while_it_retires() {
    const THREADS: usize = 8;
    let stage = Stage::new();
    let other = Arc::new(stage.live("asks-thread"));
    for _ in 0..20 {
        let live = Arc::new(stage.live("leaves-local"));
        let begun = Arc::new(Barrier::new(THREADS + 1));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (live, other, begun) = (live.clone(), other.clone(), begun.clone());
                std::thread::spawn(move || {
                    live.touch();
                    drop(live);
                    begun.wait();
                    for _ in 0..100 {
                        other.touch();
                    }
                })
            })
            .collect();
        begun.wait();
        let live = Arc::into_inner(live).expect("each thread has let go");
        until_unmapped(&live.end());
        for thread in threads {
            thread.join().expect("no panic");
        }
    }
    let other = Arc::into_inner(other).expect("all threads have ended");
    check_unmapped(&other.end());
}

#[test]
fn a_generation_in_use_is_kept() {
    let live = Stage::new().live("leaves-local");
    live.touch();
    let generation = live.generation();
    assert_eq!(causes(&generation.unload()), ["still in use"]);
    live.touch();
    check_unmapped(&live.end());
}
