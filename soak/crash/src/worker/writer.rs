//! One of the tasks that write: says what it is about to do, does it, and says what became of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use octa_kernel::Payload;
use octa_kernel::storage::{Batch, Expect, Outcome, Storage, StorageError};
use serde_json::Value;

use super::Scene;
use crate::layout::{self, COUNTERS, NAMESPACE, SLOTS, TOGETHER};
use crate::random::Random;
use crate::word::{Deed, Id, Word};

/// How long a writer waits behind an error until it goes on.
const PAUSE: Duration = Duration::from_millis(20);

/// A writer with numbers of its own.
pub(super) struct Writer {
    scene: Arc<Scene>,
    random: Random,
    life: u32,
    number: u32,
    serial: u32,
}

impl Writer {
    pub(super) fn new(scene: Arc<Scene>, seed: u64, life: u32, number: u32) -> Self {
        Self {
            scene,
            random: Random::new(seed, &[life.into(), number.into()]),
            life,
            number,
            serial: 0,
        }
    }

    /// Writes until this process ends.
    pub(super) async fn run(mut self) {
        loop {
            let deed = self.choose();
            let id = self.next();
            if let Err(error) = self.perform(id, deed).await {
                self.scene.teller.complain(format!("{deed}: {error:#}"));
                return;
            }
        }
    }

    fn choose(&mut self) -> Deed {
        let slot = u32::try_from(self.random.below(SLOTS.into())).unwrap_or(0);
        match self.random.below(100) {
            0..34 => Deed::Set(slot),
            34..42 => Deed::Delete(slot),
            42..54 => Deed::Add(slot % COUNTERS),
            54..66 => Deed::Batch,
            66..70 => Deed::Unbatch,
            70..82 => Deed::Append,
            82..95 => Deed::Fact,
            _ => Deed::Gather,
        }
    }

    fn next(&mut self) -> Id {
        self.serial += 1;
        Id {
            life: self.life,
            writer: self.number,
            serial: self.serial,
        }
    }

    async fn perform(&mut self, id: Id, deed: Deed) -> Result<()> {
        match deed {
            Deed::Fact | Deed::Gather => {
                let again = self.random.one_in(4);
                self.scene.facts.record(id, deed, again).await
            }
            Deed::Add(counter) => self.add(id, counter).await,
            _ => {
                self.scene.teller.tell(&Word::Intend(id, deed));
                let outcome = self.scene.storage.apply(batch(id, deed)?).await;
                self.tell(id, outcome.map(|outcomes| first(&outcomes)))
                    .await
            }
        }
    }

    /// Adds by compare-and-set, against the other writers.
    async fn add(&mut self, id: Id, counter: u32) -> Result<()> {
        let storage = self.scene.storage.clone();
        let key = layout::counter(counter);
        self.scene
            .teller
            .tell(&Word::Intend(id, Deed::Add(counter)));
        let outcome = increase(&storage, &key, id).await;
        match outcome {
            Ok(done) => self.tell(id, done).await,
            Err(error) => {
                self.scene.teller.tell(&Word::Refused(id));
                self.pause(error).await
            }
        }
    }

    async fn tell(&self, id: Id, outcome: Result<u64, StorageError>) -> Result<()> {
        match outcome {
            Ok(version) => self.scene.teller.tell(&Word::Done(id, version)),
            Err(StorageError::Conflict(_)) => self.scene.teller.tell(&Word::Refused(id)),
            Err(error) => {
                self.scene.teller.tell(&Word::Unsure(id));
                return self.pause(error).await;
            }
        }
        Ok(())
    }

    /// Waits behind an error, if there may be one.
    async fn pause(&self, error: StorageError) -> Result<()> {
        if !self.scene.may_fail {
            return Err(error.into());
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

/// Reads a counter, which may fail, and sets it to one more.
async fn increase(
    storage: &Storage,
    key: &str,
    id: Id,
) -> Result<Result<u64, StorageError>, StorageError> {
    let record = storage.get(NAMESPACE, key).await?;
    let (expect, before) = match &record {
        Some(record) => (Expect::Version(record.version), sum_of(&record.value)),
        None => (Expect::Absent, 0),
    };
    let value = payload(&layout::sum(id, before + 1));
    Ok(storage.compare_and_set(NAMESPACE, key, expect, value).await)
}

fn sum_of(value: &Payload) -> u64 {
    let value: Option<Value> = serde_json::from_slice(value).ok();
    value
        .and_then(|value| value.get("sum")?.as_u64())
        .unwrap_or(0)
}

/// What a deed writes.
fn batch(id: Id, deed: Deed) -> Result<Batch> {
    let value = || payload(&layout::value(id));
    let mut batch = Batch::new();
    match deed {
        Deed::Set(slot) => {
            batch.put(
                NAMESPACE,
                &layout::slot(id.writer, slot),
                Expect::Any,
                value(),
            )?;
        }
        Deed::Delete(slot) => {
            batch.delete(NAMESPACE, &layout::slot(id.writer, slot), Expect::Any)?;
        }
        Deed::Append => {
            batch.append(NAMESPACE, &layout::list(id.writer), value())?;
        }
        Deed::Batch | Deed::Unbatch => {
            for number in 0..TOGETHER {
                let (namespace, key) = layout::member(id.writer, number);
                match deed {
                    Deed::Batch => batch.put(namespace, &key, Expect::Any, value())?,
                    _ => batch.delete(namespace, &key, Expect::Any)?,
                };
            }
        }
        Deed::Add(_) | Deed::Fact | Deed::Gather => {}
    }
    Ok(batch)
}

fn first(outcomes: &[Outcome]) -> u64 {
    outcomes.first().and_then(Outcome::version).unwrap_or(0)
}

pub(super) fn payload(value: &Value) -> Payload {
    value.to_string().into_bytes().into()
}
