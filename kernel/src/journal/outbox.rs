//! Events that are told behind the commit that they belong to: written with the fact, published
//! in order, then deleted.
//!
//! The events of each namespace are a line of their own, in a namespace of the storage with the
//! quota of the journal: a subscriber without room holds up one line, and what a line holds is
//! bounded. What a kernel leaves behind when it crashes is told by the next one: see `neighbours`.
//! So each event is told at least once; twice at most if the end comes after it was published and
//! before that was written down.

mod late;
mod life;
mod line;
mod message;
mod neighbours;
mod work;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::{
    bus::{Bus, Publisher},
    storage::{Batch, Invalid, Outcome, Storage, StorageError},
    time::Clock,
};
use line::Line;
use work::Work;

pub(super) use message::Message;
pub(crate) use neighbours::Neighbours;

/// Where signs of life lie; what begins so, with the name of a namespace behind a dot, is where
/// the events of that one wait.
const NAMESPACE: &str = "kernel.outbox";
/// What the keys of all events begin with; behind it are the owner and the version.
const EVENTS: &str = "event/";
/// How long an end may take.
const END: Duration = Duration::from_secs(5);
/// How long a storage that refuses is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// How many lines hold a page in memory at once.
const PAGES: usize = 4;

/// What is to be told by one kernel. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Outbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    storage: Storage,
    bus: Bus,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    neighbours: Neighbours,
    /// What the keys of this kernel's events begin with.
    own: String,
    /// Who this kernel is among those on the storage.
    owner: String,
    /// Locked for some instructions.
    publishers: Mutex<HashMap<Arc<str>, Publisher>>,
    phase: watch::Sender<Phase>,
    /// Whether there was ever somebody to tell it to.
    is_open: AtomicBool,
    work: Work,
    /// Bounds the memory of all lines; held while a page is read and published.
    pages: Semaphore,
    /// Whether there may be a sign of life.
    is_shown: AtomicBool,
}

/// How far the task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Nobody listens yet.
    Waiting,
    /// It tells what is written.
    Telling,
    /// It tells what is there, and then nothing more.
    Ending,
    /// It has ended.
    Ended,
}

impl Outbox {
    pub(super) fn new(
        storage: &Storage,
        bus: &Bus,
        clock: &Arc<dyn Clock>,
        runtime: &Handle,
        neighbours: Neighbours,
    ) -> Self {
        let owner = format!("{:016x}", RandomState::new().hash_one("outbox"));
        Self(Arc::new(Shared {
            storage: storage.clone(),
            bus: bus.clone(),
            clock: clock.clone(),
            runtime: runtime.clone(),
            neighbours,
            own: format!("{EVENTS}{owner}/"),
            owner,
            publishers: Mutex::default(),
            phase: watch::Sender::new(Phase::Waiting),
            is_open: AtomicBool::new(false),
            work: Work::default(),
            pages: Semaphore::new(PAGES),
            is_shown: AtomicBool::new(false),
        }))
    }

    pub(super) fn speak_through(&self, publisher: &Publisher) {
        let mut publishers = self.0.publishers.lock();
        let before = publishers.insert(publisher.source().into(), publisher.clone());
        drop(publishers);
        drop(before);
    }

    pub(super) fn open(&self) {
        self.0.is_open.store(true, Ordering::SeqCst);
        self.enter(Phase::Telling);
    }

    /// Ends, in bounded time also where the storage does not answer.
    pub(super) async fn close(&self) {
        // Before the end is known to any line: none that has left something begins anew.
        self.0.work.end();
        self.enter(Phase::Ending);
        tokio::select! {
            () = self.reached(Phase::Ended) => return,
            () = self.0.clock.sleep(END) => {}
        }
        self.enter(Phase::Ended);
        let left = match self.0.work.left() {
            left if left.is_empty() => "events of others, if there are any".to_owned(),
            left => format!("events in `{}`", left.join("`, `")),
        };
        log::warn!(
            "the journal is not done within {END:?}: the next start tells what is left, {left}"
        );
    }

    /// Adds an event to a batch, behind the fact and its mark.
    pub(super) fn add(
        &self,
        batch: &mut Batch,
        line: &str,
        message: &Message<'_>,
    ) -> Result<(), Invalid> {
        let value = super::record::json(message);
        batch.append(line, &self.0.own, value).map(drop)
    }

