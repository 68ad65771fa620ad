//! The one thread that writes: takes the batches that wait, commits them together, then answers them all.

use std::sync::Arc;
use std::thread;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::super::batch::{Batch, Outcome, Write};
use super::super::record::{Address, Conflict, Expect};
use super::super::{StorageError, Trouble};
use super::unavailable;

const VERSION: &str = "SELECT version FROM records WHERE namespace = ?1 AND key = ?2";
const PUT: &str = "INSERT INTO records (namespace, key, version, value) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET version = excluded.version, value = excluded.value";
const DELETE: &str = "DELETE FROM records WHERE namespace = ?1 AND key = ?2";
const COUNT: &str = "UPDATE counter SET last_version = ?1";

/// Bounds how long the first batch of a group waits for the last.
const GROUP: usize = 256;

/// A batch and where its answer goes.
pub(super) struct Job {
    pub(super) batch: Batch,
    pub(super) reply: oneshot::Sender<Result<Vec<Outcome>, StorageError>>,
}

type Answer = Result<Vec<Outcome>, Conflict>;

/// The writing side of a database; ends when the last sender of jobs is gone.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    last_version: u64,
    last_group: usize,
    name: Arc<str>,
    /// After a failed sync nobody knows what is on the disk: no more writes then.
    failed: Option<StorageError>,
}

impl Writer {
    pub(super) fn new(connection: Connection, last_version: u64, name: Arc<str>) -> Self {
        Self {
            connection,
            last_version,
            last_group: 0,
            name,
            failed: None,
        }
    }

    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(job) = jobs.blocking_recv() {
            self.serve(job, &mut jobs);
        }
    }

    /// Nobody hears an answer before the commit; who stopped listening has lost it, not the write.
    fn serve(&mut self, first: Job, more: &mut mpsc::Receiver<Job>) {
        let mut group = vec![first];
        match self.write(&mut group, more) {
            Ok(answers) => {
                for (job, answer) in group.into_iter().zip(answers) {
                    drop(job.reply.send(answer.map_err(StorageError::from)));
                }
            }
            Err(error) => {
                for job in group {
                    drop(job.reply.send(Err(error.clone())));
                }
            }
        }
    }

    fn write(
        &mut self,
        group: &mut Vec<Job>,
        more: &mut mpsc::Receiver<Job>,
    ) -> Result<Vec<Answer>, StorageError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.commit(group, more).map_err(|error| {
            let error = unavailable(&self.name, error);
            if matches!(
                error,
                StorageError::Unavailable {
                    trouble: Trouble::Io,
                    ..
                }
            ) {
                self.failed = Some(error.clone());
            }
            error
        })
    }

    /// An error of the database undoes the whole group; a conflict only its own batch.
    fn commit(
        &mut self,
        group: &mut Vec<Job>,
        more: &mut mpsc::Receiver<Job>,
    ) -> rusqlite::Result<Vec<Answer>> {
        let mut transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut last_version = self.last_version;
        let mut answers = Vec::new();
        while let Some(job) = group.get(answers.len()) {
            answers.push(apply(&mut transaction, &job.batch, &mut last_version)?);
            // What arrived meanwhile goes into the same commit, and there is time for those who
            // were answered together last time and are about to write again.
            if answers.len() < self.last_group && more.is_empty() {
                thread::yield_now();
            }
            if group.len() < GROUP {
                group.extend(more.try_recv());
            }
        }
        if last_version != self.last_version {
            transaction
                .prepare_cached(COUNT)?
                .execute([last_version.cast_signed()])?;
        }
        transaction.commit()?;
        self.last_version = last_version;
        self.last_group = answers.len();
        Ok(answers)
    }
}

enum Failure {
    Conflict(Conflict),
    Sqlite(rusqlite::Error),
}

