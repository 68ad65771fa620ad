//! The threads that run plugins' tasks and event handlers: a plugin may block one, and another
//! takes its place.

use std::{
    any::Any,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use async_task::{Runnable, Task};
use crossbeam_queue::SegQueue;
use parking_lot::{Condvar, Mutex};

/// How long a thread may run one piece of work while others wait before another takes its place.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often a thread looks for work again before it sleeps; some microseconds in all.
const LOOKS: usize = 32;
/// The most threads at once; beyond it work waits.
const MOST: usize = 256;

/// Runs futures on threads that may be blocked, until it is ended.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    wanted: usize,
    /// For threads to come; gone at the end.
    keep: Mutex<Option<Keep>>,
    queue: SegQueue<Runnable>,
    /// Threads that wait for work, or are about to.
    idle: AtomicUsize,
    /// A thread looks again and again before it sleeps: it needs no waking.
    looking: AtomicBool,
    /// A thread was woken and has not looked yet; it wakes the next if there is more to do.
    waking: AtomicBool,
    /// The watcher sleeps until work waits for a thread.
    watcher_sleeps: AtomicBool,
    ended: AtomicBool,
    /// Held by who goes to sleep and by who wakes; not by who finds work to do.
    workers: Mutex<Vec<Arc<Worker>>>,
    /// Wakes a thread for work, or at the end.
    work: Condvar,
    /// Wakes the watcher when work waits for a thread.
    pressure: Condvar,
}

/// What has to be there as long as a thread may use it.
pub(crate) type Keep = Arc<dyn Any + Send + Sync>;

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
        let shared = Arc::new(Shared::new(threads, keep));
        for _ in 0..shared.wanted {
            Shared::add_worker(&shared, &mut shared.workers.lock());
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
        self.0.ended.store(true, Ordering::SeqCst);
        self.0.keep.lock().take();
        // Whoever was about to sleep holds this lock, or sees the end after it.
        drop(self.0.workers.lock());
        self.0.work.notify_all();
        self.0.pressure.notify_all();
        self.0.drop_queue();
    }

    /// Wakes the threads that sleep, so that each runs what ended plugins left on it.
    pub(crate) fn nudge(&self) {
        let _sleepers_wait = self.0.workers.lock();
        self.0.work.notify_all();
    }

    /// How many threads there are, blocked ones included.
    #[cfg(test)]
    fn threads(&self) -> usize {
        self.0.workers.lock().len()
    }
}

impl Shared {
    /// A queue that no thread works on yet.
    fn new(threads: usize, keep: &Keep) -> Self {
        Self {
            wanted: threads.max(1),
            keep: Mutex::new(Some(keep.clone())),
            queue: SegQueue::new(),
            idle: AtomicUsize::new(0),
            looking: AtomicBool::new(false),
            waking: AtomicBool::new(false),
            watcher_sleeps: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            workers: Mutex::default(),
            work: Condvar::new(),
            pressure: Condvar::new(),
        }
    }

    fn schedule(&self, runnable: Runnable) {
        self.queue.push(runnable);
        if self.ended.load(Ordering::SeqCst) {
            return self.drop_queue();
        }
        self.see_to_queue();
    }

    /// Drops what is queued, which may queue others.
    fn drop_queue(&self) {
        while let Some(runnable) = self.queue.pop() {
            drop(runnable);
        }
    }

    /// Sees to it that what is queued is done, however long the threads at work take: wakes an
    /// idle thread, one after the other, since the first may well do all there is to do, or the
    /// watcher.
    ///
    /// Who queues something looks for sleepers afterwards; who goes to sleep says so first and
    /// looks at the queue afterwards: one of the two sees the other.
    fn see_to_queue(&self) {
        if self.looking.load(Ordering::SeqCst) {
            return;
        }
        if self.idle.load(Ordering::SeqCst) > 0 {
            if !self.waking.swap(true, Ordering::SeqCst) {
                let _sleepers_wait = self.workers.lock();
                if !self.work.notify_one() {
                    // The last sleeper found the work by itself.
                    self.waking.store(false, Ordering::SeqCst);
                }
            }
        } else if self.watcher_sleeps.swap(false, Ordering::SeqCst) {
            let _watcher_waits = self.workers.lock();
            self.pressure.notify_one();
        }
    }

