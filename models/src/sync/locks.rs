//! Locks that look like those of `parking_lot`.

use std::{
    collections::VecDeque,
    fmt,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex as Hidden, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use loom::{
    sync::{self, atomic::AtomicUsize},
    thread::{self, Thread},
};

/// A lock. The checker's own becomes poisoned only where a model has failed.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// None while it waits.
    held: Option<sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            mutex: self,
            held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }

    #[track_caller]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|held| MutexGuard {
            mutex: self,
            held: Some(held),
        })
    }
}

impl<T> MutexGuard<'_, T> {
    fn unlocked(&mut self, meanwhile: impl FnOnce()) {
        self.held = None;
        meanwhile();
        self.held = self.mutex.lock().held;
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("it does not wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("it does not wait")
    }
}

/// What threads wait for under a lock. It wakes nobody who was not told.
pub(crate) struct Condvar {
    /// So that the checker knows that the order of waiting and telling matters.
    steps: AtomicUsize,
    sleepers: Hidden<VecDeque<Sleeper>>,
}

struct Sleeper {
    thread: Thread,
    is_told: Arc<AtomicBool>,
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self {
            steps: AtomicUsize::new(0),
            sleepers: Hidden::default(),
        }
    }

    #[track_caller]
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let is_told = Arc::new(AtomicBool::new(false));
        let sleeper = Sleeper {
            thread: thread::current(),
            is_told: is_told.clone(),
        };
        self.step(|sleepers| sleepers.push_back(sleeper));
        guard.unlocked(|| {
            while !is_told.load(Relaxed) {
                thread::park();
            }
        });
    }

    /// Waits until the time is over, which it is as soon as another thread has taken a step, or
    /// none can: nobody is told to wake who sleeps only for a while.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _time: Duration) {
        guard.unlocked(thread::yield_now);
    }

    /// Whether there was one.
    #[track_caller]
    pub(crate) fn notify_one(&self) -> bool {
        self.step(|sleepers| sleepers.pop_front().map(Sleeper::tell))
            .is_some()
    }

    #[track_caller]
    pub(crate) fn notify_all(&self) {
        self.step(|sleepers| sleepers.drain(..).for_each(Sleeper::tell));
    }

    #[track_caller]
    fn step<R>(&self, act: impl FnOnce(&mut VecDeque<Sleeper>) -> R) -> R {
        self.steps
            .fetch_add(1, loom::sync::atomic::Ordering::Relaxed);
        act(&mut self.sleepers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sleeper {
    fn tell(self) {
        self.is_told.store(true, Relaxed);
        self.thread.unpark();
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}
