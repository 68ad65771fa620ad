//! Budgets against a model in whole numbers. Several threads at once are the job of `models`.

use proptest::{collection::vec, prelude::*};

use super::*;

proptest! {
    #[test]
    fn retries_are_a_share_of_the_calls_and_ten(
        thousandths in 1..=1_000_u64,
        calls in vec(0..40_u64, 1..60),
    ) {
        let budget = Budget::new(thousandths as f64 / 1_000.0);
        let mut account = 10_000;
        // Of calls and retries so far, in thousandths of a retry; the least tells the worst while.
        let (mut spent, mut least) = (0_i64, 0_i64);
        for calls in calls {
            for _ in 0..calls {
                budget.deposit();
                account = 10_000.min(account + thousandths);
                spent -= thousandths as i64;
            }
            least = least.min(spent);
            for _ in 0..calls % 7 * 2 {
                let is_granted = account >= 1_000;
                account -= u64::from(is_granted) * 1_000;
                spent += i64::from(is_granted) * 1_000;
                prop_assert_eq!(budget.withdraw(), is_granted);
                prop_assert!(spent - least <= 10_000, "{spent} {least}");
            }
        }
    }
}

#[test]
fn ten_retries_come_before_the_first_call() {
    let budget = Budget::new(0.2);
    assert_eq!((0..20).filter(|_| budget.withdraw()).count(), 10);
    for call in 1..=50 {
        budget.deposit();
        assert_eq!(budget.withdraw(), call % 5 == 0, "{call}");
    }
}

#[test]
fn shares_are_not_rounded_down() {
    // As a binary number it is a little less.
    let budget = Budget::new(0.000_065);
    while budget.withdraw() {}
    let granted = (0..200_000).filter(|_| {
        budget.deposit();
        budget.withdraw()
    });
    assert_eq!(granted.count(), 13);
}
