//! The threads that run plugins' tasks and event handlers: a plugin may block one, and another
//! takes its place.

use std::{
    any::Any,
    collections::VecDeque,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use async_task::{Runnable, Task};
use parking_lot::{Condvar, Mutex};

/// How long a thread may run one piece of work while others wait before another takes its place.
const PATIENCE: Duration = Duration::from_millis(100);
/// The most threads at once; beyond it work waits.
const MOST: usize = 256;

/// Runs futures on threads that may be blocked, until it is ended.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    wanted: usize,
    /// For threads to come; gone at the end.
    keep: Mutex<Option<Keep>>,
    state: Mutex<State>,
    /// Wakes a thread for work, or at the end.
    work: Condvar,
    /// Wakes the watcher when work waits for a thread.
    pressure: Condvar,
}

/// What has to be there as long as a thread may use it.
pub(crate) type Keep = Arc<dyn Any + Send + Sync>;

#[derive(Default)]
struct State {
    queue: VecDeque<Runnable>,
    idle: usize,
    /// A thread was woken and has not looked yet; it wakes the next if there is more to do.
    waking: bool,
    /// The watcher sleeps until work waits for a thread.
    watcher_sleeps: bool,
    workers: Vec<Arc<Worker>>,
    ended: bool,
}

#[derive(Default)]
struct Worker {
    /// Counts what it ran; odd while it runs something.
    count: AtomicU64,
    /// Another thread has taken its place: it ends when it comes back.
    replaced: AtomicBool,
}

impl Pool {
    /// A pool of so many threads that are not blocked. Each holds `keep`, which the futures may
    /// need as long as they are polled, until it ends.
    pub(crate) fn new(threads: usize, keep: &Keep) -> Self {
        let shared = Arc::new(Shared {
            wanted: threads.max(1),
            keep: Mutex::new(Some(keep.clone())),
            state: Mutex::default(),
            work: Condvar::new(),
            pressure: Condvar::new(),
        });
        for _ in 0..shared.wanted {
            Shared::add_worker(&shared, &mut shared.state.lock());
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
                shared.schedule(runnable);
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
        let queue = {
            let mut state = self.0.state.lock();
            state.ended = true;
            std::mem::take(&mut state.queue)
        };
        self.0.keep.lock().take();
        self.0.work.notify_all();
        self.0.pressure.notify_all();
        // Dropping what was queued may schedule others: not under the lock.
        drop(queue);
    }

    /// How many threads there are, blocked ones included.
    #[cfg(test)]
    fn threads(&self) -> usize {
        self.0.state.lock().workers.len()
    }
}

impl Shared {
    fn schedule(&self, runnable: Runnable) {
        let mut state = self.state.lock();
        if state.ended {
            drop(state);
            drop(runnable);
            return;
        }
        state.queue.push_back(runnable);
        self.see_to_queue(&mut state);
    }

    /// Sees to it that what is queued is done, however long the threads at work take: wakes an
    /// idle thread, one after the other, since the first may well do all there is to do, or the
    /// watcher.
    fn see_to_queue(&self, state: &mut State) {
        if state.idle > 0 {
            if !state.waking {
                state.waking = true;
                self.work.notify_one();
            }
        } else if state.watcher_sleeps {
            state.watcher_sleeps = false;
            self.pressure.notify_one();
        }
    }

    fn add_worker(this: &Arc<Self>, state: &mut State) {
        let worker = Arc::new(Worker::default());
        state.workers.push(worker.clone());
        let (shared, keep) = (this.clone(), this.keep.lock().clone());
        spawn_thread("octa-pool", move || {
            shared.run(&worker);
            drop(keep);
        });
    }

    fn run(&self, worker: &Arc<Worker>) {
        while let Some(runnable) = self.next(worker) {
            worker.count.fetch_add(1, Ordering::Relaxed);
            runnable.run();
            worker.count.fetch_add(1, Ordering::Relaxed);
        }
        self.state
            .lock()
            .workers
            .retain(|other| !Arc::ptr_eq(other, worker));
    }

    fn next(&self, worker: &Worker) -> Option<Runnable> {
        let mut state = self.state.lock();
        loop {
            if state.ended || worker.replaced.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(runnable) = state.queue.pop_front() {
                if !state.queue.is_empty() {
                    self.see_to_queue(&mut state);
                }
                return Some(runnable);
            }
            state.idle += 1;
            self.work.wait(&mut state);
            state.idle -= 1;
            state.waking = false;
        }
    }

    /// Replaces threads that run one thing for too long while work waits.
    fn watch(self: &Arc<Self>) {
        let mut state = self.state.lock();
        while !state.ended {
            if state.queue.is_empty() || state.idle > 0 {
                state.watcher_sleeps = true;
                self.pressure.wait(&mut state);
                continue;
            }
            let before: Vec<_> = state
                .workers
                .iter()
                .map(|w| (w.clone(), w.running()))
                .collect();
            self.pressure.wait_for(&mut state, PATIENCE);
            if state.queue.is_empty() || state.ended {
                continue;
            }
            self.replace_blocked(&before, &mut state);
        }
    }

    fn replace_blocked(self: &Arc<Self>, before: &[(Arc<Worker>, Option<u64>)], state: &mut State) {
        for (worker, running) in before {
            let still = running.is_some() && *running == worker.running();
            if still && state.workers.len() < MOST && !worker.replaced.swap(true, Ordering::Relaxed)
            {
                log::warn!(
                    "a plugin blocks a thread for more than {PATIENCE:?} while others wait; another thread takes its place"
                );
                Self::add_worker(self, state);
            }
        }
    }
}

impl Worker {
    /// What it runs, if it runs something.
    fn running(&self) -> Option<u64> {
        Some(self.count.load(Ordering::Relaxed)).filter(|count| count % 2 == 1)
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
        assert_eq!(pool.threads(), 2);
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
