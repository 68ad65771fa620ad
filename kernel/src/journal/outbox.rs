//! Events that are told behind the commit that they belong to: written with the fact, published
//! in order, then deleted.
//!
//! What a kernel leaves behind when it crashes is told by the next one: see `neighbours`. So each
//! event is told at least once; twice at most if the end comes after it was published and before
//! that was written down.

mod message;
mod neighbours;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use octa_loader::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::{
    bus::{Bus, Delivery, Draft, JSON, PublishOutcome, Publisher},
    storage::{
        Batch, Entry, Expect, Invalid, MAX_BATCH_WRITES, Outcome, Query, Since, Storage,
        StorageError, appended,
    },
    time::Clock,
};

pub(super) use message::Message;
pub(crate) use neighbours::Neighbours;

/// The namespace of what is to be told.
pub(super) const NAMESPACE: &str = "kernel.outbox";
/// How many events are told before that is written down.
const AT_A_TIME: usize = 100;
/// How long subscribers may take to make room.
const ROOM: Duration = Duration::from_secs(30);
/// What is told of is not known while there is something to tell.
const UNKNOWN: u64 = u64::MAX;
/// How long a storage that refuses is left alone.
const RETRY: Duration = Duration::from_secs(1);

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
    /// Tells that something may have been written.
    written: Notify,
    /// Tells that something is begun to be written.
    begun: Notify,
    /// How often that was.
    begins: AtomicU64,
    /// How many of these are known to be told.
    told: AtomicU64,
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

/// What has been published and not been deleted yet.
#[derive(Debug, Default)]
struct Progress {
    /// The key of the last event that was published.
    last: Option<Arc<str>>,
    undeleted: Vec<Arc<str>>,
    has_failed: bool,
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
            written: Notify::new(),
            begun: Notify::new(),
            begins: AtomicU64::new(0),
            told: AtomicU64::new(0),
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

    pub(super) async fn close(&self) {
        self.enter(Phase::Ending);
        self.reached(Phase::Ended).await;
    }

    /// Adds an event to a batch, behind the fact and its mark.
    pub(super) fn add(&self, batch: &mut Batch, message: &Message<'_>) -> Result<(), Invalid> {
        let value = super::record::json(message);
        batch.append(NAMESPACE, &self.0.own, value).map(drop)
    }

    /// Applies a batch with an event in it. To the end, also if the caller goes away: what is
    /// written is told.
    pub(super) async fn apply(&self, batch: Batch) -> Result<Vec<Outcome>, StorageError> {
        let this = self.clone();
        this.0.begins.fetch_add(1, Ordering::SeqCst);
        this.0.begun.notify_one();
        let applying = self.0.runtime.spawn(async move {
            let applied = this.0.storage.apply(batch).await;
            // After an error, too: it may have been written all the same.
            this.0.written.notify_one();
            applied
        });
        applying.await.unwrap_or(Err(StorageError::Closed))
    }

    /// Tells what is written, and shows other kernels meanwhile that this one does.
    pub(super) async fn run(self) {
        tokio::select! {
            () = self.tell() => {}
            never = self.show_life() => match never {},
        }
        self.hide_life().await;
        self.enter(Phase::Ended);
    }

    async fn tell(&self) {
        self.reached(Phase::Telling).await;
        // What is left comes before what is new.
        if !self.0.is_open.load(Ordering::SeqCst) || !self.take_over().await {
            return;
        }
        let mut progress = Progress::default();
        loop {
            // Asked first: what is there before the end is told.
            let is_ending = self.has_reached(Phase::Ending);
            let pause = match self.tell_all(&mut progress).await {
                Ok(true) => None,
                Ok(false) => return,
                Err(error) => {
                    if !std::mem::replace(&mut progress.has_failed, true) {
                        log::warn!("events of the journal wait for the storage: {error}");
                    }
                    Some(self.0.clock.sleep(RETRY))
                }
            };
            if is_ending {
                return;
            }
            tokio::select! {
                () = self.0.written.notified(), if pause.is_none() => {}
                () = passed(pause) => {}
                () = self.reached(Phase::Ending) => {}
            }
        }
    }

