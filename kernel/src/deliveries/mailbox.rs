//! The queue of one declared subscription, which stays while generations of its plugin come and
//! go; reading it is the job of `lane`.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use octa_loader::Subscription as Declared;
use octa_plugin_api::{Error, ErrorKind};
use tokio::sync::{
    AcquireError, Mutex, MutexGuard, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore,
};

use super::dead_letter;
use crate::{
    bus::{Bus, Held, Publisher, Subscription, SubscriptionHandle, SubscriptionOptions},
    dead_letters::{DeadLetters, GivenUp},
};

/// One declared subscription of a plugin: its queue, whoever reads it. Clones are the same.
///
/// It takes events in from the moment it is opened until it is closed; without lanes that read
/// it, they wait within its overflow policy.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    subscription: Subscription,
    /// Where events go that are given up.
    letters: DeadLetters,
    /// Whose lanes read: those of one generation at a time, in the order in which they began.
    turn: Arc<Semaphore>,
    /// Held by the lane that takes, and until what it took is begun if there are others; this is
    /// the order in which events are begun.
    taking: Arc<Mutex<()>>,
}

/// The right of one generation's lanes to read; dropping it gives it to the next.
pub(super) type Turn = OwnedSemaphorePermit;

/// While a lane has it, no other takes an event.
pub(super) type Taking = OwnedMutexGuard<()>;

impl Mailbox {
    /// Begins to take in what `plugin` has declared; `which` counts those to the same pattern.
    pub(crate) fn open(
        bus: &Bus,
        letters: &DeadLetters,
        plugin: &str,
        which: usize,
        declared: &Declared,
    ) -> Self {
        let options = SubscriptionOptions {
            declared: Some(which),
            ..SubscriptionOptions::new(plugin, declared.pattern.clone())
                .capacity(declared.capacity as usize)
                .overflow(declared.overflow)
        };
        let subscription = bus.subscribe(options);
        subscription.set_concurrency(declared.concurrency);
        Self(Arc::new(Inner {
            subscription,
            letters: letters.clone(),
            turn: Arc::new(Semaphore::new(1)),
            taking: Arc::default(),
        }))
    }

    /// The subscription as seen from outside.
    pub(crate) fn handle(&self) -> SubscriptionHandle {
        self.0.subscription.handle()
    }

    /// Takes on another declaration of the same pattern. Nothing is lost by it: the policy is for
    /// what comes, and what waits stays, also beyond a smaller capacity.
    pub(crate) fn reshape(&self, declared: &Declared) {
        let capacity = declared.capacity as usize;
        self.0.subscription.reshape(capacity, declared.overflow);
        self.0.subscription.set_concurrency(declared.concurrency);
    }

    /// Takes nothing in any more: the plugin is stopped for good. What waits is dropped, counted,
    /// and told once; what was tried before is a dead letter.
    ///
    /// What lanes give back later is treated the same.
    pub(crate) fn close(&self, publisher: &Publisher) {
        let tried = self.0.subscription.end();
        self.give_up(tried, publisher);
        self.0.subscription.tell_last(publisher);
    }

    /// Takes events back from a lane, to be handled before all others.
    pub(super) fn take_back(&self, held: Vec<Held>, publisher: &Publisher) {
        if held.is_empty() {
            return;
        }
        let tried = self.0.subscription.give_back(held);
        self.give_up(tried, publisher);
        if self.0.subscription.is_ended() {
            self.0.subscription.tell_last(publisher);
        }
    }

    fn give_up(&self, tried: Vec<Held>, publisher: &Publisher) {
        for held in tried {
            let message = "the plugin was stopped before it was tried again";
            let error = Error::new(ErrorKind::Interrupted, message);
            self.tell_dead(&held, held.attempt, &error, publisher);
        }
    }

    /// Counts an event that is to be tried again.
    pub(super) fn count_retry(&self) {
        self.0.subscription.handle().count_retry();
    }

    /// Tells of an event that is tried no more, after so many times.
    pub(super) fn tell_dead(
        &self,
        held: &Held,
        attempts: u32,
        error: &Error,
        publisher: &Publisher,
    ) {
        let given_up = GivenUp {
            subscription: &self.handle(),
            event: &held.event,
            error,
            attempts,
        };
        dead_letter::tell(publisher, &self.0.letters, &given_up);
    }

    /// Waits until no lanes read that began before.
    pub(super) async fn turn(&self) -> Result<Turn, AcquireError> {
        self.0.turn.clone().acquire_owned().await
    }

    /// Waits until no other lane is taking.
    pub(super) async fn taking(&self) -> MutexGuard<'_, ()> {
        self.0.taking.lock().await
    }

    /// The same to be kept beyond the taking.
    pub(super) async fn kept_taking(&self) -> Taking {
        self.0.taking.clone().lock_owned().await
    }

    /// Takes up to `most` events; 0 once it is closed and empty.
    pub(super) fn poll_take(
        &self,
        cx: &mut Context<'_>,
        batch: &mut Vec<Held>,
        most: usize,
    ) -> Poll<usize> {
        self.0.subscription.poll_held(cx, batch, most)
    }

    /// Lets the lane that takes look whether it shall leave.
    pub(super) fn wake(&self) {
        self.0.subscription.wake();
    }
}
