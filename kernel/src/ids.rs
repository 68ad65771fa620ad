//! Numbers that tie together what belongs together, made where a call or an event comes in from
//! outside.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
};

/// Makes correlation ids: unique in this kernel, and not to be guessed from outside it.
#[derive(Debug)]
pub(crate) struct Ids {
    high: u64,
}

impl Ids {
    pub(crate) fn new() -> Self {
        Self {
            high: RandomState::new().hash_one("correlation"),
        }
    }

    /// The next id, never 0. Each thread counts by itself.
    pub(crate) fn next(&self) -> u128 {
        thread_local! {
            static NEXT: Cell<u64> = const { Cell::new(0) };
        }
        let low = NEXT.with(|next| {
            let low = if next.get() == 0 { first() } else { next.get() };
            next.set(low.wrapping_add(1));
            low
        });
        (u128::from(self.high) << 64) | u128::from(low) | 1 << 127
    }
}

/// Where a thread begins to count.
#[cold]
fn first() -> u64 {
    RandomState::new().hash_one("thread")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ() {
        let ids = Ids::new();
        let made: HashSet<u128> = (0..1000).map(|_| ids.next()).collect();
        assert_eq!(made.len(), 1000);
        assert!(!made.contains(&0));
    }
}
