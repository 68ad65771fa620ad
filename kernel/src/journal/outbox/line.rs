//! One line of events, told in the order in which they were written. Where one waits for a
//! subscriber to make room, the rest stay behind it, in the storage.

use std::sync::Arc;
use std::time::Duration;

use super::work::ToTell;
use super::{Outbox, Phase, RETRY, message, namespace_of};
use crate::{
    bus::{Delivery, Draft, JSON, PublishOutcome},
    storage::{Batch, Entry, Expect, MAX_BATCH_WRITES, Query, Since, StorageError, appended},
};

/// How many events are told before that is written down.
const AT_A_TIME: usize = 100;
/// How long subscribers may take to make room.
const ROOM: Duration = Duration::from_secs(30);

/// The events of a namespace, until all are told that are there.
#[derive(Debug)]
pub(super) struct Line {
    outbox: Outbox,
    /// Where they lie.
    place: Arc<str>,
    /// The key of the last event that was published.
    last: Option<Arc<str>>,
    /// What was published, and is not deleted yet.
    published: Vec<Arc<str>>,
    /// The last key of what is told before the end, once that is near.
    end: Option<String>,
    /// How many are read at once: few while they are waited for one by one.
    at_a_time: usize,
    /// What found no room in time. As long as it finds none in a subscription, no other event
    /// waits for that one.
    stuck: Option<Delivery>,
    /// Whether the storage is known to refuse, so that it is said once.
    has_failed: bool,
}

/// An event that all have but those that make no room for it.
struct Waiting {
    key: Arc<str>,
    topic: String,
    delivery: Delivery,
}

impl Line {
    pub(super) fn new(outbox: &Outbox, to_tell: ToTell) -> Self {
        Self {
            outbox: outbox.clone(),
            place: to_tell.line,
            last: to_tell.after,
            published: Vec::new(),
            end: None,
            at_a_time: AT_A_TIME,
            stuck: to_tell.stuck,
            has_failed: false,
        }
    }

    /// Tells all that is there; what is not told is told by the next kernel.
    pub(super) async fn run(mut self) {
        loop {
            // Asked first: what is there before the end is tried once.
            let is_ending = self.outbox.has_reached(Phase::Ending);
            let Err(error) = self.tell().await else {
                return;
            };
            if is_ending {
                return self.leave(&error);
            }
            if !std::mem::replace(&mut self.has_failed, true) {
                let name = self.name();
                log::warn!("events of the journal in {name} wait for the storage: {error}");
            }
            self.outbox.sleep(RETRY).await;
        }
    }

    async fn tell(&mut self) -> Result<(), StorageError> {
        self.delete().await?;
        loop {
            if self.end.is_none() && self.outbox.has_reached(Phase::Ending) {
                self.end = Some(self.end().await?);
            }
            let (is_empty, waiting) = self.tell_some().await?;
            // What all have is deleted before others are waited for.
            let deleted = self.delete().await;
            if let Some(waiting) = waiting
                && !self.see_through(waiting).await
            {
                self.leave(&"subscribers make no room");
                return Ok(());
            }
            deleted?;
            if is_empty {
                return Ok(());
            }
        }
    }

    /// Publishes the next events, up to the first that is to be waited for; whether there were
    /// none, and that one.
    async fn tell_some(&mut self) -> Result<(bool, Option<Waiting>), StorageError> {
        let outbox = self.outbox.clone();
        // It is never closed.
        let _permit = outbox.0.pages.acquire().await;
        let query = Query::new(&self.place, &outbox.0.own)?
            .after(self.last.as_deref())?
            .limit(self.at_a_time)?;
        let mut entries = outbox.0.storage.list(query).await?.entries;
        self.has_failed = false;
        if let Some(end) = &self.end {
            entries.retain(|entry| *entry.key <= **end);
        }
        Ok((entries.is_empty(), self.publish_all(entries)))
    }

