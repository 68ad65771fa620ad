//! How often each caller may call: `governor` does the arithmetic, this file keeps what it
//! remembers of the callers, and keeps that small.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock::Clock, middleware::NoOpMiddleware, nanos::Nanos, state::StateStore,
};
use octa_loader::policy::Rate;
use parking_lot::Mutex;

use crate::reload::nanos;

/// As many callers are told apart.
const CALLERS: usize = 16_384;

/// How often at most it is looked for callers that can be forgotten, once there are too many.
const SWEEP: Duration = Duration::from_millis(100);

/// The rates at which the callers of a capability call.
#[derive(Debug)]
pub(crate) struct Rates {
    limiter: RateLimiter<u64, Callers, Now, NoOpMiddleware<Duration>>,
    hasher: RandomState,
}

impl Rates {
    pub(crate) fn new(rate: Rate) -> Self {
        let now = Now::default();
        let callers = Callers {
            now: now.clone(),
            memory: Mutex::default(),
        };
        Self {
            limiter: RateLimiter::new(quota(&rate), callers, now),
            hasher: RandomState::new(),
        }
    }

    /// Counts a call.
    ///
    /// # Errors
    ///
    /// How long the caller has to wait, if it is too soon.
    pub(crate) fn check(&self, caller: &str, now: Duration) -> Result<(), Duration> {
        self.limiter.clock().advance_to(now);
        let caller = self.hasher.hash_one(caller);
        let checked = self.limiter.check_key(&caller);
        checked.map_err(|too_soon| too_soon.wait_time_from(now))
    }
}

/// The latest time that was told.
#[derive(Debug, Clone, Default)]
struct Now(Arc<AtomicU64>);

impl Now {
    fn advance_to(&self, now: Duration) {
        self.0.fetch_max(nanos(now), Relaxed);
    }
}

impl Clock for Now {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Relaxed))
    }
}

/// What is remembered of the callers.
#[derive(Debug)]
struct Callers {
    now: Now,
    /// Held while one caller is looked up and counted; for longer only when there are too many.
    memory: Mutex<Memory>,
}

/// Of each caller a hash, and from when on it is as if it had never called.
#[derive(Debug, Default)]
struct Memory {
    callers: HashMap<u64, Nanos>,
    /// The same of those for whom there is no room, as if they were one.
    others: Nanos,
    next_sweep: Duration,
}

impl StateStore for Callers {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, caller: &u64, count: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut memory = self.memory.lock();
        let state = memory.state_of(*caller, self.now.now());
        let (result, next) = count(Some(*state))?;
        *state = next;
        Ok(result)
    }
}

impl Memory {
    fn state_of(&mut self, caller: u64, now: Duration) -> &mut Nanos {
        if self.callers.len() >= CALLERS && !self.callers.contains_key(&caller) {
            self.sweep(now);
            if self.callers.len() >= CALLERS {
                return &mut self.others;
            }
        }
        // It may have been one of the others, and must not begin afresh.
        self.callers.entry(caller).or_insert(self.others)
    }

    fn sweep(&mut self, now: Duration) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + SWEEP;
        self.callers.retain(|_, state| Duration::from(*state) > now);
    }
}

/// Rounded so that nobody gets more than the rate says.
fn quota(rate: &Rate) -> Quota {
    let calls = rate.calls.max(1);
    let every = nanos(rate.per).div_ceil(u64::from(calls)).max(1);
    // What is remembered of a caller has to fit into nanoseconds since the clock began.
    let most = u64::MAX / 4 / every;
    let burst = u32::try_from(most).unwrap_or(u32::MAX).min(rate.burst);
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(Duration::from_nanos(every.min(u64::MAX / 4)))
        .expect("a period of at least a nanosecond")
        .allow_burst(burst)
}

#[cfg(test)]
mod tests;
