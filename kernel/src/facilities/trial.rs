//! What a generation asked for before it has taken over: kept in order, until it is had or
//! dropped. Having it is left to others.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use octa_loader::{BoxFuture, Request};
use octa_plugin_api::{Error, ErrorKind, Payload};
use parking_lot::Mutex;

use super::{errors, publishing::Retention, subscriptions::Inbox};
use crate::bus::{Draft, JSON};

/// The most events and subscriptions of one trial.
const EFFECTS_MAX: usize = 1 << 16;
/// The most bytes of the events of one trial.
const BYTES_MAX: usize = 64 << 20;

/// Something that others would notice.
pub(super) enum Effect {
    Publish(HeldEvent),
    Subscribe(Arc<Inbox>),
    Spawn(BoxFuture<()>),
}

/// An event that was not sent yet.
pub(super) struct HeldEvent {
    topic: Box<str>,
    payload: Payload,
    correlation: u128,
    retention: Retention,
}

impl HeldEvent {
    pub(super) fn of(request: &Request<'_>, retention: Retention) -> Self {
        Self {
            topic: request.target.into(),
            payload: request.payload.clone(),
            correlation: request.envelope.correlation,
            retention,
        }
    }

    pub(super) fn retention(&self) -> Retention {
        self.retention
    }

    pub(super) fn draft(&self) -> Draft<'_> {
        Draft {
            topic: &self.topic,
            payload: self.payload.clone(),
            content_type: JSON,
            correlation: self.correlation,
        }
    }
}

impl Effect {
    /// How much room it takes; tasks lie in memory of the plugin's, here as anywhere.
    fn room(&self) -> (usize, usize) {
        match self {
            Self::Publish(event) => (1, event.topic.len() + event.payload.len()),
            Self::Subscribe(_) => (1, 0),
            Self::Spawn(_) => (0, 0),
        }
    }
}

/// The trial of one generation.
pub(super) struct Trial {
    /// Whether it goes on. Apart from the phase, for who looks on the way of a call.
    on: AtomicBool,
    /// Locked for a moment, never while an effect is had or dropped: both run others' code.
    held: Mutex<Held>,
}

struct Held {
    phase: Phase,
    effects: VecDeque<Effect>,
    /// How much was ever taken in: also what comes while the rest is had is bounded, so that
    /// this ends.
    taken: (usize, usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// All is held back.
    On,
    /// What is held is being had; what comes meanwhile comes after it.
    Ending,
    /// Nothing is held back any more.
    Over,
    /// The generation has failed: nothing will be had any more.
    Failed,
}

impl Trial {
    pub(super) fn new() -> Self {
        Self::in_phase(Phase::On)
    }

    /// No trial at all.
    pub(super) fn none() -> Self {
        Self::in_phase(Phase::Over)
    }

    fn in_phase(phase: Phase) -> Self {
        let held = Held {
            phase,
            effects: VecDeque::new(),
            taken: (0, 0),
        };
        Self {
            on: AtomicBool::new(phase == Phase::On),
            held: Mutex::new(held),
        }
    }

    /// Whether what cannot be held back is to be refused.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Holds an effect back; gives it back if it is to be had at once.
    ///
    /// # Errors
    ///
    /// If there is no more room, or the generation has failed.
    pub(super) fn hold(&self, effect: Effect, plugin: &str) -> Result<Option<Effect>, Error> {
        let taken = self.held.lock().take_in(effect);
        match taken {
            Ok(()) => Ok(None),
            Err((Phase::Over, effect)) => Ok(Some(effect)),
            Err((Phase::Failed, _)) => Err(errors::failed_trial(plugin)),
            Err((Phase::On | Phase::Ending, _)) => Err(full(plugin)),
        }
    }

    /// Ends the trial well; false if it has ended before. From now on nothing is refused, and
    /// what is held is to be had, one [`next`](Self::next) after the other.
    pub(super) fn end(&self) -> bool {
        let mut held = self.held.lock();
        let on = held.phase == Phase::On;
        if on {
            held.phase = Phase::Ending;
            self.on.store(false, Ordering::Relaxed);
        }
        on
    }

    /// The first of what is held. If there is none, `done` runs before anybody is told that
    /// nothing is held back any more.
    pub(super) fn next(&self, done: impl FnOnce()) -> Option<Effect> {
        let mut held = self.held.lock();
        if held.phase != Phase::Ending {
            return None;
        }
        let next = held.effects.pop_front();
        if next.is_none() {
            done();
            held.phase = Phase::Over;
            held.effects = VecDeque::new();
        }
        next
    }

    /// Ends the trial badly, if it has not ended well; answers what nobody will have.
    pub(super) fn fail(&self) -> VecDeque<Effect> {
        let mut held = self.held.lock();
        if held.phase != Phase::Over {
            held.phase = Phase::Failed;
        }
        std::mem::take(&mut held.effects)
    }

    /// How many events and tasks are held.
    pub(super) fn count(&self) -> (usize, usize) {
        let held = self.held.lock();
        let count = |is: fn(&&Effect) -> bool| held.effects.iter().filter(is).count();
        let events = count(|effect| matches!(effect, Effect::Publish(_)));
        (events, count(|effect| matches!(effect, Effect::Spawn(_))))
    }
}

impl Held {
    /// Takes an effect in; or gives it back, to be had or dropped where nothing is locked.
    fn take_in(&mut self, effect: Effect) -> Result<(), (Phase, Effect)> {
        let (count, bytes) = effect.room();
        let taken = (self.taken.0 + count, self.taken.1 + bytes);
        let full = count > 0 && (taken.0 > EFFECTS_MAX || taken.1 > BYTES_MAX);
        if full || matches!(self.phase, Phase::Over | Phase::Failed) {
            return Err((self.phase, effect));
        }
        self.taken = taken;
        self.effects.push_back(effect);
        Ok(())
    }
}

#[cold]
fn full(plugin: &str) -> Error {
    let message = format!(
        "plugin `{plugin}` has not taken over yet, and no more than {EFFECTS_MAX} events of \
         {} MiB in all are held back until then",
        BYTES_MAX >> 20
    );
    Error::new(ErrorKind::Overloaded, message).with_hint(errors::LATER)
}
