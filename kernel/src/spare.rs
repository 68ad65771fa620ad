//! Threads to spare: for what may block, also for ever. Who waits gives up; the thread stays.

use std::{sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::pool::{Keep, spawn_thread};

/// How long an idle thread waits for more work.
const KEPT: Duration = Duration::from_secs(10);

type Job = Box<dyn FnOnce() + Send>;

/// Runs jobs, each on a thread of its own while it runs.
#[derive(Clone)]
pub(crate) struct Spare(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    idle: usize,
    /// What jobs may need as long as they run; gone at the end.
    keep: Option<Keep>,
}

/// The thread ended before the job did: the job panicked.
#[derive(Debug)]
pub(crate) struct Lost;

impl Spare {
    /// Threads of which each holds `keep` until it ends.
    pub(crate) fn new(keep: &Keep) -> Self {
        let state = State {
            keep: Some(keep.clone()),
            ..State::default()
        };
        Self(Arc::new(Shared {
            state: Mutex::new(state),
            work: Condvar::new(),
        }))
    }

    /// Lets idle threads go.
    pub(crate) fn end(&self) {
        self.0.state.lock().keep = None;
        self.0.work.notify_all();
    }

    /// Wakes the threads that are idle, so that each runs what ended plugins left on it.
    pub(crate) fn nudge(&self) {
        self.0.work.notify_all();
    }

    /// Runs `job`; the result can be awaited, or not.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Lost>> + Send + 'static {
        let (tell, told) = oneshot::channel();
        self.push(Box::new(move || drop(tell.send(job()))));
        async move { told.await.map_err(|_| Lost) }
    }

    fn push(&self, job: Job) {
        let mut state = self.0.state.lock();
        state.jobs.push(job);
        if state.idle >= state.jobs.len() {
            self.0.work.notify_one();
            return;
        }
        let (shared, keep) = (self.0.clone(), state.keep.clone());
        drop(state);
        spawn_thread("octa-spare", move || {
            shared.serve();
            drop(keep);
        });
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
            if state.jobs.is_empty() && state.keep.is_some() {
                state.idle += 1;
                let waited = self.work.wait_for(&mut state, KEPT);
                state.idle -= 1;
                let is_nudged = !waited.timed_out() && state.keep.is_some();
                if is_nudged && state.jobs.is_empty() {
                    continue;
                }
            }
            return state.jobs.pop();
        }
    }
}

impl std::fmt::Debug for Spare {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spare")
    }
}

#[cfg(test)]
mod tests {
    use octa_plugin_api::block_on;

    use super::*;

    fn spare() -> Spare {
        let keep: Keep = Arc::new(());
        Spare::new(&keep)
    }

    #[test]
    fn one_blocked_job_holds_up_no_other() {
        let spare = spare();
        let (release, blocked) = std::sync::mpsc::channel::<()>();
        let stuck = spare.run(move || {
            let _ = blocked.recv();
        });
        assert_eq!(block_on(spare.run(|| 7)).expect("it runs"), 7);
        drop(release);
        block_on(stuck).expect("it was released");
    }

    #[test]
    fn a_panic_is_told() {
        let spare = spare();
        block_on(spare.run(|| panic!("on purpose"))).expect_err("it panicked");
        assert_eq!(block_on(spare.run(|| 7)).expect("others run on"), 7);
    }
}
