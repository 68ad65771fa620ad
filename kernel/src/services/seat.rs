//! What the kernel keeps of a provider where calls to it are limited, judged or measured, and the
//! seat that each such call takes. Which provider a call goes to is the job of `order`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use octa_loader::{
    BoxFuture, Outcome,
    policy::{self, Policy, Switch},
};
use octa_plugin_api::{Error, ErrorKind, Payload};

use super::{
    checks::Checks,
    guard::{Breaker, BreakerStatus, Measured, Meter, Pass, Verdict},
    kinds::is_fault,
    room::{Place, Room},
    route::Provider,
};
use crate::time::Clock;

/// How long a call waits for a place if nobody says otherwise.
pub(crate) const WAIT: Duration = Duration::from_secs(1);

/// What is kept of one provider of one capability.
#[derive(Debug)]
pub(crate) struct Guard {
    plugin: Arc<str>,
    clock: Arc<dyn Clock>,
    /// A call that was given less time says nothing when it is late.
    patience: Duration,
    checks: Option<Checks>,
    breaker: Option<Judged>,
    room: Option<Arc<Room>>,
    /// How many may wait for a place, and how long each.
    queue: u32,
    wait: Duration,
    meter: Option<Arc<Meter>>,
    in_flight: Arc<AtomicUsize>,
}

/// A breaker, and what it was made from.
#[derive(Debug, Clone)]
struct Judged(policy::Breaker, Arc<Breaker>);

/// A call that is let in. Unless it is settled, it was given up.
#[derive(Debug)]
pub(super) struct Seat {
    guard: Arc<Guard>,
    pass: Option<Pass>,
    place: Option<Place>,
    since: Duration,
}

/// Why a call is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSeat {
    /// The breaker is open.
    CutOff,
    /// As many calls are under way as may be.
    Full,
}

impl Guard {
    /// What a policy asks to be kept; `None` if nothing. Where there are several providers, a
    /// failing one is cut off unless the policy says otherwise. `itself` is what was kept of the same instance, treated
    /// in another way; the room serves all generations.
    pub(super) fn of(
        provider: &Provider,
        policy: &Policy,
        is_one_of_many: bool,
        is_measured: bool,
        itself: Option<&Self>,
        room: Option<Arc<Room>>,
        clock: &Arc<dyn Clock>,
    ) -> Option<Arc<Self>> {
        let settings = match &policy.breaker {
            Some(Switch::On(settings)) => Some(*settings),
            None if is_one_of_many => Some(policy::Breaker::default()),
            Some(Switch::Off) | None => None,
        };
        let breaker = settings.map(|settings| {
            let same = itself.and_then(|it| it.breaker.clone());
            same.filter(|it| it.0 == settings).unwrap_or_else(|| {
                let breaker = Breaker::new(settings, clock.monotonic());
                Judged(settings, Arc::new(breaker))
            })
        });
        let checks = (policy.check == Some(true)).then(|| provider.describe());
        let checks = checks.flatten().map(Checks::of);
        let meter = is_measured.then(|| {
            let same = itself.and_then(|it| it.meter.clone());
            same.unwrap_or_else(|| Arc::new(Meter::new(clock.monotonic())))
        });
        let is_limited = breaker.is_some() || room.is_some();
        let is_needed = is_one_of_many || is_limited || meter.is_some() || checks.is_some();
        let slow = settings.and_then(|settings| settings.slow);
        is_needed.then(|| {
            Arc::new(Self {
                plugin: provider.instance.name().clone(),
                clock: clock.clone(),
                patience: slow.unwrap_or(provider.patience()),
                checks,
                breaker,
                room,
                queue: policy.queue.unwrap_or(0),
                wait: policy.wait.unwrap_or(WAIT),
                meter,
                in_flight: itself.map_or_else(Arc::default, |it| it.in_flight.clone()),
            })
        })
    }

    /// What a call has to bring that it does not.
    pub(super) fn check(&self, payload: &Payload) -> Result<(), Error> {
        self.checks
            .as_ref()
            .map_or(Ok(()), |checks| checks.input(payload))
    }

    /// Takes a seat, if there is one now.
    pub(super) fn take_seat(self: &Arc<Self>) -> Result<Seat, NoSeat> {
        let Some(room) = &self.room else {
            return self.take_seat_at(None);
        };
        // Nobody waits for a place where no call is let in.
        if !self.admits() {
            return Err(NoSeat::CutOff);
        }
        let place = room.take().ok_or(NoSeat::Full)?;
        self.take_seat_at(Some(place))
    }

