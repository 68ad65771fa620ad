//! The one thread that writes: takes the batches that wait, commits them together, and answers them all.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use octa_kernel::storage::{
    Address, Batch, Change, Outcome, Plan, Present, Refusal, StorageError, Tail,
};
use redb::Database;
use tokio::sync::oneshot;

use crate::tables::Tables;
use crate::unavailable;

/// Bounds how long the first batch of a group waits for the last.
const GROUP: usize = 256;

type Reply<T> = oneshot::Sender<Result<T, StorageError>>;

/// What the writer is asked for.
pub(crate) enum Job {
    Apply {
        batch: Batch,
        reply: Reply<Vec<Outcome>>,
    },
    Replicate {
        changes: Vec<Change>,
        last_version: u64,
        reply: Reply<()>,
    },
}

/// The writing side of a database; ends when nobody can ask any more, after the last answer.
pub(crate) struct Writer {
    database: Arc<Database>,
    tail: Arc<Tail>,
    name: Arc<str>,
}

impl Writer {
    pub(crate) fn new(database: Arc<Database>, tail: Arc<Tail>, name: Arc<str>) -> Self {
        Self {
            database,
            tail,
            name,
        }
    }

    pub(crate) fn run(self, jobs: &Receiver<Job>) {
        let mut next = jobs.recv().ok();
        while let Some(job) = next.take() {
            let mut batches = Vec::new();
            let mut replies = Vec::new();
            let mut waiting = Some(job);
            while let Some(Job::Apply { batch, reply }) = waiting {
                batches.push(batch);
                replies.push(reply);
                waiting = (batches.len() < GROUP)
                    .then(|| jobs.try_recv().ok())
                    .flatten();
            }
            self.apply(&batches, replies);
            if let Some(Job::Replicate {
                changes,
                last_version,
                reply,
            }) = waiting
            {
                let written = self.replicate(changes, last_version);
                answer(
                    reply,
                    written.map_err(|error| unavailable(&self.name, error)),
                );
            }
            next = jobs.recv().ok();
        }
    }

    fn apply(&self, batches: &[Batch], replies: Vec<Reply<Vec<Outcome>>>) {
        match self.commit(batches) {
            Ok(outcomes) => {
                for (reply, outcome) in replies.into_iter().zip(outcomes) {
                    answer(reply, outcome.map_err(StorageError::from));
                }
            }
            Err(error) => {
                let error = unavailable(&self.name, error);
                for reply in replies {
                    answer(reply, Err(error.clone()));
                }
            }
        }
    }

    /// Commits a group of batches in one transaction. A refused batch changes nothing and spoils nothing; an
    /// error of the database undoes the whole group, for the transaction is dropped.
    fn commit(&self, batches: &[Batch]) -> Result<Vec<Result<Vec<Outcome>, Refusal>>, redb::Error> {
        let transaction = self.database.begin_write()?;
        let mut tables = Tables::open(&transaction)?;
        let mut plan = Plan::new(tables.last_version()?);
        let outcomes = batches
            .iter()
            .map(|batch| plan.add(batch, &mut tables))
            .collect::<Result<_, _>>()?;
        if plan.changes().is_empty() {
            return Ok(outcomes);
        }
        for change in plan.records() {
            tables.put(change)?;
        }
        for (namespace, usage) in plan.usage() {
            tables.set_usage(namespace, usage)?;
        }
        tables.set_last_version(plan.last_version())?;
        drop(tables);
        transaction.commit()?;
        // Behind the commit, so that what is told can be read; before the answers, so that who has one and
        // begins to watch is not told of its own write.
        let wakers = self.tail.push(plan.last_version(), || plan.into_changes());
        wakers.wake();
        Ok(outcomes)
    }

    /// Writes changes of another database as they are: nothing is expected, and no quota holds.
    fn replicate(&self, changes: Vec<Change>, last_version: u64) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        let mut tables = Tables::open(&transaction)?;
        for change in &changes {
            let at = Address::new(&change.namespace, &change.key);
            let before = match at {
                Ok(at) => tables.found(at)?.map(|found| found.bytes),
                Err(_) => continue,
            };
            let after = change.value.is_some().then(|| change.bytes() as u64);
            let usage = tables.usage(&change.namespace)?.replaced(before, after);
            tables.set_usage(&change.namespace, usage)?;
            tables.put(change)?;
        }
        let last_version = tables.last_version()?.max(last_version);
        tables.set_last_version(last_version)?;
        drop(tables);
        transaction.commit()?;
        self.tail.push(last_version, || changes).wake();
        Ok(())
    }
}

/// Who no longer listens has lost the answer, not the write.
fn answer<T>(reply: Reply<T>, with: Result<T, StorageError>) {
    drop(reply.send(with));
}
