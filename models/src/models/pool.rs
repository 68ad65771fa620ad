//! The pool: work is queued while the threads that do it look for some, fall asleep or are blocked.

use std::{sync::Arc, time::Duration};

use loom::thread::{self, JoinHandle};

use crate::{
    line::{Line, Worker},
    sync::{Condvar, Mutex},
};

/// A line, and how often a thread looks again: more is more of the same.
type Work<const LOOKS: usize> = Arc<Line<Job, LOOKS>>;

/// What is to be done.
enum Job {
    /// Ends when the other job was done.
    Block(Arc<Done>),
    Mark(Arc<Done>),
}

/// How many jobs were done.
struct Done {
    jobs: Mutex<usize>,
    changed: Condvar,
}

impl Done {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            jobs: Mutex::new(0),
            changed: Condvar::new(),
        })
    }

    fn mark(&self) {
        *self.jobs.lock() += 1;
        self.changed.notify_all();
    }

    fn wait_for(&self, jobs: usize) {
        let mut done = self.jobs.lock();
        while *done < jobs {
            self.changed.wait(&mut done);
        }
    }
}

impl Job {
    fn run(self) {
        match self {
            Self::Mark(done) => done.mark(),
            Self::Block(done) => {
                done.wait_for(1);
                done.mark();
            }
        }
    }
}

fn serve<const LOOKS: usize>(line: &Work<LOOKS>, worker: Arc<Worker>) -> JoinHandle<()> {
    let line = line.clone();
    thread::spawn(move || line.serve(&worker, Job::run, || ()))
}

fn join(thread: JoinHandle<()>) {
    thread.join().expect("it ends");
}

/// Two threads serve: what is queued second is done although the first waits for it.
pub(super) fn wakes() {
    let (line, done) = (Work::<1>::new(Line::new()), Done::new());
    let threads = [(); 2].map(|()| serve(&line, line.admit()));
    line.push(Job::Block(done.clone()));
    line.push(Job::Mark(done.clone()));
    done.wait_for(2);
    line.end();
    threads.into_iter().for_each(join);
}

/// As [`wakes`], but what the one waits for is queued by another thread.
pub(super) fn wakes_for_two() {
    let (line, done) = (Work::<1>::new(Line::new()), Done::new());
    let threads = [(); 2].map(|()| serve(&line, line.admit()));
    let other = {
        let (line, done) = (line.clone(), done.clone());
        thread::spawn(move || line.push(Job::Mark(done)))
    };
    line.push(Job::Block(done.clone()));
    done.wait_for(2);
    join(other);
    line.end();
    threads.into_iter().for_each(join);
}

/// One thread serves, and sleeps at once: it is woken for what comes after that, too.
pub(super) fn wakes_again() {
    let (line, done) = (Work::<0>::new(Line::new()), Done::new());
    let served = serve(&line, line.admit());
    for jobs in 1..=2 {
        line.push(Job::Mark(done.clone()));
        done.wait_for(jobs);
    }
    line.end();
    join(served);
}

/// One thread serves, and another is started when the first is blocked.
pub(super) fn watches() {
    let (line, done) = (Work::<1>::new(Line::new()), Done::new());
    let first = serve(&line, line.admit());
    let watcher = {
        let line = line.clone();
        thread::spawn(move || {
            let start = |worker| drop(serve(&line, worker));
            line.watch(Duration::ZERO, start);
        })
    };
    line.push(Job::Block(done.clone()));
    line.push(Job::Mark(done.clone()));
    done.wait_for(2);
    line.end();
    [first, watcher].into_iter().for_each(join);
}

/// Something is queued while the end comes: it is done or dropped.
pub(super) fn ends() {
    let (line, done) = (Work::<1>::new(Line::new()), Done::new());
    let served = serve(&line, line.admit());
    let other = {
        let (line, done) = (line.clone(), done.clone());
        thread::spawn(move || line.push(Job::Mark(done)))
    };
    line.end();
    [served, other].into_iter().for_each(join);
    assert_eq!(Arc::strong_count(&done), 1, "something is queued");
}
