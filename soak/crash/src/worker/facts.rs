//! Facts: recorded under their keys, gathered from parts, recorded again; and read in order by a consumer.

use std::time::Duration;

use anyhow::{Result, bail};
use octa_kernel::Kernel;
use octa_kernel::journal::{Consumer, Fact, Journal, JournalError, Notice, Novelty, Part};
use serde_json::{Value, json};

use super::broken::Bug;
use super::teller::Teller;
use super::writer::payload;
use crate::layout::{self, CONSUMER, NAMESPACE, PARTS, STREAM, TOPIC};
use crate::word::{Deed, Id, Word};

/// How long is waited behind an error.
const PAUSE: Duration = Duration::from_millis(20);
/// After how many facts a consumer keeps its cursor.
const AT_ONCE: usize = 7;

/// The stream, for those who write and read there.
pub(super) struct Facts {
    kernel: Kernel,
    journal: Journal,
    teller: Teller,
    may_fail: bool,
    bug: Option<Bug>,
}

impl Facts {
    pub(super) fn new(
        kernel: &Kernel,
        teller: Teller,
        may_fail: bool,
        bug: Option<Bug>,
    ) -> Result<Self> {
        Ok(Self {
            kernel: kernel.clone(),
            journal: kernel.journal(NAMESPACE, STREAM)?,
            teller,
            may_fail,
            bug,
        })
    }

    /// Records a fact until it is acknowledged, and perhaps once more.
    pub(super) async fn record(&self, id: Id, deed: Deed, again: bool) -> Result<()> {
        self.teller.tell(&Word::Intend(id, deed));
        if self.bug == Some(Bug::PublishEarly) {
            let early = json!({ "fact": layout::value(id) });
            self.kernel.publish(TOPIC, &early).await?;
        }
        let position = self.insist(&id.to_string(), id, deed).await?;
        self.teller.tell(&Word::Done(id, position));
        if again {
            let key = match self.bug {
                Some(Bug::Double) => format!("{id}-again"),
                _ => id.to_string(),
            };
            let position = self.insist(&key, id, deed).await?;
            self.teller.tell(&Word::Done(id, position));
        }
        Ok(())
    }

    async fn insist(&self, key: &str, id: Id, deed: Deed) -> Result<u64> {
        loop {
            let position = match deed {
                Deed::Gather => self.gather(key, id).await,
                _ => self.write(key, id).await,
            };
            if let Some(position) = self.unless_failed(position).await? {
                return Ok(position);
            }
        }
    }

    async fn write(&self, key: &str, id: Id) -> Result<u64, JournalError> {
        let fact = payload(&layout::value(id));
        let recorded = self.journal.record(key, fact, Some(TOPIC.into())).await?;
        if recorded.novelty == Novelty::Different {
            self.teller.complain(format!("another fact has key {key}"));
        }
        Ok(recorded.position)
    }

    async fn gather(&self, key: &str, id: Id) -> Result<u64, JournalError> {
        let mut position = None;
        for turn in 0..PARTS.len() {
            let value = layout::sum(id, 1).to_string();
            let part = Part {
                name: PARTS[(turn + id.serial as usize) % PARTS.len()],
                value: value.as_bytes(),
                expected: &PARTS,
            };
            let notice = Some(Notice::from(TOPIC));
            position = self.journal.gather(key, part, notice).await?.position;
        }
        if position.is_none() {
            self.teller
                .complain(format!("all parts of {key} are no fact"));
        }
        Ok(position.unwrap_or(0))
    }

    /// Nothing behind an error that there may be.
    async fn unless_failed<T>(&self, outcome: Result<T, JournalError>) -> Result<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) if self.may_fail && error.storage().is_some() => {
                tokio::time::sleep(PAUSE).await;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells of an event; answers with its fact.
    pub(super) fn hear(&self, event: &[u8]) -> Result<Id> {
        let event: Value = serde_json::from_slice(event)?;
        let Some(id) = id_of(&event["fact"]) else {
            bail!("an event names no fact: {event}");
        };
        self.teller.tell(&Word::Heard(id));
        Ok(id)
    }

    /// Tells if a fact cannot be read whose event was heard.
    pub(super) async fn find(&self, id: Id) {
        if matches!(self.journal.find(&id.to_string()).await, Ok(None)) {
            self.teller.tell(&Word::Early(id));
        }
    }

    /// Reads the facts in their order until this process ends.
    pub(super) async fn read(&self) -> Result<()> {
        let consumer = self.journal.consumer(CONSUMER)?;
        loop {
            let facts = consumer.next(100).await;
            let facts = self.unless_failed(facts).await?.unwrap_or_default();
            for some in facts.chunks(AT_ONCE) {
                self.take(&consumer, some).await?;
            }
        }
    }

    async fn take(&self, consumer: &Consumer, facts: &[Fact]) -> Result<()> {
        let last = facts.last().map_or(0, |fact| fact.position);
        if self.bug == Some(Bug::SkipAhead) {
            consumer.acknowledge(last).await?;
        }
        for fact in facts {
            match id_of(&serde_json::from_slice(&fact.value)?) {
                Some(id) => self.teller.tell(&Word::Took(fact.position, id)),
                None => bail!("a fact names no write: {fact:?}"),
            }
        }
        loop {
            let kept = consumer.acknowledge(last).await;
            if let Some(position) = self.unless_failed(kept).await? {
                self.teller.tell(&Word::Kept(position));
                return Ok(());
            }
        }
    }

    /// Whether the consumer has read everything.
    pub(super) async fn is_read(&self) -> Result<bool> {
        let position = self.journal.consumer(CONSUMER)?.position().await?;
        Ok(self.journal.facts(position, 1).await?.is_empty())
    }
}

/// The write that a fact is of: it has a part of it, or is all of it.
fn id_of(fact: &Value) -> Option<Id> {
    layout::author(fact).or_else(|| layout::author(fact.get(PARTS[0])?))
}