    /// Takes a seat at a place that was waited for.
    pub(super) fn take_seat_at(self: &Arc<Self>, place: Option<Place>) -> Result<Seat, NoSeat> {
        let since = self.clock.monotonic();
        let pass = match &self.breaker {
            Some(Judged(_, breaker)) => Some(breaker.admit(since).ok_or(NoSeat::CutOff)?),
            None => None,
        };
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Seat {
            guard: self.clone(),
            pass,
            place,
            since,
        })
    }

    /// Queues for a place here or in one of several `rooms`; `None` if as many wait here as may. What it resolves to
    /// is `None` if the wait was too long.
    pub(super) fn queue(&self, rooms: &[&Arc<Room>]) -> Option<BoxFuture<Option<Place>>> {
        let room = self.room.as_ref()?;
        room.queue(self.queue, rooms, || self.clock.sleep(self.wait))
    }

    /// Whether its breaker would let a call in now.
    fn admits(&self) -> bool {
        let breaker = self.breaker.as_ref();
        breaker.is_none_or(|Judged(_, it)| it.admits(self.clock.monotonic()))
    }

    /// Whether a call would be let in now.
    pub(super) fn is_ready(&self) -> bool {
        self.admits() && self.room.as_ref().is_none_or(|room| room.has_place())
    }

    /// How well the provider does as far as the kernel sees, from 0.0 to 1.0.
    pub(super) fn health(&self) -> f64 {
        let breaker = self.breaker.as_ref();
        breaker.map_or(1.0, |Judged(_, it)| it.health(self.clock.monotonic()))
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn breaker(&self) -> Option<BreakerStatus> {
        let now = self.clock.monotonic();
        self.breaker.as_ref().map(|Judged(_, it)| it.status(now))
    }

    pub(super) fn measured(&self) -> Option<Measured> {
        let now = self.clock.monotonic();
        self.meter.as_ref().map(|it| it.measured(now))
    }

    pub(super) fn room(&self) -> Option<&Arc<Room>> {
        self.room.as_ref()
    }

    /// Whether a place is one of its room.
    pub(super) fn is_of(&self, place: &Place) -> bool {
        self.room.as_ref().is_some_and(|room| place.is_in(room))
    }

    /// How many may wait for a place, and how long each.
    pub(super) fn queue_of(&self) -> (u32, Duration) {
        (self.queue, self.wait)
    }
}

impl Seat {
    /// Notes how the call ended; what it ended with, unless that is not what was declared.
    pub(super) fn settle(mut self, outcome: Outcome) -> Outcome {
        let outcome = match &self.guard.checks {
            Some(checks) => checks.output(&self.guard.plugin, outcome),
            None => outcome,
        };
        let error = outcome.result.as_ref().err();
        self.note(error.map_or(Verdict::Good, |error| self.judge(error)));
        outcome
    }

    /// What an error says of the provider that ended with it.
    fn judge<'a>(&self, error: &'a Error) -> Verdict<'a> {
        let is_its_own = error
            .plugin()
            .is_none_or(|plugin| plugin == &*self.guard.plugin);
        let took = self.guard.clock.monotonic().saturating_sub(self.since);
        match error.kind() {
            _ if !is_its_own => Verdict::Unknown,
            ErrorKind::Cancelled => Verdict::Unknown,
            // That may be the haste of who called.
            ErrorKind::Deadline if took < self.guard.patience => Verdict::Unknown,
            _ if is_fault(error) => Verdict::Bad(error.message()),
            _ => Verdict::Good,
        }
    }

    /// The place goes with work that may outlast the call.
    pub(super) fn give_place(&mut self) -> Option<Place> {
        self.place.take()
    }

    fn note(&mut self, verdict: Verdict<'_>) {
        let now = self.guard.clock.monotonic();
        let took = now.saturating_sub(self.since);
        if let Some(meter) = &self.guard.meter
            && !matches!(verdict, Verdict::Unknown)
        {
            meter.note(took, matches!(verdict, Verdict::Good), now);
        }
        if let (Some(Judged(_, breaker)), Some(pass)) = (&self.guard.breaker, self.pass.take()) {
            breaker.settle(pass, verdict, took, now);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.pass.is_some() {
            self.note(Verdict::Unknown);
        }
        self.guard.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
