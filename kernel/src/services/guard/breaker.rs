//! A circuit breaker: keeps calls away from a provider that fails, and tries from time to time
//! whether it does better.

use std::{fmt::Write as _, time::Duration};

use octa_loader::policy;
use parking_lot::Mutex;
use serde::Serialize;

use super::window::{Ended, Window};

/// How much of an error is kept.
const ERROR_MAX: usize = 256;

/// The breaker of one provider.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: policy::Breaker,
    /// Held for a few additions, and never while anything is called.
    state: Mutex<State>,
}

/// Lets one call in. It has to be settled, whatever becomes of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    /// Of the breaker, when it was given.
    period: u64,
}

/// What a call that was let in says of its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// It did its work.
    Good,
    /// It failed, and how.
    Bad(&'a str),
    /// Nothing: the call was given up.
    Unknown,
}

/// Whether a breaker lets calls in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BreakerState {
    /// It does: the provider does well.
    Closed,
    /// It does not.
    Open,
    /// It lets a few in, to see how they do.
    HalfOpen,
}

/// A breaker, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// Whether it lets calls in.
    pub state: BreakerState,
    /// For how long that has been so, in milliseconds.
    pub for_ms: u64,
    /// The calls that ended in its window; while it is not closed, those over which it opened.
    pub calls: u64,
    /// How many of them failed or were too slow.
    pub failures: u64,
    /// How long until it lets one in again, in milliseconds, while it is open.
    pub next_try_ms: Option<u64>,
    /// How the last one failed that did.
    pub last_error: Option<String>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Counts the phases, to tell passes of one from those of another.
    period: u64,
    since: Duration,
    window: Window,
    /// Over which it opened the last time.
    opened_over: Ended,
    last_error: String,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Closed,
    Open,
    HalfOpen {
        /// Probes that are under way.
        out: u32,
        /// Probes that did well.
        good: u32,
    },
}

impl Breaker {
    /// One that is closed, from now on.
    pub(crate) fn new(settings: policy::Breaker, now: Duration) -> Self {
        let state = State {
            phase: Phase::Closed,
            period: 0,
            since: now,
            window: Window::new(settings.window),
            opened_over: Ended::default(),
            last_error: String::new(),
        };
        Self {
            settings,
            state: Mutex::new(state),
        }
    }

    /// Lets a call in, or not.
    pub(crate) fn admit(&self, now: Duration) -> Option<Pass> {
        let mut state = self.state.lock();
        state.half_open(&self.settings, now);
        match &mut state.phase {
            Phase::Closed => {}
            Phase::HalfOpen { out, good } if *out + *good < self.settings.probes => *out += 1,
            Phase::HalfOpen { .. } | Phase::Open => return None,
        }
        Some(Pass {
            period: state.period,
        })
    }

    /// Takes note of how a call ended that was let in, and that it `took` so long. One that was
    /// let in before the breaker last changed says nothing about now.
    pub(crate) fn settle(&self, pass: Pass, verdict: Verdict<'_>, took: Duration, now: Duration) {
        let mut state = self.state.lock();
        if pass.period != state.period {
            return;
        }
        let slow = self.settings.slow.filter(|slow| took > *slow);
        let is_good = match (verdict, slow) {
            (Verdict::Unknown, _) => return state.give_back(),
            (Verdict::Good, None) => true,
            (Verdict::Good, Some(slow)) => {
                state.remember(format_args!(
                    "it took {took:?}, which is more than {slow:?}"
                ));
                false
            }
            (Verdict::Bad(error), _) => {
                state.remember(format_args!("{error}"));
                false
            }
        };
        state.settle(is_good, &self.settings, now);
    }

    /// Whether it would let a call in now.
    pub(crate) fn admits(&self, now: Duration) -> bool {
        let mut state = self.state.lock();
        state.half_open(&self.settings, now);
        state.admits(&self.settings)
    }

