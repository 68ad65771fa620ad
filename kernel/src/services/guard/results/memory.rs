//! The bounded memory that results are kept in: no more than so many, no more than so many bytes,
//! the oldest goes first, and what is under way never.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use octa_loader::{Outcome, policy::Remember};
use octa_plugin_api::{Error, ErrorKind};
use tokio::sync::watch;

/// Whose call it is, and its idempotency key.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    caller: Box<str>,
    key: Box<str>,
}

/// A call that is known.
#[derive(Debug)]
pub(super) enum Entry {
    Running(watch::Receiver<Option<Outcome>>),
    Done(Outcome),
}

#[derive(Debug)]
pub(super) struct Memory {
    bounds: Remember,
    /// With the hash of its input.
    entries: HashMap<Arc<Name>, (u64, Entry)>,
    /// The results among the entries, the oldest first.
    done: VecDeque<Done>,
    done_bytes: u64,
    running_bytes: u64,
}

/// A result, in the order in which they go.
#[derive(Debug)]
struct Done {
    name: Arc<Name>,
    until: Duration,
    bytes: u64,
}

impl Name {
    pub(super) fn new(caller: &str, key: &str) -> Self {
        Self {
            caller: caller.into(),
            key: key.into(),
        }
    }

    fn bytes(&self) -> u64 {
        (self.caller.len() + self.key.len()) as u64
    }
}

impl Memory {
    pub(super) fn new(bounds: Remember) -> Self {
        Self {
            bounds,
            entries: HashMap::new(),
            done: VecDeque::new(),
            done_bytes: 0,
            running_bytes: 0,
        }
    }

    pub(super) fn limit(&mut self, bounds: Remember) {
        self.bounds = bounds;
        let is_over = |it: &Self| {
            let bytes = it.running_bytes + it.done_bytes;
            it.entries.len() > it.bounds.results as usize || bytes > it.bounds.bytes
        };
        while is_over(self) && !self.done.is_empty() {
            self.forget_oldest();
        }
    }

    /// How many results there are.
    pub(super) fn len(&self) -> usize {
        self.done.len()
    }

    pub(super) fn find(&self, name: &Name) -> Option<(u64, &Entry)> {
        let (input, entry) = self.entries.get(name)?;
        Some((*input, entry))
    }

    /// Takes in a call that begins; `false` if there is no room.
    pub(super) fn begin(
        &mut self,
        name: Arc<Name>,
        input: u64,
        outcome: watch::Receiver<Option<Outcome>>,
    ) -> bool {
        let bytes = name.bytes();
        let has_room = self.make_room(bytes);
        if has_room {
            self.running_bytes += bytes;
            self.entries.insert(name, (input, Entry::Running(outcome)));
        }
        has_room
    }

    /// Forgets a call that is under way.
    pub(super) fn end(&mut self, name: &Name) {
        self.entries.remove(name);
        self.running_bytes -= name.bytes();
    }

    /// Takes in a result. Of one that is too large to be kept, it is kept that there was one: the call is not to be
    /// done again.
    pub(super) fn keep(
        &mut self,
        name: Arc<Name>,
        input: u64,
        mut outcome: Outcome,
        now: Duration,
    ) {
        let until = now.saturating_add(self.bounds.time);
        let mut bytes = name.bytes() + size(&outcome);
        if !self.make_room(bytes) {
            outcome = too_large(size(&outcome)).into();
            bytes = name.bytes() + size(&outcome);
            if !self.make_room(bytes) {
                return;
            }
        }
        self.done_bytes += bytes;
        self.entries
            .insert(name.clone(), (input, Entry::Done(outcome)));
        self.done.push_back(Done { name, until, bytes });
    }

    /// Forgets the results whose time is over.
    pub(super) fn forget_until(&mut self, now: Duration) {
        while self.done.front().is_some_and(|oldest| oldest.until <= now) {
            self.forget_oldest();
        }
    }

    /// Forgets results until one more entry of so many bytes fits; `false`, and none of them, if
    /// it never will because of what is under way.
    fn make_room(&mut self, bytes: u64) -> bool {
        let running = self.entries.len() - self.done.len();
        let Some(room) = self.bounds.bytes.checked_sub(self.running_bytes + bytes) else {
            return false;
        };
        let most = self.bounds.results as usize;
        if running >= most {
            return false;
        }
        while self.entries.len() >= most || self.done_bytes > room {
            self.forget_oldest();
        }
        true
    }

    /// How many entries and bytes there are.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, u64) {
        (self.entries.len(), self.running_bytes + self.done_bytes)
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.done.pop_front() {
            self.entries.remove(&oldest.name);
            self.done_bytes -= oldest.bytes;
        }
    }
}

/// What a repeated call is told whose result was not kept.
fn too_large(bytes: u64) -> Error {
    let message = format!(
        "a call with this idempotency key has ended before, and its answer of {bytes} bytes was not kept"
    );
    Error::new(ErrorKind::Conflict, message)
        .with_hint("raise `remember.bytes` of the capability, to have such answers repeated")
}

/// The bytes of what is kept of an outcome.
fn size(outcome: &Outcome) -> u64 {
    let result = match &outcome.result {
        Ok(payload) => payload.len(),
        Err(error) => error.to_document().len(),
    };
    (result + outcome.headers.len()) as u64
}