    fn add_worker(this: &Arc<Self>, workers: &mut Vec<Arc<Worker>>) {
        let worker = Arc::new(Worker::default());
        workers.push(worker.clone());
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
        let mut workers = self.workers.lock();
        workers.retain(|other| !Arc::ptr_eq(other, worker));
    }

    fn next(&self, worker: &Worker) -> Option<Runnable> {
        loop {
            if self.ended.load(Ordering::SeqCst) {
                return None;
            }
            if worker.replaced.load(Ordering::SeqCst) {
                // It may have been told of work before it was replaced: pass that on.
                if !self.queue.is_empty() {
                    self.see_to_queue();
                }
                return None;
            }
            if let Some(runnable) = self.queue.pop() {
                if !self.queue.is_empty() {
                    self.see_to_queue();
                }
                return Some(runnable);
            }
            if !self.look() {
                self.sleep();
            }
        }
    }

    /// Looks for work a little longer, one thread at a time: work often comes right after work,
    /// and waking a thread takes longer than most of it. True if there is some.
    fn look(&self) -> bool {
        if self.looking.swap(true, Ordering::SeqCst) {
            return false;
        }
        let found = (0..LOOKS).any(|_| {
            thread::yield_now();
            !self.queue.is_empty()
        });
        self.looking.store(false, Ordering::SeqCst);
        // Again after that store: who queued before it woke nobody.
        found || !self.queue.is_empty()
    }

    fn sleep(&self) {
        octa_loader::tidy_thread();
        let mut workers = self.workers.lock();
        self.idle.fetch_add(1, Ordering::SeqCst);
        if self.queue.is_empty() && !self.ended.load(Ordering::SeqCst) {
            self.work.wait(&mut workers);
        }
        self.idle.fetch_sub(1, Ordering::SeqCst);
        self.waking.store(false, Ordering::SeqCst);
    }

    /// Replaces threads that run one thing for too long while work waits.
    fn watch(self: &Arc<Self>) {
        let mut workers = self.workers.lock();
        while !self.ended.load(Ordering::SeqCst) {
            self.watcher_sleeps.store(true, Ordering::SeqCst);
            if !self.work_waits() {
                self.pressure.wait(&mut workers);
                continue;
            }
            self.watcher_sleeps.store(false, Ordering::SeqCst);
            let running = |worker: &Arc<Worker>| (worker.clone(), worker.running());
            let before: Vec<_> = workers.iter().map(running).collect();
            self.pressure.wait_for(&mut workers, PATIENCE);
            if self.work_waits() && !self.ended.load(Ordering::SeqCst) {
                self.replace_blocked(&before, &mut workers);
            }
        }
    }

    fn work_waits(&self) -> bool {
        !self.queue.is_empty() && self.idle.load(Ordering::SeqCst) == 0
    }

    fn replace_blocked(
        self: &Arc<Self>,
        before: &[(Arc<Worker>, Option<u64>)],
        workers: &mut Vec<Arc<Worker>>,
    ) {
        for (worker, running) in before {
            let still = running.is_some() && *running == worker.running();
            if still && workers.len() < MOST && !worker.replaced.swap(true, Ordering::SeqCst) {
                log::warn!(
                    "a plugin blocks a thread for more than {PATIENCE:?} while others wait; another thread takes its place"
                );
                Self::add_worker(self, workers);
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
    fn a_replaced_thread_passes_on_what_it_was_told_of() {
        let shared = Shared::new(1, &keep());
        shared.watcher_sleeps.store(true, Ordering::SeqCst);
        let (runnable, task) = async_task::spawn(async {}, |_| ());
        shared.queue.push(runnable);
        let worker = Worker::default();
        worker.replaced.store(true, Ordering::SeqCst);
        assert!(shared.next(&worker).is_none());
        let told = !shared.watcher_sleeps.load(Ordering::SeqCst);
        assert!(told, "the watcher was not told of what is left");
        task.detach();
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
