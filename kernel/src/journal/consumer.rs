//! Consumers: places in a stream that are remembered.

use super::place::{BEGINNINGS, CURSORS};
use super::{Fact, Journal, JournalError, limits};
use crate::storage::{
    Batch, Expect, Invalid, MAX_PAGE_ENTRIES, Query, Quotas, Record, Storage, StorageError,
};

/// How often a place is tried to be moved that others move.
const ATTEMPTS: usize = 64;
/// How many consumers a namespace may have, and in how many of its streams some may have begun,
/// so that one more begins whatever the quota is.
const BEYOND_QUOTA: usize = MAX_PAGE_ENTRIES;

/// A durable place in a stream, under a name.
///
/// Who goes on under that name goes on behind what was acknowledged. Two who use one name at the
/// same time get the same facts; the place never goes back.
#[derive(Clone, Debug)]
pub struct Consumer {
    journal: Journal,
    name: String,
}

impl Journal {
    /// Names a consumer. It keeps facts from being trimmed once it has asked for some.
    ///
    /// # Errors
    ///
    /// If it cannot be called so.
    pub fn consumer(&self, name: &str) -> Result<Consumer, JournalError> {
        limits::name("consumer", name)?;
        Ok(Consumer {
            journal: self.clone(),
            name: name.to_owned(),
        })
    }

    /// Lists all consumers of the stream and what they have acknowledged, in the order of names.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    pub async fn consumers(&self) -> Result<Vec<(String, u64)>, JournalError> {
        let place = &self.place;
        let prefix = place.cursor("");
        let (mut consumers, mut after) = (Vec::new(), None);
        loop {
            let page = place
                .page(self.storage(), &prefix, after.as_deref(), 100)
                .await;
            let failed = place.failed(format!("list the consumers of {place}"));
            let page = page.map_err(failed)?;
            for entry in &page.entries {
                let name = entry.key[prefix.len()..].to_owned();
                consumers.push((name, self.cursor_of(&entry.key, &entry.record)?));
            }
            after = page.next;
            if after.is_none() {
                return Ok(consumers);
            }
        }
    }

    pub(super) fn cursor_of(&self, at: &str, record: &Record) -> Result<u64, JournalError> {
        serde_json::from_slice(&record.value).map_err(|error| self.place.unreadable(at, error))
    }
}

impl Consumer {
    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for the first facts that are not acknowledged, at most `limit`: the same until they
    /// are.
    ///
    /// # Errors
    ///
    /// A limit of zero or above that of a page, or a storage that fails.
    pub async fn next(&self, limit: usize) -> Result<Vec<Fact>, JournalError> {
        let position = match self.read().await? {
            Some((position, _)) => position,
            // From now on it is waited for before anything is trimmed.
            None => self.move_to(0).await?,
        };
        self.journal.facts_to_come(position, limit).await
    }

