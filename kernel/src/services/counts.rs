//! Counts what becomes of calls that are no plain ones, capability by capability.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counted {
    Retry,
    Fallback,
    TooSoon,
    NoPlace,
    CutOff,
    Remembered,
}

const KINDS: usize = 6;

/// The counters of one capability.
#[derive(Debug, Default)]
pub(super) struct Counts([AtomicU64; KINDS]);

/// What became of the calls of a capability since the kernel was started, where that was more than
/// an answer or an error of their provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CallCounts {
    /// Calls that were begun once more.
    pub retried: u64,
    /// Calls that the fallback answered, or tried to.
    pub fallen_back: u64,
    /// Calls that their caller's rate limit refused.
    pub too_soon: u64,
    /// Calls that found no place at a provider, or waited too long for one.
    pub no_place: u64,
    /// Calls that found every provider cut off by its breaker.
    pub cut_off: u64,
    /// Calls with the idempotency key of an earlier one, which got its result.
    pub remembered: u64,
}

impl Counts {
    pub(super) fn add(&self, what: Counted) {
        self.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> CallCounts {
        let read = |what: Counted| self.0[what as usize].load(Ordering::Relaxed);
        CallCounts {
            retried: read(Counted::Retry),
            fallen_back: read(Counted::Fallback),
            too_soon: read(Counted::TooSoon),
            no_place: read(Counted::NoPlace),
            cut_off: read(Counted::CutOff),
            remembered: read(Counted::Remembered),
        }
    }
}
