//! Events whose commit was answered with an error, and that may come to be there all the same:
//! while a database server does not answer, nobody knows what it commits.

use std::sync::Arc;

use super::{Outbox, Phase, RETRY};
use crate::storage::{Since, StorageError};

impl Outbox {
    /// Looks from now on for what comes into a line, by whatever way, if an error leaves that
    /// open.
    pub(super) fn look_for_late(&self, line: &Arc<str>, error: &StorageError) {
        if !matches!(error, StorageError::Unavailable { .. }) || !self.0.work.is_first_late(line) {
            return;
        }
        let (this, line) = (self.clone(), line.clone());
        self.0.runtime.spawn(async move {
            tokio::select! {
                () = this.follow(&line) => {}
                () = this.reached(Phase::Ending) => {}
            }
        });
    }

    async fn follow(&self, line: &Arc<str>) {
        let mut after = None;
        while let Ok(since) = Since::new(line, &self.0.own, after) {
            match self.0.storage.changes(since).await {
                Ok(news) => {
                    // The first answer says where the watch begins: what came before it is there.
                    let is_new = news.changes.iter().any(|change| change.value.is_some());
                    if after.is_none() || news.missed || is_new {
                        self.0.work.found(line);
                    }
                    after = Some(news.next);
                }
                Err(StorageError::Closed) => return,
                Err(_) => self.0.clock.sleep(RETRY).await,
            }
        }
    }
}
