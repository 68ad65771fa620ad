//! What other kernels on the same storage have left to be told: taken over once they are gone.
//!
//! A kernel that has something to tell writes a sign of life every second until it is told. One
//! whose events stay while its sign does not change for [`SILENCE`] is gone.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use super::super::record::json;
use super::{EVENTS, NAMESPACE, Outbox, Phase, RETRY, message};
use crate::storage::{Batch, Entry, Expect, Invalid, Page, Query, StorageError, appended};

/// How often a sign of life is given.
const SIGN: Duration = Duration::from_secs(1);
/// How long a kernel is looked at before it is held to be gone.
const SILENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether its events are told meanwhile.
const LOOK: Duration = Duration::from_millis(250);
/// What the keys of signs begin with; behind it is the owner.
const SIGNS: &str = "life/";

/// Whether there may be other kernels on the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Neighbours {
    /// There cannot be: who was there before is gone.
    None,
    /// It is not known.
    Perhaps,
}

/// The events of other kernels, by their keys, each with the version of its owner's sign of life.
type Foreign = BTreeMap<Arc<str>, Option<u64>>;

impl Outbox {
    /// Takes over what those have left who are gone; false if the end comes before that is known.
    pub(super) async fn take_over(&self) -> bool {
        let mut has_failed = false;
        loop {
            let error = match self.try_to_take_over().await {
                Ok(is_known) => return is_known,
                Err(error) => error,
            };
            if !std::mem::replace(&mut has_failed, true) {
                log::warn!("events that were left to be told wait for the storage: {error}");
            }
            if !self.sleep(RETRY).await {
                return false;
            }
        }
    }

    async fn try_to_take_over(&self) -> Result<bool, StorageError> {
        let mut left = self.foreign().await?;
        let may_live = self.0.neighbours == Neighbours::Perhaps;
        if may_live && !self.wait_for(&mut left).await? {
            return Ok(false);
        }
        let mut after = None;
        while !left.is_empty() {
            let page = self.page(EVENTS, after.as_deref()).await?;
            let is_left = |entry: &&Entry| left.contains_key(&entry.key);
            let entries: Vec<_> = page.entries.iter().filter(is_left).collect();
            self.take(&entries).await?;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(true)
    }

    /// Looks at the events of others until all are told, or those stay that nobody will tell;
    /// false if the end comes before.
    async fn wait_for(&self, left: &mut Foreign) -> Result<bool, StorageError> {
        let end = self.0.clock.monotonic() + SILENCE;
        while !left.is_empty() && self.0.clock.monotonic() < end {
            if !self.sleep(LOOK).await {
                return Ok(false);
            }
            let now = self.foreign().await?;
            // Told by now, or its owner lives.
            left.retain(|key, sign| now.get(key) == Some(sign));
        }
        Ok(true)
    }

    /// Sleeps; false if the end comes before.
    async fn sleep(&self, time: Duration) -> bool {
        tokio::select! {
            () = self.0.clock.sleep(time) => true,
            () = self.reached(Phase::Ending) => false,
        }
    }

    /// All events of others.
    async fn foreign(&self) -> Result<Foreign, StorageError> {
        let signs = self.signs().await?;
        let (mut foreign, mut after) = (Foreign::new(), None);
        loop {
            let page = self.page(EVENTS, after.as_deref()).await?;
            let keys = page.entries.into_iter().map(|entry| entry.key);
            for key in keys.filter(|key| !key.starts_with(&self.0.own)) {
                let sign = owner(&key).and_then(|owner| signs.get(owner).copied());
                foreign.insert(key, sign);
            }
            after = page.next;
            if after.is_none() {
                return Ok(foreign);
            }
        }
    }

    /// The owners that have given a sign of life, and its version.
    async fn signs(&self) -> Result<HashMap<String, u64>, StorageError> {
        let (mut signs, mut after) = (HashMap::new(), None);
        loop {
            let page = self.page(SIGNS, after.as_deref()).await?;
            for entry in &page.entries {
                let owner = entry.key[SIGNS.len()..].to_owned();
                signs.insert(owner, entry.record.version);
            }
            after = page.next;
            if after.is_none() {
                return Ok(signs);
            }
        }
    }

    async fn page(&self, prefix: &str, after: Option<&str>) -> Result<Page, StorageError> {
        let query = Query::new(NAMESPACE, prefix)?.after(after)?.limit(100)?;
        self.0.storage.list(query).await
    }

    /// Makes events of others this kernel's own, where nobody else does: each under the version
    /// that it has, so that they stay in order, and before all that is written from now on.
    async fn take(&self, entries: &[&Entry]) -> Result<(), StorageError> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for entry in entries {
            self.taking(&mut batch, entry)?;
        }
        match self.0.storage.apply(batch).await {
            // Some are gone: those that are not are taken one by one.
            Err(StorageError::Conflict(_)) if entries.len() > 1 => {
                for entry in entries {
                    Box::pin(self.take(&[entry])).await?;
                }
                Ok(())
            }
            Ok(_) | Err(StorageError::Conflict(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn taking(&self, batch: &mut Batch, entry: &Entry) -> Result<(), Invalid> {
        let Some(version) = message::version(&entry.key) else {
            return Ok(());
        };
        let own = appended(&self.0.own, version);
        batch.delete(NAMESPACE, &entry.key, Expect::Version(entry.record.version))?;
        batch.put(NAMESPACE, &own, Expect::Absent, entry.record.value.clone())?;
        if let Some(owner) = owner(&entry.key) {
            batch.delete(NAMESPACE, &sign_of(owner), Expect::Any)?;
        }
        Ok(())
    }

    /// Gives a sign of life as long as there is something to tell.
    pub(super) async fn show_life(&self) -> Infallible {
        if self.0.neighbours == Neighbours::None {
            std::future::pending::<()>().await;
        }
        loop {
            let mut is_shown = false;
            while self.is_busy() {
                self.0.clock.sleep(SIGN).await;
                if self.is_busy() {
                    let sign = sign_of(&self.0.owner);
                    let shown = self.0.storage.set(NAMESPACE, &sign, json(&())).await;
                    // Without it others may tell the same, which is allowed.
                    is_shown |= shown.is_ok();
                }
            }
            if is_shown {
                self.hide_life().await;
            }
            self.0.begun.notified().await;
        }
    }

    /// Takes the sign of life away.
    pub(super) async fn hide_life(&self) {
        if self.0.neighbours == Neighbours::Perhaps {
            // If that fails, it stays for a kernel that is gone, which changes nothing.
            let _ = self
                .0
                .storage
                .delete(NAMESPACE, &sign_of(&self.0.owner))
                .await;
        }
    }
}

fn sign_of(owner: &str) -> String {
    format!("{SIGNS}{owner}")
}

/// Whose event a key is of.
fn owner(key: &str) -> Option<&str> {
    key.strip_prefix(EVENTS)?.split('/').next()
}
