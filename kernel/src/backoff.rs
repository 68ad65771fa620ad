//! How long to wait before trying again: a pure number.

use std::{
    hash::{DefaultHasher, Hash, Hasher as _},
    time::Duration,
};

/// How long the `number`th repetition is waited for, counted from 1: twice as long as the one
/// before up to a limit, and a quarter more or less by the seed, so that those who failed together
/// do not come back together.
pub(crate) fn backoff(first: Duration, most: Duration, number: u32, seed: impl Hash) -> Duration {
    let doublings = number.saturating_sub(1).min(31);
    let wait = first.saturating_mul(1 << doublings);
    let wait = wait.min(most.max(first));
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    // From three quarters to five quarters, in thousandths.
    let share = 750 + u32::try_from(hasher.finish() % 501).unwrap_or(250);
    wait.saturating_mul(share) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_twice_as_long_give_or_take_a_quarter() {
        let [first, most] = [200, 30_000].map(Duration::from_millis);
        let mut shares = std::collections::BTreeSet::new();
        for (number, expect) in [(1, 200), (2, 400), (3, 800), (8, 25_600), (9, 30_000)] {
            for seed in 0..200 {
                let found = backoff(first, most, number, seed).as_millis();
                let expect: u128 = expect;
                assert!(
                    expect * 3 / 4 <= found && found <= expect * 5 / 4,
                    "{found}"
                );
                shares.insert(found * 1_000 / expect);
                let again = backoff(first, most, number, seed).as_millis();
                assert_eq!(found, again);
            }
        }
        assert!(shares.first() < Some(&800) && shares.last() > Some(&1_200));
        assert!(backoff(first, most, u32::MAX, 0) >= Duration::from_secs(22));
    }
}
