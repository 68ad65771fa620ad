//! The one task that writes: takes the batches that wait, commits them together, then answers them all.
//!
//! It also hears of what other kernels wrote, and feeds the watches. A lost connection is opened again; what
//! was under way is then either known to be committed, or done once more.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::super::StorageError;
use super::super::batch::{Batch, Outcome};
use super::super::change::Change;
use super::super::plan::{Plan, Refusal};
use super::super::tail::KEPT_CHANGES;
use super::error::{self, unavailable};
use super::known::{Asked, Known};
use super::queue::{Job, Reply, Ticket};
use super::server::Server;
use super::session::{Failure, Session};
use super::shared::Shared;
use super::written::Written;
use super::{FIRST_PAUSE, LONGEST_PAUSE};
use crate::backoff::backoff;

/// Bounds how long the first batch of a group waits for the last.
const GROUP: usize = 256;
/// The same, where values are large.
const GROUP_BYTES: usize = 4 << 20;
/// The same, where batches are. All of a group is told at once: who watches must not miss the first of it.
const GROUP_WRITES: usize = KEPT_CHANGES / 4;
/// So many changes, or their bytes, are written between two looks at what is kept for watches.
const UNTRIMMED: usize = 4_096;
const UNTRIMMED_BYTES: usize = 8 << 20;

type Waiting = (Batch, Ticket<Vec<Outcome>>);
type Answer = Result<Vec<Outcome>, Refusal>;

/// The writing side of a database; ends when the last sender of jobs is gone.
#[derive(Debug)]
pub(super) struct Writer {
    server: Server,
    session: Option<Session>,
    shared: Arc<Shared>,
    /// Its name, on its connections and on what it commits.
    name: String,
    /// The groups that it tried to commit.
    groups: i64,
    /// To connect, since something was done on a connection.
    attempts: u32,
    /// It has connected, or was refused, and has not seen yet what was written before.
    is_behind: bool,
    /// How often it was refused to see it since, and when it tries again.
    refusals: u32,
    next_look: Instant,
    untrimmed: (usize, usize),
    /// Came while a group was gathered, and is none of it.
    next: Option<Job>,
}

/// What the writer does next.
enum Turn {
    Job(Job),
    Told,
}

/// Why an attempt at a transaction did not succeed.
enum Undone {
    /// The server refused it.
    Refused(StorageError),
    /// It is known not to have been applied.
    Again,
    /// Nobody waits any more to hear whether it was applied.
    Unknown,
}

