//! A clock for deadlines: cheap to read, exact to a few milliseconds.

use std::time::Duration;

/// A moment of the coarse clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment(Duration);

impl Moment {
    /// The moment after `time` from now; `None` beyond the end of time.
    #[inline]
    pub(crate) fn after(time: Duration) -> Option<Self> {
        now().checked_add(time).map(Self)
    }

    /// The time until then.
    pub(crate) fn remaining(self) -> Duration {
        self.0.saturating_sub(now())
    }
}

/// The kernel's clock page holds the time of the last tick: a fifth of the price of the exact
/// one.
#[cfg(target_os = "linux")]
#[inline]
fn now() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a timespec of ours. The call cannot fail for this clock, which
    // every Linux since 2.6.32 has.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

#[cfg(not(target_os = "linux"))]
fn now() -> Duration {
    use std::{sync::OnceLock, time::Instant};

    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_out_and_no_further() {
        let moment = Moment::after(Duration::from_secs(60)).expect("not that late");
        assert!(moment.remaining() <= Duration::from_secs(60));
        assert!(moment.remaining() > Duration::from_secs(1));
        let past = Moment::after(Duration::ZERO).expect("now");
        assert!(past.remaining() <= Duration::from_millis(100));
        assert!(Moment::after(Duration::MAX).is_none());
    }
}
