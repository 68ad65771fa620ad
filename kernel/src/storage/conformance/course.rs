//! Random courses: the same steps for an adapter and for the model, until an answer differs; then the
//! shortest course that still fails.

use std::mem;

use super::super::Storage;
use super::random::Random;
use super::step::Step;
use super::walk::Walk;
use super::{PATIENCE, run_one};

/// How often a failing course is tried with something left out.
const TRIES: usize = 400;
/// How much of an answer is worth reading.
const SHOWN: usize = 2_000;

/// Why a course ended early.
#[derive(Debug)]
pub(super) struct Failure {
    /// How many steps had been taken, the failing one included.
    pub(super) steps: usize,
    pub(super) message: String,
}

/// Makes a course of its seed and takes it, on what `place` opens.
pub(super) fn run<O: FnMut() -> Storage>(
    mut place: impl FnMut() -> O,
    may_reopen: bool,
    seed: u64,
    steps: usize,
) {
    let mut random = Random::new(seed);
    let mut course: Vec<_> = (0..steps)
        .map(|_| Step::random(&mut random, may_reopen))
        .collect();
    let Err(first) = take(place(), &course) else {
        return;
    };
    let steps = first.steps;
    course.truncate(steps);
    let last = shorten(&mut course, |course| take(place(), course)).unwrap_or(first);
    let told: String = course.iter().map(|step| format!("  {step:?}\n")).collect();
    panic!(
        "the course with seed {seed} failed in step {steps}: {}\nas short as it gets:\n{told}",
        last.message.chars().take(SHOWN).collect::<String>()
    );
}

/// Leaves out what is not needed to fail, halves first, then ever smaller parts; returns the last failure.
fn shorten(
    course: &mut Vec<Step>,
    mut fails: impl FnMut(&[Step]) -> Result<(), Failure>,
) -> Option<Failure> {
    let mut last = None;
    let mut tries = TRIES;
    let mut part = course.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < course.len() && tries > 0 {
            tries -= 1;
            let end = (at + part).min(course.len());
            let shorter: Vec<_> = [&course[..at], &course[end..]].concat();
            match fails(&shorter) {
                Ok(()) => at = end,
                Err(failure) => {
                    *course = shorter;
                    course.truncate(failure.steps);
                    last = Some(failure);
                }
            }
        }
        part /= 2;
    }
    last
}

/// Takes a course, opening the storage again where it says so.
fn take(mut open: impl FnMut() -> Storage, course: &[Step]) -> Result<(), Failure> {
    let mut walk = Walk::default();
    let mut taken = 0;
    loop {
        let rest = &course[taken..];
        let reopen = rest.iter().position(|step| matches!(step, Step::Reopen));
        let stretch = rest[..reopen.unwrap_or(rest.len())].to_vec();
        let until = taken + stretch.len();
        let before = mem::take(&mut walk);
        let is_last = reopen.is_none();
        let ended = run_one(open(), PATIENCE, move |storage| {
            Box::pin(before.stretch(storage, stretch, is_last))
        });
        let ended = ended.map_err(|message| Failure {
            steps: until,
            message,
        })?;
        walk = ended.map_err(|failure| Failure {
            steps: taken + failure.steps,
            ..failure
        })?;
        if is_last {
            return Ok(());
        }
        taken = until + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A course fails as soon as it has taken two of its steps.
    fn fails(course: &[Step]) -> Result<(), Failure> {
        let usage = course.iter().position(|step| matches!(step, Step::Usage));
        let snapshot = course
            .iter()
            .position(|step| matches!(step, Step::Snapshot));
        let Some((usage, snapshot)) = usage.zip(snapshot) else {
            return Ok(());
        };
        Err(Failure {
            steps: usage.max(snapshot) + 1,
            message: "both".to_owned(),
        })
    }

    #[test]
    fn a_failing_course_is_cut_down_to_what_fails() {
        let mut random = Random::new(7);
        let mut course: Vec<_> = (0..300).map(|_| Step::random(&mut random, true)).collect();
        let last = shorten(&mut course, fails).expect("it fails");
        assert_eq!(last.message, "both");
        assert_eq!(course.len(), 2, "{course:?}");
        fails(&course).expect_err("it still fails");
    }
}