impl Writer {
    pub(super) fn new(server: Server, session: Session, name: String, shared: Arc<Shared>) -> Self {
        Self {
            server,
            session: Some(session),
            shared,
            name,
            groups: 0,
            attempts: 0,
            is_behind: false,
            refusals: 0,
            next_look: Instant::now(),
            untrimmed: (UNTRIMMED, 0),
            next: None,
        }
    }

    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(turn) = self.turn(&mut jobs).await {
            match turn {
                Turn::Job(Job::Apply(batch, ticket)) => {
                    let group = self.gather((batch, ticket), &mut jobs);
                    self.serve(group).await;
                }
                Turn::Job(Job::Replicate(changes, last_version, ticket)) => {
                    self.replicate(changes, last_version, ticket).await;
                }
                Turn::Job(Job::CatchUp(reply)) => self.answer_catch_up(reply).await,
                Turn::Told => drop(self.catch_up().await),
            }
        }
        self.shared.watches.close();
    }

    /// What is to be done next; connects meanwhile.
    async fn turn(&mut self, jobs: &mut mpsc::Receiver<Job>) -> Option<Turn> {
        if let Some(job) = self.next.take() {
            return Some(Turn::Job(job));
        }
        loop {
            let Some(session) = &mut self.session else {
                tokio::select! {
                    biased;
                    job = jobs.recv() => return job.map(Turn::Job),
                    () = self.connect() => continue,
                }
            };
            tokio::select! {
                biased;
                job = jobs.recv() => return job.map(Turn::Job),
                () = sleep_until(self.next_look), if self.is_behind => return Some(Turn::Told),
                told = session.told.changed() => match told {
                    Ok(()) if *session.told.borrow_and_update() > self.shared.watches.seen() => {
                        return Some(Turn::Told);
                    }
                    Ok(()) => {}
                    Err(_) => self.session = None,
                },
            }
        }
    }

    /// Takes the batches that wait already.
    fn gather(&mut self, first: Waiting, jobs: &mut mpsc::Receiver<Job>) -> Vec<Waiting> {
        let (mut writes, mut bytes) = (first.0.writes().len(), first.0.bytes());
        let mut group = vec![first];
        while group.len() < GROUP && writes < GROUP_WRITES && bytes < GROUP_BYTES {
            match jobs.try_recv().ok() {
                Some(Job::Apply(batch, ticket)) => {
                    writes += batch.writes().len();
                    bytes += batch.bytes();
                    group.push((batch, ticket));
                }
                other => {
                    self.next = other;
                    break;
                }
            }
        }
        group
    }

    /// Nobody hears an answer before the commit. Who gave up before it was begun is left out.
    async fn serve(&mut self, mut group: Vec<Waiting>) {
        loop {
            let is_awaited = || group.iter().any(|(_, ticket)| ticket.is_awaited());
            if !self.connected(is_awaited).await {
                return;
            }
            group.retain(|(_, ticket)| ticket.take());
            let is_awaited = || group.iter().any(|(_, ticket)| ticket.is_awaited());
            if !is_awaited() {
                return;
            }
            let asked = Asked::of_batches(group.iter().map(|(batch, _)| batch));
            let planned = |known: &mut Known| plan(&group, known);
            match self.write(&asked, planned, is_awaited).await {
                Ok(answers) => {
                    for ((_, ticket), answer) in group.into_iter().zip(answers) {
                        ticket.answer(answer.map_err(StorageError::from));
                    }
                    return;
                }
                Err(Undone::Refused(error)) => {
                    for (_, ticket) in group {
                        ticket.answer(Err(error.clone()));
                    }
                    return;
                }
                Err(Undone::Again) => group.iter().for_each(|(_, ticket)| ticket.lay_down()),
                Err(Undone::Unknown) => return,
            }
        }
    }

    async fn replicate(&mut self, changes: Vec<Change>, last_version: u64, ticket: Ticket<()>) {
        let asked = Asked::of_changes(&changes);
        while self.connected(|| ticket.is_awaited()).await && ticket.take() {
            let planned = |known: &mut Known| {
                (
                    Written::replicated(changes.clone(), last_version, known),
                    (),
                )
            };
            match self.write(&asked, planned, || ticket.is_awaited()).await {
                Ok(()) => return ticket.answer(Ok(())),
                Err(Undone::Refused(error)) => return ticket.answer(Err(error)),
                Err(Undone::Again) => ticket.lay_down(),
                Err(Undone::Unknown) => return,
            }
        }
    }

    /// One attempt at a transaction.
    async fn write<T>(
        &mut self,
        asked: &Asked,
        plan: impl FnOnce(&mut Known) -> (Written, T),
        is_awaited: impl Fn() -> bool,
    ) -> Result<T, Undone> {
        if self.refusals > 0 && self.next_look <= Instant::now() {
            // Here rather than under the lock that others wait for; what became of it is seen there.
            drop(self.catch_up().await);
        }
        let session = self.session.as_ref().ok_or(Undone::Again)?;
        let mut known = match session.begin(asked).await {
            Ok(known) => known,
            Err(failure) => return Err(self.failed(failure)),
        };
        // What others wrote is told before what is written behind it.
        let watches = &self.shared.watches;
        if watches.is_watched() && watches.seen() < known.last_version {
            self.look_back(known.last_version).await?;
        }
        let (written, answer) = plan(&mut known);
        let session = self.session.as_ref().ok_or(Undone::Again)?;
        if written.changes.is_empty() && written.last_version == known.last_version {
            session.roll_back().await;
            return Ok(answer);
        }
        self.groups += 1;
        let number = self.groups;
        let trims = self.untrimmed.0 >= UNTRIMMED || self.untrimmed.1 >= UNTRIMMED_BYTES;
        match session.commit(&written, &self.name, number, trims).await {
            Ok(()) => self.committed(written, trims),
            Err(Failure::Unknown(error)) => {
                self.lost(error);
                self.settle(is_awaited).await?;
            }
            // It may be the trimming that was refused: what is written is tried without it.
            Err(Failure::Refused(_)) if trims => {
                self.untrimmed = (0, 0);
                return Err(Undone::Again);
            }
            Err(failure) => return Err(self.failed(failure)),
        }
        Ok(answer)
    }

    /// Brings the watches to where a transaction is that was begun. Where it is refused to look, they have missed
    /// that: it is no reason to refuse a write.
    async fn look_back(&mut self, last_version: u64) -> Result<(), Undone> {
        if self.refusals > 0 {
            // It would be refused again, and the transaction would end with it.
            self.shared.watches.skip(last_version);
            return Ok(());
        }
        let Err(undone) = self.catch_up().await else {
            return Ok(());
        };
        if let Some(session) = &self.session {
            session.roll_back().await;
        }
        Err(match undone {
            Undone::Refused(_) => Undone::Again,
            undone => undone,
        })
    }

    /// Tells the watches, and counts what is kept for those of others.
    fn committed(&mut self, written: Written, trimmed: bool) {
        if trimmed {
            self.untrimmed = (0, 0);
        }
        self.attempts = 0;
        self.untrimmed.0 += written.changes.len();
        self.untrimmed.1 += written.bytes();
        let watches = &self.shared.watches;
        match written.is_told {
            true => watches.push(written.last_version, || written.changes),
            false => watches.skip(written.last_version),
        }
    }

    /// Finds out whether the last group was committed; gives up when nobody waits for it any more.
    ///
    /// Watches hear of it also then: what was committed before this connected is what it is behind by, and what
    /// is committed later is told to it, as what others write is.
    async fn settle(&mut self, is_awaited: impl Fn() -> bool) -> Result<(), Undone> {
        let mut attempts = 0;
        while is_awaited() && self.connected(&is_awaited).await {
            let Some(session) = &self.session else {
                continue;
            };
            match session.settled(&self.name).await {
                Ok(number) if number == Some(self.groups) => {
                    // If that fails, it is tried again behind this.
                    drop(self.catch_up().await);
                    return Ok(());
                }
                Ok(_) => return Err(Undone::Again),
                Err(failure) => drop(self.failed(failure)),
            }
            attempts += 1;
            let pause = backoff(FIRST_PAUSE, LONGEST_PAUSE, attempts, &self.name);
            sleep(pause).await;
        }
        Err(Undone::Unknown)
    }

    /// Brings the watches to where the database is, if there are any.
    async fn catch_up(&mut self) -> Result<(), Undone> {
        while self.shared.watches.is_watched() {
            let watches = &self.shared.watches;
            let seen = watches.seen();
            let session = self.session.as_ref().ok_or(Undone::Again)?;
            match session.news(seen).await {
                Ok(news) if news.missed => watches.skip(news.next),
                Ok(news) if news.next == seen => {
                    self.attempts = 0;
                    break;
                }
                Ok(news) => watches.push(news.next, || news.changes),
                Err(failure) => return Err(self.kept_behind(failure)),
            }
        }
        (self.is_behind, self.refusals) = (false, 0);
        Ok(())
    }

    /// Who watches hears nothing meanwhile: that is said once.
    fn kept_behind(&mut self, failure: Failure) -> Undone {
        self.is_behind = true;
        let undone = self.failed(failure);
        if let Undone::Refused(error) = &undone {
            self.refusals = self.refusals.saturating_add(1);
            let pause = backoff(FIRST_PAUSE, LONGEST_PAUSE, self.refusals, &self.name);
            self.next_look = Instant::now() + pause;
            if self.refusals == 1 {
                log::warn!("changes are not told: {error}");
            }
        }
        undone
    }

    async fn answer_catch_up(&mut self, reply: Reply<()>) {
        while self.connected(|| reply.is_awaited()).await {
            let answer = match self.watch_and_catch_up().await {
                Err(Undone::Again) => continue,
                Err(Undone::Refused(error)) => Err(error),
                Ok(()) | Err(Undone::Unknown) => Ok(()),
            };
            return reply.send(answer);
        }
    }

    async fn watch_and_catch_up(&mut self) -> Result<(), Undone> {
        if !self.shared.watches.is_watched() {
            self.begin_watching().await?;
        }
        self.catch_up().await
    }

    /// What was written while nobody watched is not read.
    async fn begin_watching(&mut self) -> Result<(), Undone> {
        let session = self.session.as_ref().ok_or(Undone::Again)?;
        let now = session.news(u64::MAX).await;
        let now = now.map_err(|failure| self.failed(failure))?;
        self.shared.watches.skip(now.next);
        self.shared.watches.watch();
        Ok(())
    }

    /// Connects, for as long as somebody waits for it.
    async fn connected(&mut self, is_awaited: impl Fn() -> bool) -> bool {
        while self.session.is_none() {
            if !is_awaited() {
                return false;
            }
            self.connect().await;
        }
        true
    }

    /// One attempt to connect, after a pause if the one before failed.
    async fn connect(&mut self) {
        if self.attempts > 0 {
            let pause = backoff(FIRST_PAUSE, LONGEST_PAUSE, self.attempts, &self.name);
            sleep(pause).await;
        }
        self.attempts += 1;
        let opening = Session::open(&self.server, &self.name);
        match timeout(self.server.silence, opening).await {
            Ok(Ok(session)) => {
                self.session = Some(session);
                self.is_behind = true;
                self.shared.connected();
            }
            Ok(Err(error)) => self.shared.unconnected(self.server.unopened(error)),
            Err(_) => {}
        }
    }

    /// What callers are told of a failure; of a lost connection nothing, since another one is opened.
    fn failed(&mut self, failure: Failure) -> Undone {
        match failure {
            Failure::Refused(error) => Undone::Refused(self.unavailable(error)),
            Failure::Lost(error) | Failure::Unknown(error) => {
                self.lost(error);
                Undone::Again
            }
        }
    }

    fn lost(&mut self, error: Option<tokio_postgres::Error>) {
        self.session = None;
        let error = error.map_or_else(|| "it is silent".into(), error::words);
        log::warn!(
            "storage `{}` lost its connection: {error}",
            self.server.store
        );
    }

    fn unavailable(&self, error: tokio_postgres::Error) -> StorageError {
        unavailable(&self.server.store, error)
    }
}

fn plan(group: &[Waiting], known: &mut Known) -> (Written, Vec<Answer>) {
    let before = known.last_version;
    let mut plan = Plan::new(before);
    let answers = group.iter().map(|(batch, _)| match plan.add(batch, known) {
        Ok(answer) => answer,
        Err(never) => match never {},
    });
    let answers = answers.collect();
    (Written::planned(plan, before), answers)
}

#[cfg(test)]
mod tests;