    /// The share of the calls in the window that were good; 1 while there are too few to judge.
    /// While it is not closed: 1 if it would let one in now, or 0.
    pub(crate) fn health(&self, now: Duration) -> f64 {
        let mut state = self.state.lock();
        state.half_open(&self.settings, now);
        match state.phase {
            Phase::Open | Phase::HalfOpen { .. } => {
                f64::from(u8::from(state.admits(&self.settings)))
            }
            Phase::Closed => match state.window.ended(now) {
                ended if ended.calls < u64::from(self.settings.calls) => 1.0,
                ended => 1.0 - share(ended),
            },
        }
    }

    pub(crate) fn status(&self, now: Duration) -> BreakerStatus {
        let mut state = self.state.lock();
        state.half_open(&self.settings, now);
        let passed = now.saturating_sub(state.since);
        let left = self.settings.open.saturating_sub(passed);
        let (shown, next_try) = match state.phase {
            Phase::Closed => (BreakerState::Closed, None),
            Phase::Open => (BreakerState::Open, Some(left)),
            Phase::HalfOpen { .. } => (BreakerState::HalfOpen, None),
        };
        let Ended { calls, failures } = match shown {
            BreakerState::Closed => state.window.ended(now),
            BreakerState::Open | BreakerState::HalfOpen => state.opened_over,
        };
        BreakerStatus {
            state: shown,
            for_ms: millis(passed),
            calls,
            failures,
            next_try_ms: next_try.map(millis),
            last_error: Some(&state.last_error)
                .filter(|error| !error.is_empty())
                .cloned(),
        }
    }
}

impl State {
    /// Looks whether it has been open for long enough.
    fn half_open(&mut self, settings: &policy::Breaker, now: Duration) {
        let end = self.since.saturating_add(settings.open);
        if matches!(self.phase, Phase::Open) && now >= end {
            self.turn_to(Phase::HalfOpen { out: 0, good: 0 }, end);
        }
    }

    fn admits(&self, settings: &policy::Breaker) -> bool {
        match self.phase {
            Phase::Closed => true,
            Phase::HalfOpen { out, good } => out + good < settings.probes,
            Phase::Open => false,
        }
    }

    fn settle(&mut self, is_good: bool, settings: &policy::Breaker, now: Duration) {
        match &mut self.phase {
            Phase::Open => {}
            Phase::Closed => {
                self.window.note(is_good, now);
                let ended = self.window.ended(now);
                let is_judged = ended.calls >= u64::from(settings.calls);
                if is_judged && share(ended) >= settings.failures {
                    self.open(ended, now);
                }
            }
            Phase::HalfOpen { good, .. } if !is_good => {
                let calls = u64::from(*good) + 1;
                self.open(Ended { calls, failures: 1 }, now);
            }
            Phase::HalfOpen { out, good } => {
                *out = out.saturating_sub(1);
                *good += 1;
                if *good >= settings.probes {
                    self.turn_to(Phase::Closed, now);
                }
            }
        }
    }

    fn open(&mut self, over: Ended, now: Duration) {
        self.opened_over = over;
        self.turn_to(Phase::Open, now);
    }

    fn give_back(&mut self) {
        if let Phase::HalfOpen { out, .. } = &mut self.phase {
            *out = out.saturating_sub(1);
        }
    }

    fn turn_to(&mut self, phase: Phase, now: Duration) {
        self.phase = phase;
        self.period += 1;
        self.since = now;
        self.window.clear();
    }

    /// Into memory that is kept, so that failing costs no allocation each time.
    fn remember(&mut self, error: std::fmt::Arguments<'_>) {
        self.last_error.clear();
        // Writing to a string cannot fail.
        let _ = self.last_error.write_fmt(error);
        let end = self.last_error.floor_char_boundary(ERROR_MAX);
        self.last_error.truncate(end);
    }
}

fn share(ended: Ended) -> f64 {
    // A quotient, and no product: `7 / 100` is the number that `0.07` is, `0.07 * 100` is not 7.
    ended.failures as f64 / ended.calls as f64
}

/// Rounded up: what is not over yet is not shown as over.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
