//! How often a plugin may be started again: pure numbers, told the time.

use std::time::Duration;

/// The restarts of one plugin that are used up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Budget {
    spent: u32,
    /// Failures since it was whole, and when the first of them was, by the monotonic clock.
    failures: u32,
    since: Duration,
}

impl Budget {
    /// Counts a failure: which restart follows, counted from 1, if there is one left.
    pub(super) fn charge(&mut self, now: Duration, budget: u32) -> Option<u32> {
        if self.failures == 0 {
            self.since = now;
        }
        self.failures += 1;
        if self.spent >= budget {
            return None;
        }
        self.spent += 1;
        Some(self.spent)
    }

    /// Takes back failures that were somebody else's.
    pub(super) fn refund(&mut self, failures: u32) {
        self.spent = self.spent.saturating_sub(failures);
        self.failures = self.failures.saturating_sub(failures);
    }

    pub(super) fn spent(&self) -> u32 {
        self.spent
    }

    /// How often the plugin failed, and in what time.
    pub(super) fn failures(&self, now: Duration) -> (u32, Duration) {
        (self.failures, now.saturating_sub(self.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn restarts_are_counted_until_there_are_none() {
        let mut budget = Budget::default();
        assert_eq!(budget.charge(SECOND, 2), Some(1));
        assert_eq!(budget.charge(SECOND * 2, 2), Some(2));
        assert_eq!(budget.charge(SECOND * 5, 2), None);
        assert_eq!(budget.failures(SECOND * 5), (3, SECOND * 4));
        assert_eq!(budget.spent(), 2);
        budget.refund(2);
        assert_eq!(budget.charge(SECOND * 6, 2), Some(1));
        assert_eq!(Budget::default().charge(SECOND, 0), None);
    }
}