impl From<Conflict> for Failure {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn apply(
    transaction: &mut Transaction<'_>,
    batch: &Batch,
    last_version: &mut u64,
) -> rusqlite::Result<Answer> {
    let before = *last_version;
    match apply_whole(transaction, batch.writes(), last_version) {
        Ok(outcomes) => Ok(Ok(outcomes)),
        Err(Failure::Conflict(conflict)) => {
            *last_version = before;
            Ok(Err(conflict))
        }
        Err(Failure::Sqlite(error)) => Err(error),
    }
}

fn apply_whole(
    transaction: &mut Transaction<'_>,
    writes: &[Write],
    last_version: &mut u64,
) -> Result<Vec<Outcome>, Failure> {
    // A single write conflicts before it changes anything, so only several need a way back.
    if let [write] = writes {
        return Ok(vec![apply_one(transaction, write, last_version)?]);
    }
    let savepoint = transaction.savepoint()?;
    let outcomes = writes
        .iter()
        .map(|write| apply_one(&savepoint, write, last_version))
        .collect::<Result<_, _>>()?;
    savepoint.commit()?;
    Ok(outcomes)
}

fn apply_one(
    connection: &Connection,
    write: &Write,
    last_version: &mut u64,
) -> Result<Outcome, Failure> {
    let at = write.address();
    // Who overwrites whatever is there need not know it.
    let found = match (write.expect(), write.value()) {
        (Expect::Any, Some(_)) => None,
        _ => version(connection, at)?,
    };
    write.expect().check(at, found)?;
    let version = *last_version + 1;
    let outcome = match write.value() {
        Some(value) => {
            let row = (at.namespace(), at.key(), version.cast_signed(), &value[..]);
            connection.prepare_cached(PUT)?.execute(row)?;
            Outcome::Put { version }
        }
        None if found.is_none() => return Ok(Outcome::Absent),
        None => {
            connection
                .prepare_cached(DELETE)?
                .execute((at.namespace(), at.key()))?;
            Outcome::Deleted { version }
        }
    };
    *last_version = version;
    Ok(outcome)
}

fn version(connection: &Connection, at: Address<'_>) -> rusqlite::Result<Option<u64>> {
    let version = connection
        .prepare_cached(VERSION)?
        .query_row((at.namespace(), at.key()), |row| row.get::<_, i64>(0))
        .optional()?;
    Ok(version.map(i64::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use octa_plugin_api::Payload;

    use super::*;

    fn put(
        key: &str,
        value: Vec<u8>,
    ) -> (Job, oneshot::Receiver<Result<Vec<Outcome>, StorageError>>) {
        let mut batch = Batch::new();
        batch
            .put("a", key, Expect::Any, Payload::from(value))
            .expect("valid");
        let (reply, answer) = oneshot::channel();
        (Job { batch, reply }, answer)
    }

    #[test]
    fn a_full_disk_fails_the_group_and_the_next_one_can_succeed() {
        let directory = tempfile::tempdir().expect("a directory");
        let opened = super::super::open::open(&directory.path().join("db")).expect("opens");
        opened
            .connection
            .pragma_update(None, "max_page_count", 16)
            .expect("bounds the file");
        let mut writer = Writer::new(opened.connection, opened.last_version, "db".into());
        let (queue, mut jobs) = mpsc::channel(2);

        let (small, small_answer) = put("small", b"1".to_vec());
        let (large, large_answer) = put("large", vec![b'1'; 1 << 20]);
        queue.try_send(large).expect("has room");
        writer.serve(small, &mut jobs);
        for mut answer in [small_answer, large_answer] {
            let error = answer.try_recv().expect("answered").expect_err("no space");
            assert_eq!(
                error.to_string(),
                "storage `db` is unavailable: no space is left"
            );
        }

        let (again, mut answer) = put("small", b"1".to_vec());
        writer.serve(again, &mut jobs);
        let outcomes = answer.try_recv().expect("answered").expect("fits");
        assert_eq!(outcomes, [Outcome::Put { version: 1 }]);
    }
}
