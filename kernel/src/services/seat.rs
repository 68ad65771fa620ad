//! What the kernel keeps of a provider where calls to it are limited, judged or measured, and the
//! seat that each such call takes. Which provider a call goes to is the job of `order`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use octa_loader::{
    BoxFuture, Outcome,
    policy::{self, Policy, Switch},
};
use octa_plugin_api::{Error, ErrorKind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::guard::{Breaker, BreakerStatus, Measured, Meter, Pass, Verdict};
use crate::time::Clock;

/// How long a call waits for a place if nobody says otherwise.
pub(crate) const WAIT: Duration = Duration::from_secs(1);

/// What is kept of one provider of one capability.
#[derive(Debug)]
pub(crate) struct Guard {
    clock: Arc<dyn Clock>,
    breaker: Option<Judged>,
    room: Option<Arc<Room>>,
    meter: Option<Arc<Meter>>,
    in_flight: Arc<AtomicUsize>,
}

/// A breaker, and what it was made from.
#[derive(Debug, Clone)]
struct Judged(policy::Breaker, Arc<Breaker>);

/// What a guard was before.
#[derive(Debug, Clone, Copy)]
pub(super) enum Before<'a> {
    Nothing,
    /// That of another generation: its calls still take their places.
    Predecessor(&'a Guard),
    /// That of the same instance, treated in another way.
    Itself(&'a Guard),
}

/// The places of a provider, and who waits for one.
#[derive(Debug)]
pub(super) struct Room {
    places: Arc<Semaphore>,
    /// How many there are.
    limit: u32,
    /// How many may wait.
    queue: u32,
    waiting: AtomicU32,
    /// How long one waits at most.
    wait: Duration,
}

/// A call that is let in. Unless it is settled, it was given up.
#[derive(Debug)]
pub(super) struct Seat {
    guard: Arc<Guard>,
    pass: Option<Pass>,
    place: Option<Place>,
    since: Duration,
}

/// A place in a room; it goes with the work that takes it.
pub(super) type Place = OwnedSemaphorePermit;

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
    /// failing one is cut off unless the policy says otherwise.
    pub(super) fn of(
        policy: &Policy,
        is_one_of_many: bool,
        is_measured: bool,
        before: Before<'_>,
        clock: &Arc<dyn Clock>,
    ) -> Option<Arc<Self>> {
        let itself = before.itself();
        let settings = match &policy.breaker {
            Some(Switch::On(settings)) => Some(*settings),
            None if is_one_of_many => Some(policy::Breaker::default()),
            Some(Switch::Off) | None => None,
        };
        let breaker = settings.map(|settings| {
            let same = itself.and_then(|it| it.breaker.clone());
            same.filter(|it| it.0 == settings)
                .unwrap_or_else(|| Judged(settings, Arc::new(Breaker::new(settings))))
        });
        let room = policy.concurrency.map(|limit| {
            let room = Room::new(limit, policy);
            let same = before.any().and_then(|it| it.room.clone());
            same.filter(|it| it.is_like(&room))
                .unwrap_or_else(|| Arc::new(room))
        });
        let meter = is_measured.then(|| {
            let same = itself.and_then(|it| it.meter.clone());
            same.unwrap_or_else(|| Arc::new(Meter::new(clock.monotonic())))
        });
        let is_needed = is_one_of_many || breaker.is_some() || room.is_some() || meter.is_some();
        is_needed.then(|| {
            Arc::new(Self {
                clock: clock.clone(),
                breaker,
                room,
                meter,
                in_flight: itself.map_or_else(Arc::default, |it| it.in_flight.clone()),
            })
        })
    }

    /// Takes a seat, if there is one now.
    pub(super) fn take_seat(self: &Arc<Self>) -> Result<Seat, NoSeat> {
        // First what costs nobody anything if the other one refuses.
        let place = match &self.room {
            Some(room) => Some(room.take().ok_or(NoSeat::Full)?),
            None => None,
        };
        self.take_seat_at(place)
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

    /// Queues for a place; `None` if as many wait as may. What it resolves to is `None` if the
    /// wait was too long.
    pub(super) fn queue(&self) -> Option<BoxFuture<Option<Place>>> {
        let room = self.room.clone()?;
        let queued = Queued::enter(room)?;
        let timer = self.clock.sleep(queued.0.wait);
        Some(Box::pin(async move {
            let places = queued.0.places.clone();
            tokio::select! {
                biased;
                place = places.acquire_owned() => place.ok(),
                () = timer => None,
            }
        }))
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

    pub(super) fn room(&self) -> Option<&Room> {
        self.room.as_deref()
    }
}

impl<'a> Before<'a> {
    fn any(self) -> Option<&'a Guard> {
        match self {
            Self::Nothing => None,
            Self::Predecessor(guard) | Self::Itself(guard) => Some(guard),
        }
    }

    fn itself(self) -> Option<&'a Guard> {
        match self {
            Self::Itself(guard) => Some(guard),
            Self::Nothing | Self::Predecessor(_) => None,
        }
    }
}

impl Room {
    fn new(limit: u32, policy: &Policy) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limit as usize)),
            limit,
            queue: policy.queue.unwrap_or(0),
            waiting: AtomicU32::new(0),
            wait: policy.wait.unwrap_or(WAIT),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.limit, self.queue, self.wait) == (other.limit, other.queue, other.wait)
    }

    fn take(&self) -> Option<Place> {
        self.places.clone().try_acquire_owned().ok()
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn queue(&self) -> u32 {
        self.queue
    }

    pub(super) fn wait(&self) -> Duration {
        self.wait
    }

    pub(super) fn waiting(&self) -> u32 {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// One that waits for a place.
struct Queued(Arc<Room>);

impl Queued {
    fn enter(room: Arc<Room>) -> Option<Self> {
        let one_more = |waiting: u32| (waiting < room.queue).then(|| waiting + 1);
        let entered = (room.waiting).fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        entered.ok().map(|_| Self(room))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seat {
    /// Notes how the call ended.
    pub(super) fn settle(mut self, outcome: &Outcome) {
        let error = outcome.result.as_ref().err();
        self.note(match error {
            Some(error) if is_fault(error) => Verdict::Bad(error.message()),
            Some(error) if error.kind() == ErrorKind::Cancelled => Verdict::Unknown,
            _ => Verdict::Good,
        });
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

/// Whether an error says that the provider does badly, and not that it was asked for what it has
/// reason to refuse.
fn is_fault(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Failed
            | ErrorKind::Panicked
            | ErrorKind::Deadline
            | ErrorKind::Interrupted
            | ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::PluginGone
            | ErrorKind::InvalidOutput
            | ErrorKind::Internal
    )
}
