//! The one thread that writes: takes the batches that wait, commits them together, then answers them all.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::{iter, thread};

use rusqlite::{Connection, Transaction, TransactionBehavior, ffi};
use tokio::sync::{mpsc, oneshot};

use super::super::batch::{Batch, Outcome};
use super::super::change::{Change, Usage};
use super::super::plan::{Plan, Present, Refusal};
use super::super::record::Address;
use super::super::tail::{KEPT_CHANGES, Tail};
use super::super::{StorageError, Trouble};
use super::damage::{Fault, is_failed_write};
use super::header::Header;
use super::health::Health;
use super::place::Place;
use super::rows::Rows;

/// Bounds how long the first batch of a group waits for the last.
const GROUP: usize = 256;
/// The same, where values are large.
const GROUP_BYTES: usize = 4 << 20;
/// The same, where batches are. All of a group is told at once: who watches must not miss the first of it.
const GROUP_CHANGES: usize = KEPT_CHANGES / 4;

/// Where an answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, StorageError>>;

/// What the writer can be asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Apply(Batch, Reply<Vec<Outcome>>),
    Replicate(Vec<Change>, u64, Reply<()>),
    /// Changes what the file says of itself, but for its version.
    Mark(Mark, Reply<Header>),
}

impl Job {
    /// What nobody waits for any more is not begun.
    fn is_awaited(&self) -> bool {
        !match self {
            Self::Apply(_, reply) => reply.is_closed(),
            Self::Replicate(.., reply) => reply.is_closed(),
            Self::Mark(_, reply) => reply.is_closed(),
        }
    }
}

/// The part that a file is to play.
#[derive(Debug)]
pub(super) enum Mark {
    Follow { id: Arc<str>, epoch: u64 },
    Lead,
}

type Waiting = (Batch, Reply<Vec<Outcome>>);
type Answer = Result<Vec<Outcome>, Refusal>;

