//! What is left on threads of the host: thread-locals with destructors, and values of keys.

use std::{
    cell::RefCell,
    path::PathBuf,
    sync::{Arc, Barrier, Mutex},
    task::Context,
};

use octa_loader::{BoxFuture, Generation, Host, LogLine, Request, Submitted};
use serde_json::json;

use crate::unload::stage::{
    Live, Nobody, Stage, Worker, causes, check_kept, check_unmapped, until_unmapped,
};

#[test]
fn a_local_of_the_thread_that_unloads() {
    let stage = Stage::new();
    let (live, file) = (stage.live("leaves-local"), stage.path("destroyed"));
    live.call(0, &json!(file));
    check_unmapped(&live.end());
    assert!(file.exists(), "the destructor has run");
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

/// A generation that left a thread-local on a worker, and nothing else.
struct Left {
    generation: Arc<Generation>,
    /// Written by the destructor.
    file: PathBuf,
}

impl Left {
    fn on(worker: &Worker, stage: &Stage) -> Self {
        let (live, file) = (stage.live("leaves-local"), stage.path("destroyed"));
        let input = json!(file);
        let live = worker.run(move || {
            live.call(0, &input);
            live
        });
        let generation = live.end();
        Self { generation, file }
    }

    #[track_caller]
    fn check_waits(&self, thread: &str) {
        let cause = format!("destructor pending on thread `{thread}`");
        check_kept(&self.generation, &[&cause]);
        assert!(!self.file.exists());
    }

    #[track_caller]
    fn check_destroyed(&self) {
        assert!(self.file.exists(), "the destructor has run");
        check_unmapped(&self.generation);
    }
}

#[test]
fn a_local_of_an_idle_thread_goes_when_that_ends() {
    let (stage, worker) = (Stage::new(), Worker::new("idle-one"));
    let left = Left::on(&worker, &stage);
    left.check_waits("idle-one");
    worker.end();
    left.check_destroyed();
}

#[test]
fn a_local_of_an_idle_thread_goes_when_that_tidies() {
    let (stage, worker) = (Stage::new(), Worker::new("idle-two"));
    let left = Left::on(&worker, &stage);
    left.check_waits("idle-two");
    worker.tidy();
    left.check_destroyed();
    worker.end();
}

#[test]
fn a_local_goes_at_the_end_of_the_next_call_of_any_plugin() {
    let (stage, worker) = (Stage::new(), Worker::new("busy"));
    let left = Left::on(&worker, &stage);
    left.check_waits("busy");
    let other = stage.live("asks-thread");
    let other = worker.run(move || {
        other.touch();
        other
    });
    left.check_destroyed();
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

/// A host that has a thread-local of its own, and notes whether it can be used in a log line.
struct Notes(Arc<Mutex<Vec<(String, bool)>>>);

thread_local! {
    static OWN: RefCell<String> = const { RefCell::new(String::new()) };
}

fn own_is_there() -> bool {
    OWN.try_with(|own| own.borrow_mut().push('x')).is_ok()
}

impl Host for Notes {
    fn submit(&self, request: &Request<'_>, cx: &mut Context<'_>) -> Submitted {
        Nobody.submit(request, cx)
    }

    fn drive(&self, _: BoxFuture<()>) {}

    fn run_task(&self, _: BoxFuture<()>) {}

    fn log(&self, line: &LogLine<'_>) {
        let mut notes = self.0.lock().expect("no panic");
        notes.push((line.message.to_owned(), own_is_there()));
    }
}

/// Destructors run in the order in which thread-locals were made, the host's among them.
#[test]
fn a_local_is_destroyed_before_those_that_the_host_had() {
    let (stage, worker) = (Stage::new(), Worker::new("in-order"));
    let notes = Arc::new(Mutex::new(Vec::new()));
    let generation = stage.open(&stage.copy("logs-at-end"));
    let live = Live::with(&generation, Notes(notes.clone()));
    let live = worker.run(move || {
        assert!(own_is_there());
        live.touch();
        live
    });
    worker.end();
    let noted = notes.lock().expect("no panic").clone();
    assert_eq!(noted, [("touched: true".to_owned(), true)]);
    check_unmapped(&live.end());
}