    /// Tells up to where it is done: 0 at the beginning.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    pub async fn position(&self) -> Result<u64, JournalError> {
        Ok(self.read().await?.map_or(0, |(position, _)| position))
    }

    /// Is done, durably, with all facts up to a position; tells up to where it is done, which
    /// never goes back.
    ///
    /// # Errors
    ///
    /// If there is no fact at the position yet, or the storage fails.
    pub async fn acknowledge(&self, position: u64) -> Result<u64, JournalError> {
        if let Some((done, _)) = self.read().await?
            && done >= position
        {
            return Ok(done);
        }
        let place = &self.journal.place;
        let fact = place.fact(position);
        let fact = self.journal.storage().get(place.records(), &fact).await;
        if fact.map_err(self.failed())?.is_none() {
            // Trimmed by force, perhaps: then the place has been moved, too.
            let done = self.position().await?;
            return match done >= position {
                true => Ok(done),
                false => Err(JournalError::NoFact {
                    consumer: self.name.clone(),
                    what: place.to_string(),
                    position,
                }),
            };
        }
        self.move_to(position).await
    }

    /// Forgets it; tells whether it was known.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    pub async fn forget(&self) -> Result<bool, JournalError> {
        let place = &self.journal.place;
        let cursor = place.cursor(&self.name);
        let forgotten = self.journal.storage().delete(place.records(), &cursor);
        forgotten.await.map_err(self.failed())
    }

    /// Moves on to a position, unless it is further already; begins there if it is not known.
    async fn move_to(&self, position: u64) -> Result<u64, JournalError> {
        let moved = self.go_to(position, true).await?;
        Ok(moved.unwrap_or(position))
    }

    /// The same, if it is known.
    pub(super) async fn move_known_to(&self, position: u64) -> Result<(), JournalError> {
        self.go_to(position, false).await.map(drop)
    }

    async fn go_to(&self, position: u64, begins: bool) -> Result<Option<u64>, JournalError> {
        for _ in 0..ATTEMPTS {
            let moved = match self.read().await? {
                Some((done, _)) if done >= position => return Ok(Some(done)),
                Some((_, version)) => self.go_on(position, version).await,
                None if begins => self.begin(position).await,
                None => return Ok(None),
            };
            match moved {
                Ok(()) => return Ok(Some(position)),
                Err(StorageError::Conflict(_)) => {}
                Err(error) => return Err(self.failed()(error)),
            }
        }
        Err(JournalError::Busy {
            what: format!("consumer `{}` of {}", self.name, self.journal.place),
            attempts: ATTEMPTS,
        })
    }

    /// Moves on from a version of its place, whatever the quota is: who consumes makes room.
    async fn go_on(&self, position: u64, version: u64) -> Result<(), StorageError> {
        let batch = self.moving(position, Expect::Version(version))?;
        self.unbounded().apply(batch).await.map(drop)
    }

    /// Begins, beyond the quota only where few have begun.
    async fn begin(&self, position: u64) -> Result<(), StorageError> {
        let batch = self.beginning(position)?;
        let begun = match self.journal.storage().apply(batch.clone()).await {
            Err(StorageError::Quota(_)) if self.are_few().await? => {
                self.unbounded().apply(batch).await
            }
            begun => begun,
        };
        begun.map(drop)
    }

    async fn are_few(&self) -> Result<bool, StorageError> {
        for prefix in [CURSORS, BEGINNINGS] {
            let query = Query::new(self.journal.place.records(), prefix)?.limit(BEYOND_QUOTA)?;
            let page = self.journal.storage().list(query).await?;
            if page.entries.len() >= BEYOND_QUOTA {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn unbounded(&self) -> Storage {
        let storage = self.journal.storage().clone();
        storage.with_quotas(Quotas::default())
    }

    fn moving(&self, position: u64, expect: Expect) -> Result<Batch, Invalid> {
        let place = &self.journal.place;
        let (cursor, value) = (place.cursor(&self.name), super::record::json(&position));
        let mut batch = Batch::new();
        batch.put(place.records(), &cursor, expect, value)?;
        Ok(batch)
    }

    /// Who trims meanwhile has to look again who is to be waited for.
    fn beginning(&self, position: u64) -> Result<Batch, Invalid> {
        let place = &self.journal.place;
        let (key, value) = (place.beginnings(), super::record::json(&()));
        let mut batch = self.moving(position, Expect::Absent)?;
        batch.put(place.records(), &key, Expect::Any, value)?;
        Ok(batch)
    }

    async fn read(&self) -> Result<Option<(u64, u64)>, JournalError> {
        let place = &self.journal.place;
        let cursor = place.cursor(&self.name);
        let record = self.journal.storage().get(place.records(), &cursor).await;
        let Some(record) = record.map_err(self.failed())? else {
            return Ok(None);
        };
        let position = self.journal.cursor_of(&cursor, &record)?;
        Ok(Some((position, record.version)))
    }

    fn failed(&self) -> impl FnOnce(StorageError) -> JournalError + '_ {
        let place = &self.journal.place;
        place.failed(format!("go on as consumer `{}` of {place}", self.name))
    }
}
