//! One thread leads: it hears the kernel, and runs what does not block. One that is caught in a
//! plugin's code is given up, and another leads from then on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

/// How long the leader may be inside one piece of code before another thread takes its place.
const PATIENCE: Duration = Duration::from_millis(5);
/// For so many looks in a row nothing happens before the watch goes to sleep.
const LOOKS: u32 = 20;

/// The time during which one thread leads: counts what it ran; odd while it runs something.
#[derive(Default)]
pub(crate) struct Turn(AtomicU64);

/// It leads no more.
const OVER: u64 = u64::MAX - 1;

/// Looks how long the leader takes.
pub(crate) struct Watch {
    thread: Thread,
    sleeps: AtomicBool,
}

impl Turn {
    /// Runs a piece of code that may block. False if the turn is over since.
    pub(crate) fn run(&self, watch: &Watch, piece: impl FnOnce()) -> bool {
        let inside = self.0.load(Ordering::Relaxed) + 1;
        // Says so first and looks for the watch after that; who goes to sleep says so first, too,
        // and looks at the count after that: one of the two sees the other.
        self.0.swap(inside, Ordering::SeqCst);
        watch.wake();
        piece();
        (self.0)
            .compare_exchange(inside, inside + 1, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Ends the turn if its thread is still inside the piece with this number.
    fn take(&self, inside: u64) -> bool {
        is_inside(inside)
            && (self.0)
                .compare_exchange(inside, OVER, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
    }
}

fn is_inside(count: u64) -> bool {
    count % 2 == 1
}

impl Watch {
    /// It is to be kept by this thread.
    pub(crate) fn here() -> Self {
        Self {
            thread: thread::current(),
            sleeps: AtomicBool::new(false),
        }
    }

    fn wake(&self) {
        if self.sleeps.load(Ordering::SeqCst) && self.sleeps.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }

    /// Sees to it that there is always a leader that is not caught; `lead` starts one.
    pub(crate) fn keep(&self, lead: impl Fn(Arc<Turn>)) -> ! {
        let begin = || {
            let turn = Arc::<Turn>::default();
            lead(turn.clone());
            turn
        };
        let mut turn = begin();
        let (mut seen, mut quiet) = (turn.count(), 0);
        loop {
            let before = turn.count();
            quiet = if before == seen { quiet + 1 } else { 0 };
            seen = before;
            if quiet > LOOKS && !is_inside(before) {
                self.sleep(&turn, before);
                continue;
            }
            let since = Instant::now();
            thread::park_timeout(PATIENCE);
            if since.elapsed() >= PATIENCE && turn.take(before) {
                turn = begin();
            }
        }
    }

    /// Sleeps until the leader runs something.
    fn sleep(&self, turn: &Turn, before: u64) {
        self.sleeps.store(true, Ordering::SeqCst);
        if turn.count() == before {
            thread::park();
        }
        self.sleeps.store(false, Ordering::SeqCst);
    }
}
