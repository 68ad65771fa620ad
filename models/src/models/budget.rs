//! The budget of retries: calls pay in while others take out.

use std::{iter, sync::Arc};

use loom::thread;

use crate::budget::Budget;

/// What a thread does with it.
#[derive(Clone, Copy)]
enum Step {
    Deposit,
    Withdraw,
}

use Step::{Deposit, Withdraw};

/// How many retries some threads get that run at once.
fn granted<const THREADS: usize>(
    budget: &Arc<Budget>,
    threads: [&'static [Step]; THREADS],
) -> usize {
    let run = |steps: &'static [Step]| {
        let budget = budget.clone();
        thread::spawn(move || {
            let is_granted = |step: &&Step| match step {
                Deposit => {
                    budget.deposit();
                    false
                }
                Withdraw => budget.withdraw(),
            };
            steps.iter().filter(is_granted).count()
        })
    };
    let threads = threads.map(run);
    threads
        .into_iter()
        .map(|it| it.join().expect("it ends"))
        .sum()
}

fn left(budget: &Budget) -> usize {
    iter::from_fn(|| budget.withdraw().then_some(())).count()
}

pub(super) fn grants() {
    let budget = Arc::new(Budget::new(0.5));
    left(&budget);
    let granted = granted(
        &budget,
        [&[Deposit, Withdraw], &[Deposit, Withdraw], &[Withdraw]],
    );
    assert_eq!(granted + left(&budget), 1);
}

pub(super) fn is_full() {
    let budget = Arc::new(Budget::new(0.5));
    let granted = granted(&budget, [&[Deposit, Deposit], &[Deposit], &[Withdraw]]);
    assert_eq!(granted, 1);
    // Of the three halves, those that came while it was full are gone.
    assert!((9..=10).contains(&left(&budget)));
}
