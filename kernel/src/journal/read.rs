//! Reading facts: by key, in order, and waiting for the next.

use super::{Fact, Journal, JournalError, limits};
use crate::storage::{Changes, Entry, Expect, Since, StorageError};

/// What a key has.
pub(super) enum Held {
    /// A fact.
    Fact(Fact),
    /// None; and what there is in the place of its mark. A mark without its fact is left where
    /// that was lost, or forgotten just now.
    Nothing(Expect),
}

impl Journal {
    /// Finds the fact of a key.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    pub async fn find(&self, key: &str) -> Result<Option<Fact>, JournalError> {
        limits::key(key)?;
        Ok(match self.look(key).await? {
            Held::Fact(fact) => Some(fact),
            Held::Nothing(_) => None,
        })
    }

    /// Tells what a key has.
    pub(super) async fn look(&self, key: &str) -> Result<Held, JournalError> {
        let (place, of) = (&self.place, self.place.key(key));
        let failed = || place.failed(format!("find {of}"));
        let marker = self
            .storage()
            .get(place.records(), &place.marker(key))
            .await;
        let Some(marker) = marker.map_err(failed())? else {
            return Ok(Held::Nothing(Expect::Absent));
        };
        let at = place.fact(marker.version.saturating_sub(1));
        let found = self.storage().get(place.records(), &at).await;
        Ok(match found.map_err(failed())? {
            Some(record) => Held::Fact(Fact::of(place, &Entry::new(at, record))?),
            None => Held::Nothing(Expect::Version(marker.version)),
        })
    }

    /// Reads at most `limit` facts behind a position (0: from the first), in the order in which
    /// they were committed. None: there are no more; where they are large there may be fewer.
    ///
    /// # Errors
    ///
    /// A limit of zero or above that of a page, or a storage that fails.
    pub async fn facts(&self, after: u64, limit: usize) -> Result<Vec<Fact>, JournalError> {
        let place = &self.place;
        let (log, limit) = (place.log(), limits::page(limit)?);
        let after = (after > 0).then(|| place.fact(after));
        let page = place
            .page(self.storage(), &log, after.as_deref(), limit)
            .await;
        let page = page.map_err(place.failed(format!("read {place}")))?;
        let facts = page.entries.iter().map(|entry| Fact::of(place, entry));
        facts.collect()
    }

    /// The same, but waits until there is one. Facts may be told again after a pause of any
    /// length: what counts is the position.
    ///
    /// # Errors
    ///
    /// As [`facts`](Self::facts).
    pub async fn facts_to_come(&self, after: u64, limit: usize) -> Result<Vec<Fact>, JournalError> {
        // First it is asked how far the storage is: what comes after that is a change.
        let mut seen = None;
        loop {
            let facts = self.facts(after, limit).await?;
            if !facts.is_empty() {
                return Ok(facts);
            }
            let place = &self.place;
            let changes = self.changes(seen).await;
            let changes = changes.map_err(place.failed(format!("watch {place}")))?;
            seen = Some(changes.next);
        }
    }

    async fn changes(&self, after: Option<u64>) -> Result<Changes, StorageError> {
        let log = self.place.log();
        let since = Since::new(self.place.records(), &log, after)?;
        self.storage().changes(since).await
    }
}
