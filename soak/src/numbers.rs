//! Numbers that should come each once: a tally that needs no more memory than there is disorder.

use std::collections::BTreeSet;

/// Numbers that should come in order, from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct InOrder {
    /// The highest.
    pub(crate) last: u64,
    /// How many were passed over.
    pub(crate) missing: u64,
    /// How many came that were not higher than all before.
    pub(crate) repeated: u64,
}

impl InOrder {
    pub(crate) fn note(&mut self, number: u64) {
        if number > self.last {
            self.missing += number - self.last - 1;
            self.last = number;
        } else {
            self.repeated += 1;
        }
    }
}

/// Numbers from 1 that should come each once, in whatever order.
#[derive(Debug, Default, Clone)]
pub(crate) struct EachOnce {
    /// All up to this one have come.
    upto: u64,
    /// Those that have come beyond it.
    beyond: BTreeSet<u64>,
    /// How many came again.
    pub(crate) repeated: u64,
}

impl EachOnce {
    pub(crate) fn note(&mut self, number: u64) {
        if number <= self.upto || !self.beyond.insert(number) {
            self.repeated += 1;
        }
        while self.beyond.remove(&(self.upto + 1)) {
            self.upto += 1;
        }
    }

    /// The highest, and how many below it did not come.
    pub(crate) fn last_and_missing(&self) -> (u64, u64) {
        let last = self.beyond.last().copied().unwrap_or(self.upto);
        (last, last - self.upto - self.beyond.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numbers: &[u64], in_order: (u64, u64, u64), each_once: (u64, u64, u64)) {
        let (mut ordered, mut once) = (InOrder::default(), EachOnce::default());
        for &number in numbers {
            ordered.note(number);
            once.note(number);
        }
        let found = (ordered.last, ordered.missing, ordered.repeated);
        assert_eq!(found, in_order, "in order");
        let (last, missing) = once.last_and_missing();
        assert_eq!((last, missing, once.repeated), each_once, "each once");
    }

    #[test]
    fn what_is_missing_or_comes_again_is_counted() {
        check(&[], (0, 0, 0), (0, 0, 0));
        check(&[1, 2, 3], (3, 0, 0), (3, 0, 0));
        check(&[1, 3], (3, 1, 0), (3, 1, 0));
        check(&[1, 2, 2, 3], (3, 0, 1), (3, 0, 1));
        check(&[3, 1, 1, 4], (4, 2, 2), (4, 1, 1));
    }

    #[test]
    fn disorder_is_none_where_any_order_will_do() {
        check(&[2, 1, 4, 3], (4, 2, 2), (4, 0, 0));
    }
}
