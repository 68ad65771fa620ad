//! The threads that run plugins' tasks and event handlers: a plugin may block one, and another
//! takes its place.

use std::{any::Any, future::Future, sync::Arc, thread, time::Duration};

use async_task::{Runnable, Task};
use parking_lot::Mutex;

mod line;

use line::{Line, Worker};

/// How long a thread may run one piece of work while others wait before another takes its place.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often a thread looks for work again before it sleeps; some microseconds in all.
const LOOKS: usize = 32;

/// Runs futures on threads that may be blocked, until it is ended.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    /// For threads to come; gone at the end.
    keep: Mutex<Option<Keep>>,
    line: Line<Runnable, LOOKS>,
}

/// What has to be there as long as a thread may use it.
pub(crate) type Keep = Arc<dyn Any + Send + Sync>;

impl Pool {
    /// A pool of so many threads that are not blocked. Each holds `keep`, which the futures may
    /// need as long as they are polled, until it ends.
    pub(crate) fn new(threads: usize, keep: &Keep) -> Self {
        let shared = Arc::new(Shared {
            keep: Mutex::new(Some(keep.clone())),
            line: Line::new(),
        });
        for _ in 0..threads.max(1) {
            Shared::start(&shared, shared.line.admit());
        }
        let watcher = shared.clone();
        spawn_thread("octa-pool-watch", move || watcher.watch());
        Self(shared)
    }

    /// Runs a future until it ends or what is returned is dropped.
    #[must_use = "dropping it ends the future"]
    pub(crate) fn start(&self, future: impl Future<Output = ()> + Send + 'static) -> Task<()> {
        let shared = Arc::downgrade(&self.0);
        let schedule = move |runnable| {
            if let Some(shared) = shared.upgrade() {
                shared.line.push(runnable);
            }
        };
        let (runnable, task) = async_task::spawn(future, schedule);
        runnable.schedule();
        task
    }

    /// Runs a future to its end.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.start(future).detach();
    }

    /// Ends it: what is queued is dropped, blocked threads end when they come back.
    pub(crate) fn end(&self) {
        self.0.line.end();
        self.0.keep.lock().take();
    }

    /// Waits until all is done that was to be done; for tests, on a pool of one thread.
    #[cfg(test)]
    pub(crate) fn settle(&self) {
        // Twice, since what is done first may leave something to another thread.
        for _ in 0..2 {
            let (tell, told) = std::sync::mpsc::channel::<()>();
            self.spawn(async move { drop(tell) });
            told.recv().expect_err("only its end is told");
            while self.0.line.is_busy() {
                thread::yield_now();
            }
        }
    }

    /// Wakes the threads that sleep, so that each runs what ended plugins left on it.
    pub(crate) fn nudge(&self) {
        self.0.line.nudge();
    }
}

impl Shared {
    fn start(this: &Arc<Self>, worker: Arc<Worker>) {
        let (shared, keep) = (this.clone(), this.keep.lock().clone());
        spawn_thread("octa-pool", move || {
            let run = |runnable: Runnable| _ = runnable.run();
            shared.line.serve(&worker, run, octa_loader::tidy_thread);
            drop(keep);
        });
    }

    fn watch(self: &Arc<Self>) {
        self.line.watch(PATIENCE, |worker| {
            log::warn!(
                "a plugin blocks a thread for more than {PATIENCE:?} while others wait; another thread takes its place"
            );
            Self::start(self, worker);
        });
    }
}

/// Starts a thread that ends by itself.
pub(crate) fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    if let Err(error) = spawned {
        log::error!("cannot start the thread `{name}`: {error}");
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn keep() -> Keep {
        Arc::new(())
    }

    #[test]
    fn blocked_threads_are_replaced() {
        let pool = Pool::new(1, &keep());
        let (release, blocked) = mpsc::channel::<()>();
        pool.spawn(async move {
            let _ = blocked.recv();
        });
        let (tell, told) = mpsc::channel();
        pool.spawn(async move {
            let _ = tell.send(());
        });
        told.recv().expect("it runs on another thread");
        assert_eq!(pool.0.line.threads(), 2);
        drop(release);
    }

    #[test]
    fn what_waits_behind_blocked_threads_is_done() {
        let pool = Pool::new(2, &keep());
        let releases: Vec<_> = (0..6)
            .map(|_| {
                let (release, blocked) = mpsc::channel::<()>();
                pool.spawn(async move {
                    let _ = blocked.recv();
                });
                release
            })
            .collect();
        let (tell, told) = mpsc::channel();
        pool.spawn(async move {
            let _ = tell.send(());
        });
        told.recv().expect("a seventh thread does it");
        drop(releases);
    }

    #[test]
    fn what_is_queued_is_dropped_at_the_end() {
        let pool = Pool::new(1, &keep());
        let (tell, told) = mpsc::channel::<()>();
        pool.spawn(async move {
            std::future::pending::<()>().await;
            drop(tell);
        });
        pool.end();
        told.recv().expect_err("the future was dropped");
    }

    #[test]
    fn what_is_kept_is_gone_after_the_last_thread() {
        struct Tell(mpsc::Sender<()>);
        impl Drop for Tell {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (tell, told) = mpsc::channel();
        let keep: Keep = Arc::new(Mutex::new(Tell(tell)));
        let pool = Pool::new(2, &keep);
        drop(keep);
        told.try_recv().expect_err("threads hold it");
        pool.end();
        told.recv().expect("the last one let it go");
    }
}
