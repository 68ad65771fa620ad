//! Signs of life: what tells other kernels that this one is about to tell its events.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::record::json;
use super::{NAMESPACE, Neighbours, Outbox};
use crate::storage::{Query, StorageError};

/// How often a sign of life is given.
const SIGN: Duration = Duration::from_secs(1);
/// What the keys of signs begin with; behind it is the owner.
const SIGNS: &str = "life/";

impl Outbox {
    /// Gives a sign of life as long as there is something to tell.
    pub(super) async fn show_life(&self) -> Infallible {
        if self.0.neighbours == Neighbours::None {
            std::future::pending::<()>().await;
        }
        loop {
            while self.0.work.is_busy() {
                self.0.clock.sleep(SIGN).await;
                if self.0.work.is_busy() {
                    // Before it is known: it may be written without an answer.
                    self.0.is_shown.store(true, Ordering::Relaxed);
                    let sign = sign_of(&self.0.owner);
                    // Without it others may tell the same, which is allowed.
                    let _ = self.0.storage.set(NAMESPACE, &sign, json(&())).await;
                }
            }
            self.hide_life().await;
            self.0.work.has_begun().await;
        }
    }

    /// Takes the sign of life away, if there may be one.
    pub(super) async fn hide_life(&self) {
        if self.0.is_shown.swap(false, Ordering::Relaxed) {
            let sign = sign_of(&self.0.owner);
            // If that fails, it stays for a kernel that is gone, which changes nothing.
            let _ = self.0.storage.delete(NAMESPACE, &sign).await;
        }
    }

    /// The owners that have given a sign of life, and its version.
    pub(super) async fn signs(&self) -> Result<HashMap<String, u64>, StorageError> {
        let (mut signs, mut after) = (HashMap::new(), None);
        loop {
            let query = Query::new(NAMESPACE, SIGNS)?.after(after.as_deref())?;
            let page = self.0.storage.list(query).await?;
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
}

pub(super) fn sign_of(owner: &str) -> String {
    format!("{SIGNS}{owner}")
}
