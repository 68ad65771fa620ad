//! What other kernels on the same storage have left to be told: taken over once they are gone.
//!
//! A kernel that has something to tell writes a sign of life every second until it is told. One
//! whose events stay while its sign does not change for [`SILENCE`] is gone.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::life::sign_of;
use super::{EVENTS, NAMESPACE, Outbox, RETRY, message, namespace_of};
use crate::storage::{
    Batch, Entry, Expect, Invalid, Page, Query, Since, StorageError, Trouble, appended,
};

/// How long a kernel is looked at before it is held to be gone.
const SILENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether its events are told meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// How many events are taken over at once.
const AT_ONCE: usize = 100;

/// Whether there may be other kernels on the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbours {
    /// There cannot be: who was there before is gone.
    None,
    /// It is not known.
    Perhaps,
}

/// What other kernels have to tell: the lines and their owners, each with the version of the
/// owner's sign of life.
type Foreign = BTreeMap<(Arc<str>, String), Option<u64>>;

impl Outbox {
    /// Takes over what those have left who are gone; false if the end comes before that is known.
    pub(super) async fn take_over(&self) -> bool {
        let mut has_failed = false;
        loop {
            match self.try_to_take_over().await {
                Ok(is_known) => return is_known,
                Err(error) if !std::mem::replace(&mut has_failed, true) => log::warn!(
                    "events of the journal wait until it is known what was left before: {error}"
                ),
                Err(_) => {}
            }
            if !self.sleep(RETRY).await {
                return false;
            }
        }
    }

    async fn try_to_take_over(&self) -> Result<bool, StorageError> {
        // What others write from now on is theirs.
        let now = Since::new(NAMESPACE, "", None)?;
        let last = self.0.storage.changes(now).await?.next;
        let mut left = self.foreign(last).await?;
        let may_live = self.0.neighbours == Neighbours::Perhaps;
        if may_live && !self.wait_for(&mut left, last).await? {
            return Ok(false);
        }
        for (line, owner) in left.keys() {
            let taken = self.take_all(line, owner, last).await;
            self.or_damaged(line, taken)?;
        }
        Ok(true)
    }

    /// Looks at the events of others until all are told, or those stay that nobody will tell;
    /// false if the end comes before.
    async fn wait_for(&self, left: &mut Foreign, last: u64) -> Result<bool, StorageError> {
        let end = self.0.clock.monotonic() + SILENCE;
        while !left.is_empty() && self.0.clock.monotonic() < end {
            if !self.sleep(LOOK).await {
                return Ok(false);
            }
            let now = self.foreign(last).await?;
            // Told by now, or its owner lives. One that took its sign away has ended, and left them.
            left.retain(|events, sign| {
                now.get(events)
                    .is_some_and(|now| now.is_none() || now == sign)
            });
        }
        Ok(true)
    }

    /// Who has events up to a version, and where.
    async fn foreign(&self, last: u64) -> Result<Foreign, StorageError> {
        let signs = match self.0.neighbours {
            Neighbours::None => HashMap::new(),
            Neighbours::Perhaps => self.signs().await?,
        };
        let mut foreign = Foreign::new();
        for (line, _) in self.0.storage.usage().await? {
            if namespace_of(&line).is_none() {
                continue;
            }
            let owners = self.owners(&line, last).await;
            for owner in self.or_damaged(&line, owners)?.unwrap_or_default() {
                let sign = signs.get(&owner).copied();
                foreign.insert((line.clone(), owner), sign);
            }
        }
        Ok(foreign)
    }

    /// Which others have events up to a version in a line.
    async fn owners(&self, line: &str, last: u64) -> Result<Vec<String>, StorageError> {
        let (mut owners, mut after) = (Vec::new(), None);
        loop {
            // The first event of each tells enough.
            let page = self.page(line, EVENTS, after.as_deref(), 1).await?;
            let Some(Entry { key, .. }) = page.entries.first() else {
                return Ok(owners);
            };
            let owner = owner(key).unwrap_or_default();
            let is_of_before = message::version(key).is_some_and(|version| version <= last);
            if owner != self.0.owner && is_of_before {
                owners.push(owner.to_owned());
            }
            let others = appended(&format!("{EVENTS}{owner}/"), u64::MAX);
            after = Some(others.max(key.to_string()));
        }
    }

    /// Lets a line be told no more if what lies there is not to be had, and others be; an error
    /// that may pass concerns all.
    fn or_damaged<T>(
        &self,
        line: &Arc<str>,
        had: Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        match had {
            Err(error) if is_lasting(&error) => {
                if self.0.work.damaged(line) {
                    let namespace = namespace_of(line).unwrap_or_default();
                    log::error!(
                        "no events of the journal in `{namespace}` are told before the next start, \
                         since what lies in `{line}` first cannot be taken over: {error}"
                    );
                }
                Ok(None)
            }
            had => had.map(Some),
        }
    }

    async fn page(
        &self,
        line: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page, StorageError> {
        let query = Query::new(line, prefix)?.after(after)?.limit(limit)?;
        self.0.storage.list(query).await
    }

    /// Takes over what an owner has in a line up to a version.
    async fn take_all(&self, line: &Arc<str>, owner: &str, last: u64) -> Result<(), StorageError> {
        let (prefix, mut after) = (format!("{EVENTS}{owner}/"), None);
        loop {
            let page = self.page(line, &prefix, after.as_deref(), AT_ONCE).await?;
            let entries = page.entries.iter();
            let left: Vec<_> = entries
                .filter_map(|entry| Some((message::version(&entry.key)?, entry)))
                .filter(|(version, _)| *version <= last)
                .collect();
            if !left.is_empty() {
                self.take(line, owner, &left).await?;
                self.0.work.found(line);
            }
            after = page.next;
            if after.is_none() || left.is_empty() {
                return Ok(());
            }
        }
    }

    /// Makes events of another this kernel's own, where nobody else does: each under the version
    /// that it has, so that they stay in order, and before all that is written from now on.
    async fn take(
        &self,
        line: &str,
        owner: &str,
        entries: &[(u64, &Entry)],
    ) -> Result<(), StorageError> {
        match self
            .0
            .storage
            .apply(self.taking(line, owner, entries)?)
            .await
        {
            // Some are gone: those that are not are taken one by one.
            Err(StorageError::Conflict(_)) if entries.len() > 1 => {
                for entry in entries {
                    Box::pin(self.take(line, owner, &[*entry])).await?;
                }
                Ok(())
            }
            Ok(_) | Err(StorageError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn taking(&self, line: &str, owner: &str, entries: &[(u64, &Entry)]) -> Result<Batch, Invalid> {
        let mut batch = Batch::new();
        for (version, Entry { key, record, .. }) in entries {
            let own = appended(&self.0.own, *version);
            batch.delete(line, key, Expect::Version(record.version))?;
            batch.put(line, &own, Expect::Absent, record.value.clone())?;
        }
        batch.delete(NAMESPACE, &sign_of(owner), Expect::Any)?;
        Ok(batch)
    }
}

/// Whether an error is there again whenever the same is tried.
fn is_lasting(error: &StorageError) -> bool {
    match error {
        StorageError::Unavailable { trouble, .. } => *trouble == Trouble::Corrupt,
        StorageError::Invalid(_) | StorageError::Quota(_) => true,
        StorageError::Conflict(_) | StorageError::Closed => false,
    }
}

/// Whose event a key is of.
fn owner(key: &str) -> Option<&str> {
    key.strip_prefix(EVENTS)?.split('/').next()
}
