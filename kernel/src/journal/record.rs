//! Writing a fact: it, the mark that its key has one, and its event, all or none.

use std::borrow::Cow;

use octa_plugin_api::Payload;
use serde_json::value::RawValue;

use super::fact::{Notice, Novelty, Recorded, Written};
use super::outbox::Message;
use super::read::Held;
use super::{Journal, JournalError, limits};
use crate::{
    reload::nanos,
    storage::{Batch, Expect, Invalid, Outcome, StorageError},
};

/// How often something is tried that others undo.
const ATTEMPTS: usize = 64;

/// What is to be there where a fact is written.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    pub(super) mark: Expect,
    pub(super) parts: Expect,
}

impl Journal {
    /// Writes a fact, durably, unless its key has one: the first stays. With a notice, an event
    /// tells of it behind the commit.
    ///
    /// # Errors
    ///
    /// A key, fact or topic beyond the limits, or a storage that fails or has no room. It may be
    /// written then, too: record it again.
    pub async fn record(
        &self,
        key: &str,
        fact: impl Into<Payload>,
        notice: Option<Notice<'_>>,
    ) -> Result<Recorded, JournalError> {
        limits::key(key)?;
        let payload = fact.into();
        let fact = limits::json(&payload, || format!("the fact for {}", self.place.key(key)))?;
        notice.map_or(Ok(()), |notice| limits::topic(notice.topic))?;
        let mut expected = Expected {
            mark: Expect::Absent,
            parts: Expect::Any,
        };
        for _ in 0..ATTEMPTS {
            if let Some(position) = self.write(key, fact, notice, expected).await? {
                let novelty = Novelty::New;
                return Ok(Recorded { position, novelty });
            }
            match self.look(key).await? {
                Held::Fact(found) => {
                    return Ok(Recorded {
                        position: found.position,
                        novelty: Novelty::of_another(found.says(fact)),
                    });
                }
                Held::Nothing(mark) => expected.mark = mark,
            }
        }
        Err(self.busy(key, ATTEMPTS))
    }

    /// Writes a fact and deletes its parts; nothing if these or its mark are not as expected.
    pub(super) async fn write(
        &self,
        key: &str,
        fact: &RawValue,
        notice: Option<Notice<'_>>,
        expected: Expected,
    ) -> Result<Option<u64>, JournalError> {
        let written = Written {
            key: key.into(),
            time: nanos(self.shared.clock.wall()),
            source: Cow::Borrowed(&self.source),
            fact,
        };
        let applied = self.apply(&written, notice, expected).await;
        let of = self.place.key(key);
        applied.map_err(self.place.failed(format!("record {of}")))
    }

    async fn apply(
        &self,
        written: &Written<'_>,
        notice: Option<Notice<'_>>,
        expected: Expected,
    ) -> Result<Option<u64>, StorageError> {
        let batch = self.batch(written, notice, expected)?;
        let applied = match notice {
            None => self.storage().apply(batch).await,
            Some(_) => self.shared.outbox.apply(batch, self.place.events()).await,
        };
        match applied {
            Ok(outcomes) => Ok(outcomes.first().and_then(Outcome::version)),
            Err(StorageError::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The versions of a batch follow each other: the mark has that of the fact and one, the
    /// event that and two.
    fn batch(
        &self,
        written: &Written<'_>,
        notice: Option<Notice<'_>>,
        expected: Expected,
    ) -> Result<Batch, Invalid> {
        let (place, records) = (&self.place, self.place.records());
        let mut batch = Batch::new();
        batch.append(records, &place.log(), json(written))?;
        batch.put(
            records,
            &place.marker(&written.key),
            expected.mark,
            json(&()),
        )?;
        if let Some(notice) = notice {
            let message = Message::new(place, written, notice);
            self.shared
                .outbox
                .add(&mut batch, place.events(), &message)?;
        }
        batch.delete(records, &place.parts(&written.key), expected.parts)?;
        Ok(batch)
    }

    pub(super) fn busy(&self, key: &str, attempts: usize) -> JournalError {
        JournalError::Busy {
            what: self.place.key(key).to_string(),
            attempts,
        }
    }
}

/// What the journal itself has made can always be written.
pub(super) fn json(value: &impl serde::Serialize) -> Payload {
    Payload::json(value).unwrap_or_default()
}
