//! Numbers that look random and come again with the same seed (SplitMix64).

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// A number that is another one each time.
pub(crate) fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of a seed and of what is to have one of its own under it.
    pub(crate) fn new(seed: u64, of: &[u64]) -> Self {
        let mut random = Self(seed);
        for part in of {
            random.0 = random.next() ^ part;
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of the numbers below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Whether it is the one case of so many.
    pub(crate) fn one_in(&mut self, cases: u64) -> bool {
        self.below(cases) == 0
    }

    /// A time shorter than `end`, to the microsecond.
    pub(crate) fn before(&mut self, end: Duration) -> Duration {
        let micros = u64::try_from(end.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.below(micros.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let some = |seed, of: &[u64]| {
            let mut random = Random::new(seed, of);
            [(); 4].map(|()| random.below(1_000_000))
        };
        assert_eq!(some(1, &[2, 3]), some(1, &[2, 3]));
        assert_ne!(some(1, &[2, 3]), some(1, &[3, 2]));
        assert_ne!(some(1, &[]), some(2, &[]));
    }
}
