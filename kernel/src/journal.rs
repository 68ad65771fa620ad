//! The journal: facts that are written once under a key, told of on the bus behind their commit,
//! and read in order by consumers that remember where they are.
//!
//! It rests on [`Storage`] alone, so that every adapter has it. Who may use it is decided by
//! permissions, before a handle is made.

mod consumer;
mod error;
mod fact;
mod gather;
mod limits;
mod outbox;
mod place;
mod read;
mod record;
mod same;
mod trim;

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::{
    bus::{Bus, Publisher},
    storage::Storage,
    time::Clock,
};
use outbox::Outbox;
use place::Place;

pub use consumer::Consumer;
pub use error::{JournalError, NameFault, PartsFault};
pub(crate) use fact::Telling;
pub use fact::{Fact, Gathered, Notice, Novelty, Part, Recorded, Unfinished};
pub use limits::{MAX_FACT_BYTES, MAX_KEY_BYTES, MAX_NAME_BYTES, MAX_PARTS};
pub(crate) use outbox::Neighbours;
pub use trim::Trim;

/// One stream of facts in a namespace, as one who writes there holds it.
///
/// Its records lie in the namespace `kernel.journal.<namespace>` of the storage.
#[derive(Clone, Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    place: Place,
    /// Who writes, and whose events are told.
    source: Arc<str>,
}

/// What all journals of a kernel share; clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Journals(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    storage: Storage,
    clock: Arc<dyn Clock>,
    outbox: Outbox,
}

impl Journals {
    /// Journals whose events are kept until the outbox [runs](Self::run) and is
    /// [opened](Self::open).
    pub(crate) fn new(
        storage: &Storage,
        bus: &Bus,
        clock: &Arc<dyn Clock>,
        runtime: &Handle,
        neighbours: Neighbours,
    ) -> Self {
        Self(Arc::new(Shared {
            storage: storage.clone(),
            clock: clock.clone(),
            outbox: Outbox::new(storage, bus, clock, runtime, neighbours),
        }))
    }

    /// A stream, for one who writes there.
    pub(crate) fn journal(
        &self,
        namespace: &str,
        stream: &str,
        source: &str,
    ) -> Result<Journal, JournalError> {
        Ok(Journal {
            shared: self.0.clone(),
            place: Place::new(namespace, stream)?,
            source: source.into(),
        })
    }

    /// Lets the events of a source follow each other in one sequence, whoever tells them.
    pub(crate) fn speak_through(&self, publisher: &Publisher) {
        self.0.outbox.speak_through(publisher);
    }

    /// Tells of what is written; to be run by one task.
    pub(crate) fn run(&self) -> impl Future<Output = ()> + Send + use<> {
        self.0.outbox.clone().run()
    }

    /// Begins to tell of what is written: now there is who listens.
    pub(crate) fn open(&self) {
        self.0.outbox.open();
    }

    /// Tells of what is written, and then of nothing more; what comes later is left for the next
    /// kernel on this storage. So is what is not told in time: this ends also where the storage
    /// does not answer.
    pub(crate) async fn close(&self) {
        self.0.outbox.close().await;
    }
}

impl Journal {
    /// Returns the namespace.
    pub fn namespace(&self) -> &str {
        self.place.namespace()
    }

    /// Returns the stream.
    pub fn stream(&self) -> &str {
        self.place.stream()
    }

    fn storage(&self) -> &Storage {
        &self.shared.storage
    }
}

#[cfg(test)]
mod tests;
