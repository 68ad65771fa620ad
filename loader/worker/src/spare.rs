//! Threads to spare: each job has one of its own while it runs, so a job may block it.

use std::{sync::Arc, thread, time::Duration};

use parking_lot::{Condvar, Mutex};

use crate::failure::{EndOnPanic, Failure};

/// How long an idle thread waits for more work.
const KEPT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs, each on a thread of its own while it runs.
#[derive(Default)]
pub(crate) struct Spare(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    idle: usize,
}

impl Spare {
    /// Runs `job` at once.
    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        let mut state = self.0.state.lock();
        state.jobs.push(Box::new(job));
        if state.idle >= state.jobs.len() {
            self.0.work.notify_one();
            return;
        }
        drop(state);
        let shared = self.0.clone();
        let serve = move || {
            let _end = EndOnPanic;
            shared.serve();
        };
        let spawned = thread::Builder::new()
            .name("octa-worker".to_owned())
            .spawn(serve);
        if let Err(source) = spawned {
            Failure::system("start a thread")(source).end();
        }
    }

    /// Wakes the threads that are idle, so that each runs what ended plugins left on it.
    pub(crate) fn nudge(&self) {
        self.0.work.notify_all();
    }
}

impl Shared {
    fn serve(&self) {
        while let Some(job) = self.next() {
            job();
        }
    }

    fn next(&self) -> Option<Job> {
        loop {
            octa_loader::tidy_thread();
            let mut state = self.state.lock();
            if let Some(job) = state.jobs.pop() {
                return Some(job);
            }
            state.idle += 1;
            let waited = self.work.wait_for(&mut state, KEPT);
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
                return None;
            }
        }
    }
}