    fn publish_all(&mut self, entries: Vec<Entry>) -> Option<Waiting> {
        for (count, entry) in entries.into_iter().enumerate() {
            self.last = Some(entry.key.clone());
            match self.publish(&entry) {
                Ok(Some((topic, delivery))) => {
                    self.at_a_time = count + 1;
                    let key = entry.key;
                    return Some(Waiting {
                        key,
                        topic,
                        delivery,
                    });
                }
                Ok(None) => self.published.push(entry.key),
                // It stays: a newer kernel may have written it.
                Err(error) => {
                    log::error!("`{}/{}` cannot be told: {error}", self.place, entry.key);
                    self.outbox.0.work.stays(&self.place, entry.key);
                }
            }
        }
        self.at_a_time = AT_A_TIME;
        None
    }

    /// Publishes an event; answers its topic and the wait for room, if it is to be waited for.
    fn publish(&mut self, entry: &Entry) -> Result<Option<(String, Delivery)>, String> {
        let told = message::Told::of(entry)?;
        let draft = Draft {
            topic: &told.topic,
            payload: told.payload.clone(),
            content_type: JSON,
            correlation: told.correlation,
        };
        let outcome = self.outbox.publisher(&told.source).send(draft);
        match outcome.map_err(|error| error.to_string())? {
            PublishOutcome::Waiting(mut delivery) => Ok(self
                .is_awaited(&mut delivery)
                .then_some((told.topic, delivery))),
            PublishOutcome::Ready(_) => Ok(None),
        }
    }

    /// Waits for room for an event; false if the end comes before.
    async fn see_through(&mut self, waiting: Waiting) -> bool {
        let Waiting {
            key,
            topic,
            mut delivery,
        } = waiting;
        tokio::select! {
            _ = &mut delivery => {}
            () = self.outbox.0.clock.sleep(ROOM) => {
                log::warn!(
                    "subscribers made no room for an event of the journal on `{topic}` within {ROOM:?}: \
                     until they do, others from {} are not held up for them",
                    self.name(),
                );
                match &mut self.stuck {
                    Some(stuck) => stuck.join(delivery),
                    none => *none = Some(delivery),
                }
            }
            () = self.outbox.reached(Phase::Ending) => return false,
        }
        self.published.push(key);
        true
    }

    /// Gives up on those who made no room in time and have made none since; whether the event
    /// waits for anybody else.
    fn is_awaited(&mut self, delivery: &mut Delivery) -> bool {
        self.stuck.take_if(|stuck| !stuck.is_pending());
        if let Some(stuck) = &self.stuck {
            delivery.give_up_on(stuck);
        }
        delivery.is_pending()
    }

    /// Deletes what was published.
    async fn delete(&mut self) -> Result<(), StorageError> {
        while !self.published.is_empty() {
            let count = self.published.len().min(MAX_BATCH_WRITES);
            let mut batch = Batch::new();
            for key in &self.published[..count] {
                batch.delete(&self.place, key, Expect::Any)?;
            }
            self.outbox.0.storage.apply(batch).await?;
            self.published.drain(..count);
        }
        Ok(())
    }

    /// The last key of what is to be told before the end.
    async fn end(&self) -> Result<String, StorageError> {
        let own = &self.outbox.0.own;
        let now = Since::new(&self.place, own, None)?;
        let last_version = self.outbox.0.storage.changes(now).await?.next;
        Ok(appended(own, last_version))
    }

    /// Ends before all is told; called only when the end is near.
    fn leave(&self, why: &dyn std::fmt::Display) {
        self.outbox.0.work.leave(&self.place);
        let name = self.name();
        log::warn!("the next start tells what is left of the events in {name}: {why}");
    }

    fn name(&self) -> String {
        let namespace = namespace_of(&self.place).unwrap_or_default();
        format!("`{namespace}`")
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stuck.take_if(|stuck| !stuck.is_pending());
        self.outbox.0.work.done(&self.place, self.stuck.take());
    }
}
