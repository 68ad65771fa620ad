//! The mark of one thread: whose code runs on it, from the outermost entry to the innermost.
//! Written by that thread alone and without a lock, read by any.

use std::{
    fmt,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use super::Errand;
use crate::inside::Owner;

/// How many entries within each other are seen; a power of two. Whoever goes deeper writes over
/// the outermost: a call may nest 64 others, each with an entry into its plugin and one back.
const LEVELS: u64 = 256;

/// What an entry adds: one to the count of entries, and one to the depth in the lowest bits.
const ENTRY: u64 = LEVELS + 1;

/// Whose code runs on a thread.
#[repr(align(128))]
pub(crate) struct Mark {
    /// How many entries there were, and below that how deep the thread is inside. Beyond the last
    /// level the depth carries into the count, and borrows it back on the way out.
    state: AtomicU64,
    levels: [Level; LEVELS as usize],
    /// For each level the state after the entry, which no other entry of the thread has. Apart
    /// from the levels, so that both are found by their number without reckoning.
    serials: [AtomicU64; LEVELS as usize],
}

/// One entry.
#[derive(Default)]
struct Level {
    owner: AtomicU32,
    errand: AtomicU32,
}

/// An entry as somebody else saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sighting {
    pub(super) owner: Owner,
    pub(super) errand: Errand,
    pub(super) serial: u64,
}

impl Default for Mark {
    fn default() -> Self {
        Self {
            state: AtomicU64::new(0),
            levels: std::array::from_fn(|_| Level::default()),
            serials: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl Mark {
    /// Notes an entry of this thread, whose mark it is.
    #[inline(always)]
    pub(crate) fn enter(&self, owner: Owner, errand: Errand) {
        let state = self.state.load(Ordering::Relaxed).wrapping_add(ENTRY);
        let depth = (state % LEVELS) as usize;
        let level = &self.levels[depth];
        level.owner.store(owner.number(), Ordering::Relaxed);
        level.errand.store(errand.number(), Ordering::Relaxed);
        self.serials[depth].store(state, Ordering::Relaxed);
        // After its level: who sees the depth sees what lies there.
        self.state.store(state, Ordering::Release);
    }

    /// Notes the return from the innermost entry.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        let state = self.state.load(Ordering::Relaxed).wrapping_sub(1);
        self.state.store(state, Ordering::Release);
    }

    /// Whose code runs on this thread, whose mark it is, from the innermost on.
    pub(crate) fn owners(&self) -> impl Iterator<Item = Owner> {
        let depth = self.state.load(Ordering::Relaxed) % LEVELS;
        (1..=depth)
            .rev()
            .map(|depth| self.levels[depth as usize].owner())
    }

    /// Changes with each entry and each return.
    pub(super) fn state(&self) -> u64 {
        self.state.load(Ordering::Acquire)
    }

    /// The entries as another thread sees them, from the outermost on, and the state in which it
    /// saw them. While the thread goes in and out, some may have ended already.
    pub(super) fn look(&self, sightings: &mut Vec<Sighting>) -> u64 {
        let state = self.state();
        sightings.clear();
        sightings.extend((1..=state % LEVELS).map(|depth| {
            let depth = depth as usize;
            Sighting {
                owner: self.levels[depth].owner(),
                errand: Errand::numbered(self.levels[depth].errand.load(Ordering::Relaxed)),
                serial: self.serials[depth].load(Ordering::Relaxed),
            }
        }));
        state
    }

    /// Whether the thread is inside of anything.
    pub(super) fn is_inside(&self) -> bool {
        !self.state().is_multiple_of(LEVELS)
    }
}

impl Level {
    fn owner(&self) -> Owner {
        Owner::numbered(self.owner.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark(depth {})", self.state() % LEVELS)
    }
}