    /// Applies a batch with an event in it. To the end, also if the caller goes away: what is
    /// written is told.
    pub(super) async fn apply(
        &self,
        batch: Batch,
        line: &Arc<str>,
    ) -> Result<Vec<Outcome>, StorageError> {
        let writing = Writing::begin(self, line);
        let applying = self.0.runtime.spawn(writing.apply(batch));
        applying.await.unwrap_or(Err(StorageError::Closed))
    }

    /// Tells what is written, and shows other kernels meanwhile that this one does.
    pub(super) async fn run(self) {
        tokio::select! {
            () = self.tell_and_show() => {}
            () = self.reached(Phase::Ended) => {}
        }
        self.enter(Phase::Ended);
    }

    async fn tell_and_show(&self) {
        tokio::select! {
            () = self.tell() => {}
            never = self.show_life() => match never {},
        }
        self.hide_life().await;
    }

    async fn tell(&self) {
        self.reached(Phase::Telling).await;
        // What is left comes before what is new.
        if !self.0.is_open.load(Ordering::SeqCst) || !self.take_over().await {
            return;
        }
        // Each line is one task as long as there is something in it. All end with this.
        let mut lines = JoinSet::new();
        while !self.has_reached(Phase::Ending) {
            self.begin_lines(&mut lines);
            tokio::select! {
                () = self.0.work.is_to_do() => {}
                Some(_) = lines.join_next() => {}
                () = self.reached(Phase::Ending) => {}
            }
        }
        // What is there by now is told; what comes later is left, or an end would never come
        // while plugins go on writing.
        self.begin_lines(&mut lines);
        while lines.join_next().await.is_some() {
            self.begin_lines(&mut lines);
        }
    }

    fn begin_lines(&self, lines: &mut JoinSet<()>) {
        for to_tell in self.0.work.take() {
            lines.spawn_on(Line::new(self, to_tell).run(), &self.0.runtime);
        }
    }

    fn publisher(&self, source: &str) -> Publisher {
        let mut publishers = self.0.publishers.lock();
        if let Some(publisher) = publishers.get(source) {
            return publisher.clone();
        }
        let publisher = self.0.bus.publisher(source);
        publishers.insert(source.into(), publisher.clone());
        publisher
    }

    /// Sleeps; false if the end comes before.
    async fn sleep(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.0.clock.sleep(time) => true,
            () = self.reached(Phase::Ending) => false,
        }
    }

    fn enter(&self, phase: Phase) {
        self.0.phase.send_if_modified(|now| {
            let is_later = *now < phase;
            *now = phase.max(*now);
            is_later
        });
    }

    fn has_reached(&self, phase: Phase) -> bool {
        *self.0.phase.borrow() >= phase
    }

    async fn reached(&self, phase: Phase) {
        // The sender lives as long as this does.
        let _ = self.0.phase.subscribe().wait_for(|now| *now >= phase).await;
    }
}

/// An event that is being written; ends it, however that comes.
struct Writing {
    outbox: Outbox,
    line: Arc<str>,
    /// Whether it may have been written: also after most errors, and where nobody knows.
    is_perhaps: bool,
}

impl Writing {
    fn begin(outbox: &Outbox, line: &Arc<str>) -> Self {
        outbox.0.work.begin();
        Self {
            outbox: outbox.clone(),
            line: line.clone(),
            is_perhaps: true,
        }
    }

    async fn apply(mut self, batch: Batch) -> Result<Vec<Outcome>, StorageError> {
        let applied = self.outbox.0.storage.apply(batch).await;
        if let Err(error) = &applied {
            self.outbox.look_for_late(&self.line, error);
            self.is_perhaps = !has_written_nothing(error);
        }
        applied
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.outbox.0.work.written(&self.line, self.is_perhaps);
    }
}

/// Whether an error says that a batch was not written, and will not be.
fn has_written_nothing(error: &StorageError) -> bool {
    use StorageError::{Conflict, Invalid, Quota};
    matches!(error, Conflict(_) | Invalid(_) | Quota(_))
}

/// Where the events of a namespace wait.
pub(super) fn line_of(namespace: &str) -> String {
    format!("{NAMESPACE}.{namespace}")
}

/// Whose events wait there, if any do.
pub(super) fn namespace_of(line: &str) -> Option<&str> {
    line.strip_prefix(NAMESPACE)?.strip_prefix('.')
}
