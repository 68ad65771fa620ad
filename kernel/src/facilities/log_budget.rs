//! How much an instance may write into the log: a flood of lines is cut, counted and told.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;

/// How many lines go through in one second.
pub(super) const LINES: u64 = 1000;
/// What they are counted in.
pub(super) const WINDOW: Duration = Duration::from_secs(1);

/// The lines of one instance.
#[derive(Debug, Clone, Default)]
pub(super) struct LogBudget(Arc<Mutex<Window>>);

#[derive(Debug, Default)]
struct Window {
    began: Duration,
    lines: u64,
}

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is written.
    Write,
    /// It is left out, the first of its window: how many there were is to be told at its end.
    LeaveOutAndTell,
    /// It is left out.
    LeaveOut,
}

impl LogBudget {
    /// Decides on a line of this moment.
    pub(super) fn take(&self, now: Duration) -> Verdict {
        let mut window = self.0.lock();
        // While some are left out, the window is ended by who tells of them.
        if window.lines <= LINES && now.saturating_sub(window.began) >= WINDOW {
            *window = Window {
                began: now,
                lines: 0,
            };
        }
        window.lines += 1;
        match window.lines - 1 {
            0..LINES => Verdict::Write,
            LINES => Verdict::LeaveOutAndTell,
            _ => Verdict::LeaveOut,
        }
    }

    /// Ends the window; answers how many lines were left out in it.
    pub(super) fn settle(&self, now: Duration) -> u64 {
        let mut window = self.0.lock();
        let left_out = window.lines.saturating_sub(LINES);
        *window = Window {
            began: now,
            lines: 0,
        };
        left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let budget = LogBudget::default();
        let at = Duration::from_secs;
        let verdicts: Vec<_> = (0..LINES + 3).map(|_| budget.take(at(5))).collect();
        let written = verdicts.iter().filter(|it| **it == Verdict::Write).count();
        assert_eq!(written as u64, LINES);
        let rest = [
            Verdict::LeaveOutAndTell,
            Verdict::LeaveOut,
            Verdict::LeaveOut,
        ];
        assert_eq!(verdicts[LINES as usize..], rest);
        // Also after the window: what was left out is told first.
        assert_eq!(budget.take(at(9)), Verdict::LeaveOut);
        assert_eq!(budget.settle(at(9)), 4);
        assert_eq!(budget.take(at(9)), Verdict::Write);
    }

    #[test]
    fn each_second_has_its_lines() {
        let budget = LogBudget::default();
        for second in 5..8 {
            let at = Duration::from_secs(second);
            assert!((0..LINES).all(|_| budget.take(at) == Verdict::Write));
        }
        assert_eq!(budget.settle(Duration::from_secs(8)), 0);
    }
}
