//! Keeps the events that handlers could not handle: the newest of them, also over a restart. Who
//! gives events up, and tells of them, is `deliveries`.
//!
//! What is kept lies in memory; a task of its own writes it down behind that, so that nobody who
//! adds a letter waits for the storage, however slow that is.

use std::{
    fmt,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use octa_plugin_api::Error;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::{
    bus::{Bus, Event, SubscriptionHandle},
    reload::nanos,
    status::DeadLetter,
    storage::Storage,
    time::Clock,
};

mod keeper;
mod record;
mod table;

use table::Table;

/// The most letters that are kept.
pub(crate) const LETTERS_MAX: usize = 10_000;
/// The most bytes of all letters, unless the newest alone is larger.
pub(crate) const BYTES_MAX: usize = 64 << 20;
/// The namespace of the storage where letters lie. No plugin reaches it: see `authorize`.
pub(crate) const NAMESPACE: &str = "kernel.dead_letters";
/// The most bytes of what an error says that are kept.
const CAUSE_MAX: usize = 16 << 10;

/// The dead letters of a kernel. Clones are the same.
#[derive(Clone)]
pub(crate) struct DeadLetters(Arc<Shared>);

struct Shared {
    /// Locked for some instructions, never while anything is written or a letter is dropped.
    table: Mutex<Table>,
    /// Wakes the keeper.
    changed: Notify,
    phase: watch::Sender<Phase>,
    clock: Arc<dyn Clock>,
    /// Who this kernel is among those on the storage: what it writes is known by that.
    kernel: Arc<str>,
}

/// How far the keeper is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// It reads what was kept before.
    Reading,
    /// It writes down what changes, and reads what could not be read.
    Keeping,
    /// It writes down what is left.
    Ending,
    /// It has ended; what comes now is not written down.
    Ended,
}

/// An event that is given up, and why.
#[derive(Debug)]
pub(crate) struct GivenUp<'a> {
    pub(crate) subscription: &'a SubscriptionHandle,
    pub(crate) event: &'a Arc<Event>,
    pub(crate) error: &'a Error,
    /// How often it was tried.
    pub(crate) attempts: u32,
}

impl DeadLetters {
    /// None yet, and a keeper that is to be [run](Self::keep).
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self::bounded(clock, LETTERS_MAX, BYTES_MAX)
    }

    fn bounded(clock: Arc<dyn Clock>, letters_max: usize, bytes_max: usize) -> Self {
        let kernel: Arc<str> =
            format!("{:016x}", RandomState::new().hash_one("dead letters")).into();
        Self(Arc::new(Shared {
            table: Mutex::new(Table::new(Arc::clone(&kernel), letters_max, bytes_max)),
            changed: Notify::new(),
            phase: watch::Sender::new(Phase::Reading),
            clock,
            kernel,
        }))
    }

    /// Reads what was kept before, then writes down what changes; to be run by one task.
    pub(crate) fn keep(&self, storage: Storage) -> impl Future<Output = ()> + Send + use<> {
        keeper::keep(self.clone(), storage)
    }

    /// Waits until what was kept before is known, or cannot be read now.
    pub(crate) async fn known(&self) {
        self.reached(Phase::Keeping).await;
    }

    /// Writes down what is left, and ends the keeper.
    pub(crate) async fn close(&self) {
        self.enter(Phase::Ending);
        self.0.changed.notify_one();
        self.reached(Phase::Ended).await;
    }

    /// Adds one; answers its number. The oldest make room.
    pub(crate) fn add(&self, given_up: &GivenUp<'_>) -> u64 {
        let handle = given_up.subscription;
        let letter = DeadLetter {
            id: 0,
            time: nanos(self.0.clock.wall()),
            plugin: handle.name().to_owned(),
            subscription: handle.pattern().to_string(),
            which: handle.which().unwrap_or_default(),
            cause: shortened(given_up.error.message()),
            kind: given_up.error.kind().label().to_owned(),
            attempts: given_up.attempts,
            event: Arc::clone(given_up.event),
        };
        let (id, dropped) = self.0.table.lock().add(letter);
        drop(dropped);
        self.0.changed.notify_one();
        id
    }

    /// All that are kept, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<DeadLetter>> {
        self.0.table.lock().letters().cloned().collect()
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<DeadLetter>> {
        self.0.table.lock().get(id).cloned()
    }

    /// Takes one out; answers it if it was there.
    pub(crate) fn forget(&self, id: u64) -> Option<Arc<DeadLetter>> {
        let taken = self.0.table.lock().take(id);
        self.0.changed.notify_one();
        taken
    }

    /// Gives the event of one to its subscription again, and to no other; then it is a letter no
    /// more.
    ///
    /// # Errors
    ///
    /// If there is none of this number, or its subscription is not there: then it stays.
    pub(crate) fn replay(&self, id: u64, bus: &Bus) -> Result<(), NotReplayed> {
        // Taken first: of two who replay it, one does.
        let letter = self.0.table.lock().take(id).ok_or(NotReplayed::Unknown)?;
        let event = Arc::clone(&letter.event);
        match bus.replay(&letter.plugin, &letter.subscription, letter.which, event) {
            Ok(()) => {
                self.0.changed.notify_one();
                Ok(())
            }
            Err(_) => {
                self.0.table.lock().restore(Arc::clone(&letter));
                Err(NotReplayed::Nobody(letter))
            }
        }
    }

    fn enter(&self, phase: Phase) {
        self.0.phase.send_if_modified(|now| {
            let is_later = *now < phase;
            *now = phase.max(*now);
            is_later
        });
    }

    async fn reached(&self, phase: Phase) {
        // The sender lives as long as this does.
        let _ = self.0.phase.subscribe().wait_for(|now| *now >= phase).await;
    }

    fn has_reached(&self, phase: Phase) -> bool {
        *self.0.phase.borrow() >= phase
    }
}

/// Why a letter was not replayed.
#[derive(Debug)]
pub(crate) enum NotReplayed {
    /// There is none.
    Unknown,
    /// Its subscription is not there.
    Nobody(Arc<DeadLetter>),
}

impl fmt::Debug for DeadLetters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeadLetters")
    }
}

fn shortened(cause: &str) -> String {
    let end = cause.floor_char_boundary(CAUSE_MAX);
    match &cause[end..] {
        "" => cause.to_owned(),
        _ => format!("{}…", &cause[..end]),
    }
}

#[cfg(test)]
mod tests;