/// The writing side of a database; ends when the last sender of jobs is gone.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    /// Dropped behind the connection.
    place: Place,
    header: Header,
    health: Arc<Health>,
    tail: Arc<Tail>,
    last_group: usize,
    /// Came while a group was gathered, and is none of it.
    next: Option<Job>,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        place: Place,
        header: Header,
        health: Arc<Health>,
        tail: Arc<Tail>,
    ) -> Self {
        Self {
            connection,
            place,
            header,
            health,
            tail,
            last_group: 0,
            next: None,
        }
    }

    /// Tells in the end whether the file has everything, without its log.
    pub(super) fn run(
        mut self,
        mut jobs: mpsc::UnboundedReceiver<Job>,
    ) -> Result<(), StorageError> {
        while let Some(job) = self.next.take().or_else(|| jobs.blocking_recv()) {
            if job.is_awaited() {
                self.serve(job, &mut jobs);
            }
        }
        self.seal()
    }

    /// Brings the log into the file, which SQLite also does when it closes, but does not tell whether it could.
    ///
    /// What ended writes has been told, and the files are to be left as they are.
    fn seal(&mut self) -> Result<(), StorageError> {
        if self.health.may_write().is_err() {
            return Ok(());
        }
        self.attempt(|writer| {
            empty_log(&writer.connection)?;
            Ok(Written {
                answer: (),
                header: writer.header.clone(),
                changes: Vec::new(),
            })
        })
    }

    /// Nobody hears an answer before the commit; who stopped listening meanwhile has lost it, not the write.
    pub(super) fn serve(&mut self, job: Job, more: &mut mpsc::UnboundedReceiver<Job>) {
        match job {
            Job::Apply(batch, reply) => self.serve_group((batch, reply), more),
            Job::Replicate(changes, last_version, reply) => {
                let done = self.attempt(|writer| writer.replicate(changes, last_version));
                drop(reply.send(done));
            }
            Job::Mark(mark, reply) => {
                let done = self.attempt(|writer| writer.mark(mark));
                drop(reply.send(done));
            }
        }
    }

    /// What keeps one batch of a group from being written keeps none of the others.
    fn serve_group(&mut self, first: Waiting, more: &mut mpsc::UnboundedReceiver<Job>) {
        let mut group = vec![first];
        let done = self.attempt(|writer| writer.commit(&mut group, Some(more)));
        match done {
            Err(error) if group.len() > 1 && is_perhaps_of_one(&error) => {
                for waiting in group {
                    let mut alone = vec![waiting];
                    let done = self.attempt(|writer| writer.commit(&mut alone, None));
                    answer(alone, done);
                }
            }
            done => answer(group, done),
        }
    }

    /// Writes only into the file that is at its path, before and after; then watchers are told.
    fn attempt<T>(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<Written<T>, Fault>,
    ) -> Result<T, StorageError> {
        self.health.may_write()?;
        let mut written = self.place.check().and_then(|()| write(self));
        if written.is_ok() {
            written = self.place.settle().and(written);
        }
        match written {
            Ok(written) => {
                self.header = written.header;
                let last_version = self.header.last_version;
                self.tail.push(last_version, || written.changes).wake();
                Ok(written.answer)
            }
            Err(Fault::Sqlite(e))
                if is_failed_write(&e) && self.place.is_full(&self.connection) =>
            {
                Err(self.health.failed(Fault::Full(e)))
            }
            Err(fault) => {
                if let Fault::Replaced(_) = fault {
                    // The error that led here says what the user needs.
                    drop(self.place.leave(&self.connection));
                }
                Err(self.health.failed(fault))
            }
        }
    }

    /// An error of the database undoes the whole group; a refusal only its own batch. With `more`, what comes
    /// meanwhile joins the group.
    fn commit(
        &mut self,
        group: &mut Vec<Waiting>,
        mut more: Option<&mut mpsc::UnboundedReceiver<Job>>,
    ) -> Result<Written<Vec<Answer>>, Fault> {
        let transaction = begin(&mut self.connection)?;
        let mut plan = Plan::new(self.header.last_version);
        let mut answers = Vec::new();
        let mut bytes = 0;
        while let Some((batch, _)) = group.get(answers.len()) {
            let planned = plan.changes().len();
            answers.push(plan.add(batch, &mut Rows(&transaction))?);
            let added = plan.changes().get(planned..).unwrap_or_default();
            bytes += added.iter().map(Change::bytes).sum::<usize>();
            let Some(more) = &mut more else {
                continue;
            };
            // What arrived meanwhile goes into the same commit, and there is time for those who
            // were answered together last time and are about to write again.
            if answers.len() < self.last_group && more.is_empty() {
                thread::yield_now();
            }
            let is_full = group.len() >= GROUP
                || bytes >= GROUP_BYTES
                || plan.changes().len() >= GROUP_CHANGES;
            if !is_full && self.next.is_none() {
                match awaited(more) {
                    Some(Job::Apply(batch, reply)) => group.push((batch, reply)),
                    other => self.next = other,
                }
            }
        }
        self.last_group = answers.len();
        let rows = Rows(&transaction);
        plan.records().try_for_each(|change| rows.change(change))?;
        let header = self.header.at(plan.last_version());
        if header != self.header {
            for (namespace, usage) in plan.usage() {
                rows.count(namespace, usage)?;
            }
            header.write(&transaction)?;
        }
        transaction.commit()?;
        Ok(Written {
            answer: answers,
            header,
            changes: plan.into_changes(),
        })
    }

    /// Told are those that are new here, in the order of their versions: a copy may begin with the records of a
    /// snapshot, or with changes that it had.
    fn replicate(&mut self, mut changes: Vec<Change>, last: u64) -> Result<Written<()>, Fault> {
        let versions = changes.iter().map(|change| change.version);
        let last = versions.chain([last, self.header.last_version]).max();
        let header = self.header.at(last.unwrap_or_default());
        let transaction = begin(&mut self.connection)?;
        let mut rows = Rows(&transaction);
        let mut usages = HashMap::new();
        for change in &changes {
            let at = Address::checked(&change.namespace, &change.key);
            let before = rows.found(at)?.map(|found| found.bytes);
            let after = change.value.is_some().then(|| change.bytes() as u64);
            let usage: &mut Usage = match usages.entry(&*change.namespace) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(space) => space.insert(rows.usage(at.namespace())?),
            };
            *usage = usage.replaced(before, after);
            rows.change(change)?;
        }
        for (namespace, usage) in usages {
            rows.count(namespace, usage)?;
        }
        header.write(&transaction)?;
        transaction.commit()?;
        changes.retain(|change| change.version > self.header.last_version);
        changes.sort_by_key(|change| change.version);
        Ok(Written {
            answer: (),
            header,
            changes,
        })
    }

    fn mark(&mut self, mark: Mark) -> Result<Written<Header>, Fault> {
        let mut header = self.header.clone();
        match mark {
            Mark::Follow { id, epoch } => {
                (header.id, header.epoch, header.following) = (id, epoch, true);
            }
            Mark::Lead => {
                header.epoch += 1;
                header.following = false;
            }
        }
        let transaction = begin(&mut self.connection)?;
        header.write(&transaction)?;
        transaction.commit()?;
        Ok(Written {
            answer: header.clone(),
            header,
            changes: Vec::new(),
        })
    }
}

/// What is durable now.
struct Written<T> {
    answer: T,
    header: Header,
    changes: Vec<Change>,
}

/// Takes a job that lies there and is waited for.
fn awaited(jobs: &mut mpsc::UnboundedReceiver<Job>) -> Option<Job> {
    iter::from_fn(|| jobs.try_recv().ok()).find(Job::is_awaited)
}

/// Whether a group may have failed for what a single batch of it met with.
fn is_perhaps_of_one(error: &StorageError) -> bool {
    let StorageError::Unavailable { trouble, .. } = error else {
        return false;
    };
    matches!(trouble, Trouble::Corrupt | Trouble::Full)
}

fn answer(group: Vec<Waiting>, done: Result<Vec<Answer>, StorageError>) {
    let replies = group.into_iter().map(|(_, reply)| reply);
    match done {
        Ok(answers) => replies.zip(answers).for_each(|(reply, answer)| {
            drop(reply.send(answer.map_err(StorageError::from)));
        }),
        Err(error) => replies.for_each(|reply| drop(reply.send(Err(error.clone())))),
    }
}

fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
    let (is_busy, in_log, in_file): (bool, i64, i64) =
        connection.query_row(sql, [], |row| row.try_into())?;
    // Another program that reads keeps the log, if not always what is in it; -1: nothing is known.
    if is_busy && (in_log < 0 || in_file < in_log) {
        let busy = ffi::Error::new(ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(busy, None));
    }
    Ok(())
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}
