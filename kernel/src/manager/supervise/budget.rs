//! How often a plugin may be started again, and when: pure numbers, told the time.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    time::Duration,
};

use crate::config::Restart;

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

/// How long the `number`th restart is waited for: twice as long as the one before up to a limit,
/// and a quarter more or less, so that those who failed together do not come back together.
pub(super) fn backoff(restart: &Restart, number: u32, seed: impl Hash) -> Duration {
    let doublings = number.saturating_sub(1).min(31);
    let wait = restart.backoff.saturating_mul(1 << doublings);
    let wait = wait.min(restart.backoff_max.max(restart.backoff));
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    // From three quarters to five quarters, in thousandths.
    let share = 750 + u32::try_from(hasher.finish() % 501).unwrap_or(250);
    wait.saturating_mul(share) / 1_000
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

    #[test]
    fn each_restart_waits_twice_as_long_give_or_take_a_quarter() {
        let restart = Restart::default();
        let mut shares = std::collections::BTreeSet::new();
        for (number, expect) in [(1, 200), (2, 400), (3, 800), (8, 25_600), (9, 30_000)] {
            for seed in 0..200 {
                let found = backoff(&restart, number, seed).as_millis();
                let expect: u128 = expect;
                assert!(
                    expect * 3 / 4 <= found && found <= expect * 5 / 4,
                    "{found}"
                );
                shares.insert(found * 1_000 / expect);
                assert_eq!(found, backoff(&restart, number, seed).as_millis());
            }
        }
        assert!(shares.first() < Some(&800) && shares.last() > Some(&1_200));
        assert!(backoff(&restart, u32::MAX, 0) >= SECOND * 22);
    }
}
