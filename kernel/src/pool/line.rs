//! Work that waits in line for a thread, and who sleeps until there is some: it makes no threads,
//! and does not know what the work is.

use std::{sync::Arc, time::Duration};

use crate::sync::{
    AtomicBool, AtomicU64, AtomicUsize, Condvar, Mutex, Ordering, SegQueue, yield_now,
};

/// The most threads at once; beyond it work waits.
const MOST: usize = 256;

/// Work that waits. A thread looks `LOOKS` times again before it sleeps.
pub(super) struct Line<T, const LOOKS: usize> {
    queue: SegQueue<T>,
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

/// A thread, as those see it that may take its place.
#[derive(Default)]
pub(super) struct Worker {
    /// Counts what it ran; odd while it runs something.
    count: AtomicU64,
    /// Another thread has taken its place: it ends when it comes back.
    replaced: AtomicBool,
}

impl<T, const LOOKS: usize> Line<T, LOOKS> {
    /// A line that no thread works on yet.
    pub(super) fn new() -> Self {
        Self {
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

    /// Puts work at its end, or drops it if it is ended.
    pub(super) fn push(&self, work: T) {
        self.queue.push(work);
        if self.ended.load(Ordering::SeqCst) {
            return self.clear();
        }
        self.see_to_queue();
    }

    /// Ends it: what waits is dropped, threads that run something end when they come back.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        // Whoever was about to sleep holds this lock, or sees the end after it.
        drop(self.workers.lock());
        self.work.notify_all();
        self.pressure.notify_all();
        self.clear();
    }

    /// Drops what waits, which may push other work.
    fn clear(&self) {
        while let Some(work) = self.queue.pop() {
            drop(work);
        }
    }

    /// Wakes the threads that sleep.
    pub(super) fn nudge(&self) {
        let _sleepers_wait = self.workers.lock();
        self.work.notify_all();
    }

    /// How many threads there are, blocked ones included.
    #[cfg(test)]
    pub(super) fn threads(&self) -> usize {
        self.workers.lock().len()
    }

    /// Whether a thread runs something.
    #[cfg(test)]
    pub(super) fn is_busy(&self) -> bool {
        let workers = self.workers.lock();
        workers.iter().any(|worker| worker.running().is_some())
    }

    /// Takes a thread in, which shall [`serve`](Self::serve) now.
    pub(super) fn admit(&self) -> Arc<Worker> {
        admit(&mut self.workers.lock())
    }

    /// Does what comes until it is ended or another thread takes the place of this one, and calls
    /// `tidy` each time before it sleeps.
    pub(super) fn serve(&self, worker: &Arc<Worker>, run: impl Fn(T), tidy: impl Fn()) {
        while let Some(work) = self.next(worker, &tidy) {
            worker.count.fetch_add(1, Ordering::Relaxed);
            run(work);
            worker.count.fetch_add(1, Ordering::Relaxed);
        }
        let mut workers = self.workers.lock();
        workers.retain(|other| !Arc::ptr_eq(other, worker));
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

    fn next(&self, worker: &Worker, tidy: &impl Fn()) -> Option<T> {
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
            if let Some(work) = self.queue.pop() {
                if !self.queue.is_empty() {
                    self.see_to_queue();
                }
                return Some(work);
            }
            if !self.look() {
                tidy();
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
            yield_now();
            !self.queue.is_empty()
        });
        self.looking.store(false, Ordering::SeqCst);
        // Again after that store: who queued before it woke nobody.
        found || !self.queue.is_empty()
    }

    fn sleep(&self) {
        let mut workers = self.workers.lock();
        self.idle.fetch_add(1, Ordering::SeqCst);
        if self.queue.is_empty() && !self.ended.load(Ordering::SeqCst) {
            self.work.wait(&mut workers);
        }
        self.idle.fetch_sub(1, Ordering::SeqCst);
        self.waking.store(false, Ordering::SeqCst);
    }

    /// Replaces threads that run one thing for longer than `patience` while work waits, until it
    /// is ended: `start` gets those that shall serve in their places.
    pub(super) fn watch(&self, patience: Duration, start: impl Fn(Arc<Worker>)) {
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
            self.pressure.wait_for(&mut workers, patience);
            if self.work_waits() && !self.ended.load(Ordering::SeqCst) {
                replace_blocked(&before, &mut workers, &start);
            }
        }
    }

    fn work_waits(&self) -> bool {
        !self.queue.is_empty() && self.idle.load(Ordering::SeqCst) == 0
    }
}

fn admit(workers: &mut Vec<Arc<Worker>>) -> Arc<Worker> {
    let worker = Arc::new(Worker::default());
    workers.push(worker.clone());
    worker
}

fn replace_blocked(
    before: &[(Arc<Worker>, Option<u64>)],
    workers: &mut Vec<Arc<Worker>>,
    start: impl Fn(Arc<Worker>),
) {
    for (worker, running) in before {
        let still = running.is_some() && *running == worker.running();
        if still && workers.len() < MOST && !worker.replaced.swap(true, Ordering::SeqCst) {
            start(admit(workers));
        }
    }
}

impl Worker {
    /// What it runs, if it runs something.
    fn running(&self) -> Option<u64> {
        Some(self.count.load(Ordering::Relaxed)).filter(|count| count % 2 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_thread_passes_on_what_it_was_told_of() {
        let line = Line::<(), 1>::new();
        line.watcher_sleeps.store(true, Ordering::SeqCst);
        line.queue.push(());
        let worker = Worker::default();
        worker.replaced.store(true, Ordering::SeqCst);
        assert!(line.next(&worker, &|| ()).is_none());
        let told = !line.watcher_sleeps.load(Ordering::SeqCst);
        assert!(told, "the watcher was not told of what is left");
    }
}
