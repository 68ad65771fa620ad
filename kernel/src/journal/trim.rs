//! Forgetting facts, and with them their keys.

use std::collections::BTreeSet;

use super::{Fact, Journal, JournalError, record::json};
use crate::storage::{Batch, Conflict, Expect, Invalid, Outcome, StorageError};

/// How many facts are forgotten at once.
const AT_ONCE: usize = 250;
/// How often something is tried that others undo.
const ATTEMPTS: usize = 64;

/// What is trimmed of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// What every consumer has acknowledged.
    Acknowledged,
    /// Also the rest: consumers that have not come so far go on behind it.
    Forced,
}

/// The consumers of a stream, as long as no other one begins: a place never goes back.
struct Known {
    /// What is found under the key that changes with that.
    beginnings: Expect,
    consumers: Vec<(String, u64)>,
}

impl Journal {
    /// Forgets the facts before a position, and their keys: one of these is new again. Tells how
    /// many. Events that wait to be told are told all the same.
    ///
    /// # Errors
    ///
    /// If the storage fails; some are forgotten then.
    pub async fn trim(&self, before: u64, trim: Trim) -> Result<u64, JournalError> {
        let mut forgotten = 0;
        for _ in 0..ATTEMPTS {
            let known = self.known().await?;
            let (count, is_done) = self.trim_under(known, before, trim).await?;
            forgotten += count;
            if is_done {
                return Ok(forgotten);
            }
        }
        Err(JournalError::Busy {
            what: self.place.to_string(),
            attempts: ATTEMPTS,
        })
    }

    async fn known(&self) -> Result<Known, JournalError> {
        let (place, at) = (&self.place, self.place.beginnings());
        let found = self.storage().get(place.records(), &at).await;
        let found = found.map_err(place.failed(format!("trim {place}")))?;
        // Behind that: who begins later changes it.
        let consumers = self.consumers().await?;
        Ok(Known {
            beginnings: found.map_or(Expect::Absent, |record| Expect::Version(record.version)),
            consumers,
        })
    }

    /// Trims until all is done, or a consumer begins, or someone else trims; tells how many facts
    /// are forgotten, and whether that is all.
    async fn trim_under(
        &self,
        mut known: Known,
        before: u64,
        trim: Trim,
    ) -> Result<(u64, bool), JournalError> {
        let end = known.end(before, trim);
        let mut forgotten = 0;
        loop {
            let mut facts = self.facts(0, AT_ONCE).await?;
            facts.retain(|fact| fact.position < end);
            let Some(last) = facts.last() else {
                return Ok((forgotten, true));
            };
            for (name, done) in &known.consumers {
                if *done < last.position {
                    self.consumer(name)?.move_known_to(last.position).await?;
                }
            }
            let done = self.forget(&facts, known.beginnings).await;
            match done.map_err(self.place.failed(format!("trim {}", self.place)))? {
                Some(version) => known.beginnings = Expect::Version(version),
                None => return Ok((forgotten, false)),
            }
            forgotten += facts.len() as u64;
        }
    }

    /// Forgets facts and their keys, all or none, and tells the new version of what changes with
    /// consumers; none if it was another one, or if someone else forgets them.
    async fn forget(&self, facts: &[Fact], known: Expect) -> Result<Option<u64>, StorageError> {
        let mut unmarked = BTreeSet::new();
        loop {
            let batch = self.forgetting(facts, &unmarked, known)?;
            match self.storage().apply(batch).await {
                Ok(outcomes) => return Ok(outcomes.first().and_then(Outcome::version)),
                Err(StorageError::Conflict(conflict)) => match self.unmarked(facts, &conflict) {
                    Some(position) => unmarked.insert(position),
                    None => return Ok(None),
                },
                Err(error) => return Err(error),
            };
        }
    }

    /// The fact whose mark a batch did not find: both are written together, so that it was lost,
    /// and is perhaps that of another fact by now.
    fn unmarked(&self, facts: &[Fact], conflict: &Conflict) -> Option<u64> {
        let unmarked = facts.iter().find(|fact| {
            conflict.expected == mark(fact.position) && conflict.key == self.place.marker(&fact.key)
        });
        unmarked.map(|fact| fact.position)
    }

    /// A key is forgotten only as long as its mark is that of the fact: it may be new again.
    fn forgetting(
        &self,
        facts: &[Fact],
        unmarked: &BTreeSet<u64>,
        known: Expect,
    ) -> Result<Batch, Invalid> {
        let (place, records) = (&self.place, self.place.records());
        let mut batch = Batch::new();
        // It can only be expected by writing it.
        batch.put(records, &place.beginnings(), known, json(&()))?;
        for fact in facts {
            let Fact { position, key, .. } = fact;
            batch.delete(records, &place.fact(*position), Expect::Version(*position))?;
            if !unmarked.contains(position) {
                batch.delete(records, &place.marker(key), mark(*position))?;
            }
        }
        Ok(batch)
    }
}

/// The mark of the fact at a position.
fn mark(position: u64) -> Expect {
    Expect::Version(position.saturating_add(1))
}

impl Known {
    /// Before which position facts may be forgotten.
    fn end(&self, before: u64, trim: Trim) -> u64 {
        let acknowledged = self
            .consumers
            .iter()
            .map(|(_, done)| done.saturating_add(1));
        match trim {
            Trim::Acknowledged => acknowledged.fold(before, u64::min),
            Trim::Forced => before,
        }
    }
}
