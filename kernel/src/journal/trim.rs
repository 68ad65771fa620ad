//! Forgetting facts, and with them their keys.

use super::{Fact, Journal, JournalError};
use crate::storage::{Batch, Expect, Invalid, StorageError};

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

impl Journal {
    /// Forgets the facts before a position, and their keys: one of these is new again. Tells how
    /// many. Events that wait to be told are told all the same.
    ///
    /// # Errors
    ///
    /// If the storage fails; some are forgotten then.
    pub async fn trim(&self, before: u64, trim: Trim) -> Result<u64, JournalError> {
        let consumers = self.consumers().await?;
        let acknowledged = consumers.iter().map(|(_, done)| done.saturating_add(1));
        let end = match trim {
            Trim::Acknowledged => acknowledged.fold(before, u64::min),
            Trim::Forced => before,
        };
        let (mut forgotten, mut refused) = (0, 0);
        while refused < ATTEMPTS {
            let mut facts = self.facts(0, AT_ONCE).await?;
            facts.retain(|fact| fact.position < end);
            let Some(last) = facts.last() else {
                return Ok(forgotten);
            };
            for (name, done) in &consumers {
                if *done < last.position {
                    self.consumer(name)?.move_to(last.position).await?;
                }
            }
            let place = &self.place;
            let done = self.forget(&facts).await;
            match done.map_err(place.failed(format!("trim {place}")))? {
                true => forgotten += facts.len() as u64,
                // Someone else trims, too.
                false => refused += 1,
            }
        }
        Err(JournalError::Busy {
            what: self.place.to_string(),
            attempts: ATTEMPTS,
        })
    }

    /// Forgets facts and their keys, all or none; none if someone else does.
    async fn forget(&self, facts: &[Fact]) -> Result<bool, StorageError> {
        match self.storage().apply(self.forgetting(facts)?).await {
            Ok(_) => Ok(true),
            Err(StorageError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A key is forgotten only as long as its mark is that of the fact: it may be new again.
    fn forgetting(&self, facts: &[Fact]) -> Result<Batch, Invalid> {
        let (place, records) = (&self.place, self.place.records());
        let mut batch = Batch::new();
        for fact in facts {
            let Fact { position, key, .. } = fact;
            let (fact, mark) = (Expect::Version(*position), Expect::Version(position + 1));
            batch.delete(records, &place.fact(*position), fact)?;
            batch.delete(records, &place.marker(key), mark)?;
        }
        Ok(batch)
    }
}
