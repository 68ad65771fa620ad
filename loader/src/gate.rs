//! Counts who is inside, and can be closed: whoever comes later is turned away, and it is known
//! when the last one has left.

use std::{
    fmt,
    task::{Poll, Waker},
};

use crate::{
    shard::{SHARDS, shard_of_this_thread},
    sync::{AtomicU8, AtomicUsize, Mutex, Ordering},
};

/// The states of a gate.
const SHUT: u8 = 0;
const OPEN: u8 = 1;
const ENDED: u8 = 2;

/// One cache line, or two where lines are fetched in pairs.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Shard(AtomicUsize);

/// Lets many in while it is open.
#[derive(Default)]
pub(crate) struct Gate {
    state: AtomicU8,
    shards: [Shard; SHARDS],
    /// Locked only when the gate is closed, or opens.
    leaving: Mutex<Leaving>,
}

#[derive(Default)]
struct Leaving {
    /// Who waits for the last one to leave.
    waker: Option<Waker>,
    /// It was open, and nobody has seen it empty since it was closed.
    occupied: bool,
}

/// Someone inside; leaving is [`Gate::leave`] or the drop of a guard that holds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inside(usize);

impl Gate {
    /// Opens it, unless it is closed for good.
    pub(crate) fn open(&self) {
        let mut leaving = self.leaving.lock();
        self.change(SHUT, OPEN);
        leaving.occupied = self.is_open();
    }

    pub(crate) fn close(&self) {
        self.change(OPEN, SHUT);
    }

    /// Closes it for good.
    pub(crate) fn end(&self) {
        let mut leaving = self.leaving.lock();
        self.state.store(ENDED, Ordering::SeqCst);
        leaving.occupied = false;
    }

    fn change(&self, from: u8, to: u8) {
        // In any other state there is nothing to change.
        let _ = (self.state).compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
    }

    #[inline(always)]
    pub(crate) fn is_open(&self) -> bool {
        self.state.load(Ordering::SeqCst) == OPEN
    }

    /// Goes in, if the gate is open.
    #[inline(always)]
    pub(crate) fn enter(&self) -> Option<Inside> {
        let inside = Inside(shard_of_this_thread());
        // Counted first and looked second: `close` stores first and counts second, so one of
        // the two sees the other.
        self.shards[inside.0].0.fetch_add(1, Ordering::SeqCst);
        if self.is_open() {
            return Some(inside);
        }
        self.leave(inside);
        None
    }

    /// Goes in although the gate is closed, as long as it was not seen empty: for who is sent by
    /// someone inside, who waits for the answer and would else never leave.
    pub(crate) fn follow(&self) -> Option<Inside> {
        // Whoever sees it empty holds the lock.
        let leaving = self.leaving.lock();
        leaving.occupied.then(|| {
            let inside = Inside(shard_of_this_thread());
            self.shards[inside.0].0.fetch_add(1, Ordering::SeqCst);
            inside
        })
    }

    #[inline(always)]
    pub(crate) fn leave(&self, inside: Inside) {
        self.shards[inside.0].0.fetch_sub(1, Ordering::SeqCst);
        if !self.is_open() {
            self.wake_who_waits();
        }
    }

    #[cold]
    fn wake_who_waits(&self) {
        let waker = self.leaving.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How many are inside. The sum may wrap on the way: someone may leave on another thread
    /// than they came.
    pub(crate) fn count(&self) -> usize {
        self.shards
            .iter()
            .fold(0, |sum, s| sum.wrapping_add(s.0.load(Ordering::SeqCst)))
    }

    /// Ready when nobody is inside. One may wait at a time.
    pub(crate) fn poll_empty(&self, waker: &Waker) -> Poll<()> {
        let mut leaving = self.leaving.lock();
        leaving.waker = Some(waker.clone());
        if self.count() == 0 {
            leaving.occupied = false;
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Gate {{ open: {}, inside: {} }}",
            self.is_open(),
            self.count()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_it_turns_away() {
        let gate = Gate::default();
        assert!(gate.enter().is_none());
        gate.open();
        let inside = gate.enter().expect("it is open");
        gate.close();
        assert!(gate.enter().is_none());
        assert!(gate.poll_empty(Waker::noop()).is_pending());
        gate.leave(inside);
        assert!(gate.poll_empty(Waker::noop()).is_ready());
        gate.end();
        gate.open();
        assert!(gate.enter().is_none(), "it was closed for good");
    }

    #[test]
    fn follows_whom_it_has_let_in() {
        let gate = Gate::default();
        assert!(gate.follow().is_none(), "it was never open");
        gate.open();
        let inside = gate.enter().expect("it is open");
        gate.close();
        let follower = gate.follow().expect("somebody is inside");
        gate.leave(inside);
        assert!(gate.poll_empty(Waker::noop()).is_pending());
        gate.leave(follower);
        assert!(gate.poll_empty(Waker::noop()).is_ready());
        assert!(gate.follow().is_none(), "it was seen empty");
        gate.open();
        gate.end();
        assert!(gate.follow().is_none(), "it was closed for good");
    }

    #[test]
    fn nobody_is_inside_after_it_was_seen_empty() {
        let gate = Gate::default();
        gate.open();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while let Some(inside) = gate.enter() {
                        gate.leave(inside);
                    }
                });
            }
            gate.close();
        });
        assert_eq!(gate.count(), 0);
    }
}
