//! How many calls there are and how long they take.

use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;

use super::window::Window;

/// The rate is that of so long.
const WINDOW: Duration = Duration::from_secs(10);

/// In microseconds; what takes longer than ten minutes counts as that in the percentiles.
const LONGEST: u64 = 600_000_000;

/// Two digits: twelve kilobytes, and within a hundredth.
const DIGITS: u8 = 2;

/// The calls of a provider, measured.
#[derive(Debug)]
pub(crate) struct Meter(Mutex<Counted>);

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Measured {
    /// The calls that ended.
    pub calls: u64,
    /// How many of them failed.
    pub failed: u64,
    /// How many ended in a second, over the last ten or since they are measured.
    pub per_second: f64,
    /// Half of them took no longer, in microseconds.
    pub p50: u64,
    /// 99 of 100 took no longer, in microseconds.
    pub p99: u64,
    /// What the slowest took, in microseconds.
    pub max: u64,
}

#[derive(Debug)]
struct Counted {
    /// When it began.
    since: Duration,
    calls: u64,
    failed: u64,
    max: u64,
    recent: Window,
    times: Histogram<u32>,
}

impl Meter {
    /// Begins to measure.
    pub(crate) fn new(now: Duration) -> Self {
        let times = Histogram::new_with_bounds(1, LONGEST, DIGITS).expect("bounds in order");
        Self(Mutex::new(Counted {
            since: now,
            calls: 0,
            failed: 0,
            max: 0,
            recent: Window::new(WINDOW),
            times,
        }))
    }

    /// Takes note of a call that ended.
    pub(crate) fn note(&self, took: Duration, is_good: bool, now: Duration) {
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut counted = self.0.lock();
        counted.calls += 1;
        counted.failed += u64::from(!is_good);
        counted.max = counted.max.max(took);
        counted.recent.note(is_good, now);
        counted.times.saturating_record(took);
    }

    pub(crate) fn measured(&self, now: Duration) -> Measured {
        let mut counted = self.0.lock();
        let max = counted.max;
        let age = now.saturating_sub(counted.since);
        let percentile = |share| max.min(counted.times.value_at_quantile(share));
        Measured {
            calls: counted.calls,
            failed: counted.failed,
            p50: percentile(0.5),
            p99: percentile(0.99),
            max,
            per_second: counted.recent.per_second(age, now),
        }
    }
}

#[cfg(test)]
mod tests;
