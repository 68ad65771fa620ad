//! What became of calls with an idempotency key, so that the same call is not done twice. Who
//! waits for a call that is under way, and for how long, is the caller's to decide.

mod memory;

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use octa_loader::{Outcome, policy::Remember};
use octa_plugin_api::ErrorKind;
use parking_lot::Mutex;
use tokio::sync::watch;

use memory::{Entry, Memory, Name};

/// The results of one capability.
#[derive(Debug)]
pub(crate) struct Results {
    hasher: RandomState,
    /// Held while one result is looked up or put away.
    memory: Mutex<Memory>,
}

/// What is known of a call.
#[derive(Debug)]
pub(crate) enum Look {
    /// Nothing: it is to be done now.
    Fresh(Ticket),
    /// It was done.
    Done(Outcome),
    /// It is under way. If the sender goes without an outcome, nobody does it: look again.
    Running(watch::Receiver<Option<Outcome>>),
    /// Its key was used for another input.
    OtherInput,
    /// There is no room for one more call under way.
    Full,
}

/// The right to do a call that nobody else does meanwhile. Dropped unfinished, it is as if the
/// call had never been begun.
#[derive(Debug)]
pub(crate) struct Ticket {
    results: Arc<Results>,
    /// `None` when it is finished.
    name: Option<Arc<Name>>,
    input: u64,
    outcome: watch::Sender<Option<Outcome>>,
}

impl Results {
    pub(crate) fn new(settings: Remember) -> Self {
        Self {
            hasher: RandomState::new(),
            memory: Mutex::new(Memory::new(settings)),
        }
    }

    /// Goes on with other bounds: what is under way stays, and of the results the newest that
    /// there is room for. How long they are kept is for those to come.
    pub(crate) fn limit(&self, settings: Remember) {
        self.memory.lock().limit(settings);
    }

    /// How many results are kept.
    pub(crate) fn len(&self) -> usize {
        self.memory.lock().len()
    }

    /// Asks for the call that `caller` makes with this key.
    pub(crate) fn look(
        self: &Arc<Self>,
        caller: &str,
        key: &str,
        input: &[u8],
        now: Duration,
    ) -> Look {
        let name = Arc::new(Name::new(caller, key));
        let input = self.hasher.hash_one(input);
        let mut memory = self.memory.lock();
        memory.forget_until(now);
        if let Some((known, entry)) = memory.find(&name) {
            return match entry {
                _ if known != input => Look::OtherInput,
                Entry::Running(outcome) => Look::Running(outcome.clone()),
                Entry::Done(outcome) => Look::Done(outcome.clone()),
            };
        }
        let (sender, receiver) = watch::channel(None);
        if !memory.begin(name.clone(), input, receiver) {
            return Look::Full;
        }
        Look::Fresh(Ticket {
            results: self.clone(),
            name: Some(name),
            input,
            outcome: sender,
        })
    }
}

impl Ticket {
    /// What comes of the call, as those wait for it who look meanwhile.
    pub(crate) fn result(&self) -> watch::Receiver<Option<Outcome>> {
        self.outcome.subscribe()
    }

    /// Tells who waits, and keeps the outcome if the same call would end the same way again.
    pub(crate) fn finish(mut self, outcome: &Outcome, now: Duration) {
        let Some(name) = self.name.take() else {
            return;
        };
        let mut memory = self.results.memory.lock();
        memory.end(&name);
        if is_definite(outcome) {
            memory.keep(name, self.input, outcome.clone(), now);
        }
        drop(memory);
        self.outcome.send_replace(Some(outcome.clone()));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            self.results.memory.lock().end(&name);
        }
    }
}

/// Whether it is an answer, or a refusal that the provider gave for reasons of its own.
fn is_definite(outcome: &Outcome) -> bool {
    let Err(error) = &outcome.result else {
        return true;
    };
    // What no plugin said was refused before any was asked.
    error.plugin().is_some()
        && !matches!(
            error.kind(),
            ErrorKind::Unavailable
                | ErrorKind::Overloaded
                | ErrorKind::Interrupted
                | ErrorKind::Deadline
                | ErrorKind::Cancelled
                | ErrorKind::PluginGone
                | ErrorKind::Internal
                | ErrorKind::Panicked
                | ErrorKind::UnknownCapability
                | ErrorKind::Cycle
        )
}

#[cfg(test)]
mod tests;
