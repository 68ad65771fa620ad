//! How many calls ended in the last while, and how many of them badly: in slices, so that no call
//! is remembered by itself.

use std::time::Duration;

use crate::reload::nanos;

/// The oldest slice goes as a whole, so that the last while is up to a tenth shorter than it is
/// said to be.
const SLICES: usize = 10;

/// The calls of the last while.
#[derive(Debug)]
pub(super) struct Window {
    /// In nanoseconds.
    slice: u64,
    /// The number of the slice that is written to.
    newest: u64,
    slices: [Ended; SLICES],
}

/// Calls that ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) calls: u64,
    pub(super) failures: u64,
}

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            slice: (nanos(length) / SLICES as u64).max(1),
            newest: 0,
            slices: Default::default(),
        }
    }

    pub(super) fn note(&mut self, is_good: bool, now: Duration) {
        self.turn_to(now);
        let slice = self.place(self.newest);
        slice.calls += 1;
        slice.failures += u64::from(!is_good);
    }

    pub(super) fn ended(&mut self, now: Duration) -> Ended {
        self.turn_to(now);
        let add = |sum: Ended, slice: &Ended| Ended {
            calls: sum.calls + slice.calls,
            failures: sum.failures + slice.failures,
        };
        self.slices.iter().fold(Ended::default(), add)
    }

    /// How many ended in a second, where they are counted for so long now.
    pub(super) fn per_second(&mut self, age: Duration, now: Duration) -> f64 {
        let calls = self.ended(now).calls;
        let newest = nanos(now).saturating_sub(self.newest * self.slice);
        let covered = self.slice * (SLICES as u64 - 1) + newest;
        // At least a little, for a rate there is.
        let covered = covered
            .min(nanos(age))
            .max(self.slice / SLICES as u64)
            .max(1);
        calls as f64 / Duration::from_nanos(covered).as_secs_f64()
    }

    pub(super) fn clear(&mut self) {
        self.slices = Default::default();
    }

    /// Empties the slices whose time is over. A time before the newest is taken for the newest:
    /// threads read the clock before they come here.
    fn turn_to(&mut self, now: Duration) {
        let newest = (nanos(now) / self.slice).max(self.newest);
        let passed = (newest - self.newest).min(SLICES as u64);
        for slice in 0..passed {
            *self.place(newest - slice) = Ended::default();
        }
        self.newest = newest;
    }

    fn place(&mut self, slice: u64) -> &mut Ended {
        &mut self.slices[(slice % SLICES as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    proptest! {
        #[test]
        fn counts_what_is_recent(waits in vec((0..300_u32, any::<bool>()), 0..100), begin in 0..9_999_u32) {
            let mut window = Window::new(MS * 1_000);
            let mut now = MS * begin;
            let mut noted = Vec::new();
            for (wait, is_good) in waits {
                now += MS * wait;
                window.note(is_good, now);
                noted.push((now, is_good));
                let within = |while_: Duration| {
                    let recent = noted.iter().filter(move |(at, _)| now - *at < while_);
                    (recent.clone().count() as u64, recent.filter(|(_, good)| !good).count() as u64)
                };
                let found = window.ended(now);
                let (least, most) = (within(MS * 900), within(MS * 1_000));
                prop_assert!(least.0 <= found.calls && found.calls <= most.0);
                prop_assert!(least.1 <= found.failures && found.failures <= most.1);
            }
            prop_assert_eq!(window.ended(now + MS * 1_000), Ended::default());
        }
    }

    #[test]
    fn a_thread_that_comes_late_is_counted() {
        let mut window = Window::new(MS * 1_000);
        window.note(true, MS * 5_000);
        window.note(false, MS * 1);
        let [calls, failures] = [2, 1];
        assert_eq!(window.ended(MS * 2), Ended { calls, failures });
        window.clear();
        assert_eq!(window.ended(MS * 5_000), Ended::default());
    }

    #[test]
    fn the_rate_is_that_of_the_time_that_is_covered() {
        let mut window = Window::new(MS * 10_000);
        let begin = MS * 777;
        for call in 1..30_000_u32 {
            let now = begin + MS * call;
            window.note(true, now);
            if call >= 1_000 {
                let rate = window.per_second(now - begin, now);
                assert!((998.0..=1_002.0).contains(&rate), "{rate}");
            }
        }
        let end = begin + MS * 40_000;
        assert_eq!(window.per_second(end - begin, end), 0.0);
        assert_eq!(window.per_second(Duration::ZERO, end), 0.0);
        window.note(true, end);
        let rate = window.per_second(Duration::ZERO, end);
        assert_eq!(rate, 10.0, "as if a tenth of a slice had passed");
    }
}