    /// Tells all that is there, in the order in which it was written; false if the end came
    /// before an event was had by all, which is left for the next kernel then.
    async fn tell_all(&self, progress: &mut Progress) -> Result<bool, StorageError> {
        self.delete(progress).await?;
        let mut end = None;
        loop {
            if end.is_none() && self.has_reached(Phase::Ending) {
                end = Some(self.end().await?);
            }
            let begins = self.0.begins.load(Ordering::SeqCst);
            let query = Query::new(NAMESPACE, &self.0.own)?
                .after(progress.last.as_deref())?
                .limit(AT_A_TIME)?;
            let mut page = self.0.storage.list(query).await?;
            progress.has_failed = false;
            if let Some(end) = &end {
                page.entries.retain(|entry| *entry.key <= **end);
            }
            if page.entries.is_empty() {
                self.0.told.store(begins, Ordering::SeqCst);
                return Ok(true);
            }
            self.0.told.store(UNKNOWN, Ordering::SeqCst);
            self.0.begun.notify_one();
            progress.last = page.entries.last().map(|entry| entry.key.clone());
            let (mut waiting, mut held) = (Vec::new(), Vec::new());
            for entry in page.entries {
                match self.publish(&entry) {
                    Ok(None) => progress.undeleted.push(entry.key),
                    Ok(Some(delivery)) => {
                        waiting.push(delivery);
                        held.push(entry.key);
                    }
                    // It stays: a newer kernel may have written it.
                    Err(error) => {
                        log::error!("`{NAMESPACE}/{}` cannot be told: {error}", entry.key);
                    }
                }
            }
            // What all have is deleted before others are waited for.
            let deleted = self.delete(progress).await;
            let is_had_by_all = self.see_through(waiting).await;
            if is_had_by_all {
                progress.undeleted.extend(held);
            }
            deleted?;
            self.delete(progress).await?;
            if !is_had_by_all {
                return Ok(false);
            }
        }
    }

    /// The last key of what is to be told before the end: what is written later is left, or an end would never
    /// come while plugins go on writing.
    async fn end(&self) -> Result<String, StorageError> {
        let now = Since::new(NAMESPACE, &self.0.own, None)?;
        let last_version = self.0.storage.changes(now).await?.next;
        Ok(appended(&self.0.own, last_version))
    }

    /// Publishes an event; answers the wait for room, if there is one.
    fn publish(&self, entry: &Entry) -> Result<Option<Delivery>, String> {
        let told = message::Told::of(entry)?;
        let draft = Draft {
            topic: &told.topic,
            payload: told.payload.clone(),
            content_type: JSON,
            correlation: told.correlation,
        };
        let outcome = self.publisher(&told.source).send(draft);
        match outcome.map_err(|error| error.to_string())? {
            PublishOutcome::Waiting(delivery) => Ok(Some(delivery)),
            PublishOutcome::Ready(_) => Ok(None),
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

    /// Waits for room for events; false if the end comes before.
    async fn see_through(&self, waiting: Vec<Delivery>) -> bool {
        if waiting.is_empty() {
            return true;
        }
        let count = waiting.len();
        let all = async move {
            for delivery in waiting {
                delivery.await;
            }
        };
        tokio::select! {
            () = all => true,
            () = self.0.clock.sleep(ROOM) => {
                log::warn!("subscribers made no room for {count} events of the journal within {ROOM:?}");
                true
            }
            () = self.reached(Phase::Ending) => false,
        }
    }

    /// Deletes what was published.
    async fn delete(&self, progress: &mut Progress) -> Result<(), StorageError> {
        while !progress.undeleted.is_empty() {
            let count = progress.undeleted.len().min(MAX_BATCH_WRITES);
            let mut batch = Batch::new();
            for key in &progress.undeleted[..count] {
                batch.delete(NAMESPACE, key, Expect::Any)?;
            }
            self.0.storage.apply(batch).await?;
            progress.undeleted.drain(..count);
        }
        Ok(())
    }

    /// Whether something of this kernel's may be there that is not told.
    fn is_busy(&self) -> bool {
        self.0.begins.load(Ordering::SeqCst) != self.0.told.load(Ordering::SeqCst)
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

/// What the keys of all events begin with; behind it are the owner and the version.
const EVENTS: &str = "event/";

/// Waits for a pause to end, for ever without one.
async fn passed(pause: Option<BoxFuture<()>>) {
    match pause {
        Some(pause) => pause.await,
        None => std::future::pending().await,
    }
}
