//! The PostgreSQL adapter: one writer task that commits in groups, pooled readers, and watches of all kernels.
//!
//! Several kernels may share one database, each with an adapter of its own. The row of the counter is what
//! orders them: whoever writes locks it first, so versions are given in the order of commits.

mod claim;
mod config;
mod error;
mod known;
mod queue;
mod readers;
mod schema;
mod server;
mod session;
mod shared;
mod snapshot;
mod tls;
mod watches;
mod within;
mod writer;
mod written;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::Row;

use self::claim::Unopened;
use self::known::unsigned;
use self::queue::{Hold, Job, Reply, Ticket};
use self::readers::{Readers, Reading};
use self::server::Server;
use self::session::Session;
use self::shared::Shared;
use self::snapshot::Taken;
use self::within::Within;
use self::writer::Writer;
use super::batch::{Batch, Outcome};
use super::change::{Change, Changes, Since, Usage};
use super::record::{Address, Entry, PAGE_BYTES, Page, Query, Record};
use super::{BoxFuture, Snapshot, StorageAdapter, StorageError, Trouble};
use crate::backoff::backoff;
pub use config::PostgresConfig;
pub use error::PostgresError;

/// Batches that may wait for the writer; the next one waits for a place.
const QUEUE: usize = 1_024;
/// How often a database that others have is asked for when it is opened: for a second or two.
const CLAIMS: u32 = 7;
/// Between attempts to reach a server that is gone.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Storage in a PostgreSQL database, durable when acknowledged.
///
/// A server that goes away is waited for, up to [`patience`](PostgresConfig::patience); calls then fail, and
/// are served again once it is back. What was being committed meanwhile is applied once or not at all.
/// Dropping it without [`close`](StorageAdapter::close) leaves the writes already accepted to the runtime.
///
/// Many may have one schema open, or [one alone](PostgresConfig::exclusive). A connection that is lost leaves it to
/// others: where it cannot be opened again, since another has it alone by then, calls wait and fail as without a
/// server.
///
/// # Rights
///
/// Whoever migrates the schema owns it. At run time its user needs `USAGE` on the schema, `SELECT` on
/// `format`, `SELECT` and `UPDATE` on `counter`, and `SELECT`, `INSERT`, `UPDATE` and `DELETE` on the others.
pub struct Postgres {
    server: Server,
    within: Within,
    readers: Arc<Readers>,
    shared: Arc<Shared>,
    statements: Statements,
    /// Taken on close, which ends the writer.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    /// Its sender is dropped as the writer ends, for closers to await.
    ended: watch::Receiver<()>,
}

/// What readers ask, with the schema in it.
struct Statements {
    get: Arc<str>,
    list: Arc<str>,
    usage: Arc<str>,
    last_version: Arc<str>,
    news: Arc<str>,
}

impl Statements {
    fn of(server: &Server) -> Self {
        let sql = |text| server.sql(text).into();
        Self {
            get: sql(include_str!("postgres/sql/get.sql")),
            list: sql(include_str!("postgres/sql/list.sql")),
            usage: sql(include_str!("postgres/sql/all_usage.sql")),
            last_version: sql(include_str!("postgres/sql/last_version.sql")),
            news: sql(include_str!("postgres/sql/news.sql")),
        }
    }
}

impl Postgres {
    /// Opens a database, and makes or migrates its schema if need be.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached or refuses, the schema is not for this kernel, or others have it and it was
    /// to be had alone.
    ///
    /// # Panics
    ///
    /// If called outside of a tokio runtime, which must live for as long as the database is used.
    pub async fn open(config: PostgresConfig) -> Result<Self, PostgresError> {
        let server = Server::new(&config)?;
        let mut client = server.first().await?;
        schema::prepare(&server, &mut client).await?;
        let failed = |error| server.opening("begin to write", error);
        let forget = server.sql(include_str!("postgres/sql/forget.sql"));
        client.execute(&forget, &[]).await.map_err(failed)?;
        let name = writer_name(&client).await.map_err(failed)?;
        let session = first_session(&server, &name).await?;
        let contents = server.sql(include_str!("postgres/sql/contents.sql"));
        let row = client.query_one(&contents, &[]).await.map_err(failed)?;
        let shared = Arc::new(Shared::new(unsigned(row.get(0))));
        let (queue, jobs) = mpsc::channel(QUEUE);
        let within = Within(Handle::current());
        let (running, ended) = watch::channel(());
        let (at, size) = (server.clone(), config.readers);
        let readers = Readers::new(at, size, shared.clone(), within.clone());
        let writer = Writer::new(server.clone(), session, name, shared.clone());
        tokio::spawn(async move {
            writer.run(jobs).await;
            drop(running);
        });
        Ok(Self {
            readers: Arc::new(readers),
            within,
            shared,
            statements: Statements::of(&server),
            queue: Mutex::new(Some(queue)),
            ended,
            server,
        })
    }

    /// Returns what errors call the database: its server and its name.
    pub fn store(&self) -> &Arc<str> {
        &self.server.store
    }

    /// Hands a write to the writer and waits for its answer.
    async fn write<T>(&self, job: impl FnOnce(Ticket<T>) -> Job) -> Result<T, StorageError> {
        let hold = Arc::new(Hold::default());
        let asking = self.ask(|reply| job(Ticket::new(reply, hold.clone())));
        match asking.await {
            Some(answer) => answer,
            None => Err(self.server.given_up(self.shared.lost(), hold.give_up())),
        }
    }

    /// Brings the watches to where the database is.
    async fn catch_up(&self) -> Result<(), StorageError> {
        let silent = || self.shared.lost().unwrap_or_else(|| self.server.silent());
        let caught_up = self.ask(Job::CatchUp).await;
        caught_up.unwrap_or_else(|| Err(silent()))
    }

    /// What the writer answers for as long as callers wait, if it does.
    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Option<Result<T, StorageError>> {
        let end = Instant::now() + self.server.patience;
        let (reply, answer) = Reply::until(end);
        let asking = async {
            match self.enqueue(job(reply)).await {
                // Without one it had no time left for it, and this has not either.
                Ok(()) => answer.await.ok(),
                Err(closed) => Some(Err(closed)),
            }
        };
        timeout_at(end, asking).await.ok().flatten()
    }

    /// Waits for a place in the queue in a task, which uses it as soon as it is given one, and lets go of the queue:
    /// the future of a caller could keep the place from all others, and the writer from ending.
    async fn enqueue(&self, job: Job) -> Result<(), StorageError> {
        let queue = self.queue.lock().clone().ok_or(StorageError::Closed)?;
        let job = match queue.try_send(job) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(StorageError::Closed),
            Err(TrySendError::Full(job)) => job,
        };
        let waiting = async move { queue.send(job).await };
        let sent = self.within.task(waiting).await;
        sent.and_then(Result::ok).ok_or(StorageError::Closed)
    }

    async fn watch(&self, since: Since<'_>) -> Result<Changes, StorageError> {
        let watches = &self.shared.watches;
        // Who only wants to know where it would begin does not watch yet.
        if since.after().is_none() && !watches.is_watched() {
            let last_version = Reading::of(&self.statements.last_version);
            let rows = self.readers.read(last_version).await?;
            let last_version = rows.first().map_or(0, |row| unsigned(row.get(0)));
            return Ok(Changes::new(Vec::new(), last_version));
        }
        loop {
            let is_ahead = since.after().is_none_or(|after| after > watches.seen());
            if is_ahead || !watches.is_watched() {
                self.catch_up().await?;
            }
            let tail = watches.tail();
            match tail.since(since).await {
                // Another one took its place, and knows where to go on.
                Err(StorageError::Closed) if !Arc::ptr_eq(&tail, &watches.tail()) => {}
                Ok(told) if told.missed => return self.recall(since, told).await,
                told => return told,
            }
        }
    }

    /// Reads changes that are no longer in memory but still in the database. Where that is refused, they are missed.
    async fn recall(&self, since: Since<'_>, missed: Changes) -> Result<Changes, StorageError> {
        let Some(after) = since.after().filter(|after| *after < missed.next) else {
            return Ok(missed);
        };
        let parameters = session::news_parameters(after);
        let news = Reading::of(&self.statements.news);
        let news = parameters.into_iter().fold(news, Reading::with);
        let mut found = match self.readers.read(news).await {
            Ok(rows) => session::linked(after, rows),
            Err(error) if is_refusal(&error) => return Ok(missed),
            Err(error) => return Err(error),
        };
        let wants = |it: &Change| since.wants(&it.namespace, &it.key);
        found.changes.retain(wants);
        Ok(found)
    }
}

impl StorageAdapter for Postgres {
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>> {
        Box::pin(async move {
            let get = Reading::of(&self.statements.get);
            let get = get
                .with(at.namespace().to_owned())
                .with(at.key().to_owned());
            let rows = self.readers.read(get).await?;
            Ok(rows.first().map(|row| record(row, 0)))
        })
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        self.within
            .clone()
            .run(Box::pin(self.write(|ticket| Job::Apply(batch, ticket))))
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        Box::pin(async move {
            let (namespace, start) = (query.namespace().to_owned(), query.start());
            // A key cannot have the NUL by which it starts behind one: that one is left out by name.
            let behind = start.strip_suffix('\0');
            let (start, but) = behind.map_or((&*start, ""), |behind| (behind, behind));
            let (start, but) = (start.to_owned(), but.to_owned());
            let (entries, bytes) = (query.most() as i64 + 1, PAGE_BYTES as i64);
            let list = Reading::of(&self.statements.list);
            let list = list.with(namespace).with(start).with(but);
            let rows = self.readers.read(list.with(entries).with(bytes)).await?;
            let entries = rows.iter().map(|row| {
                let key: &str = row.get(0);
                Ok(Entry::new(key, record(row, 1)))
            });
            query.page(entries)
        })
    }

    fn changes<'a>(&'a self, since: Since<'a>) -> BoxFuture<'a, Result<Changes, StorageError>> {
        self.within.clone().run(Box::pin(self.watch(since)))
    }

    fn usage(&self) -> BoxFuture<'_, Result<Vec<(Arc<str>, Usage)>, StorageError>> {
        Box::pin(async {
            let usage = Reading::of(&self.statements.usage);
            let rows = self.readers.read(usage).await?;
            let usage = rows.iter().map(|row| {
                let (records, bytes) = (unsigned(row.get(1)), unsigned(row.get(2)));
                (row.get::<_, &str>(0).into(), Usage { records, bytes })
            });
            Ok(usage.collect())
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StorageError>> {
        self.within.clone().run(Box::pin(async {
            if self.readers.is_closed() {
                return Err(StorageError::Closed);
            }
            if let Some(busy) = self.shared.busy() {
                return Err(busy);
            }
            let taking = Taken::begin(self.server.clone(), self.within.clone());
            match timeout(self.server.patience, taking).await {
                Ok(Ok(taken)) => Ok(Box::new(taken) as Box<dyn Snapshot>),
                Ok(Err(error)) => Err(error::unavailable(&self.server.store, error)),
                Err(_) => Err(self.server.silent()),
            }
        }))
    }

    fn replicate<'a>(
        &'a self,
        changes: &'a [Change],
        last_version: u64,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let changes = changes.to_vec();
        self.within.clone().run(Box::pin(
            self.write(move |ticket| Job::Replicate(changes, last_version, ticket)),
        ))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async {
            self.readers.close();
            self.queue.lock().take();
            // Nothing is ever sent: this ends with an error, when the writer drops its end.
            drop(self.ended.clone().changed().await);
            Ok(())
        })
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("server", &self.server)
            .field("readers", &self.readers)
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

/// Whether it is about what was asked, rather than the way to the server.
fn is_refusal(error: &StorageError) -> bool {
    use Trouble::{Busy, Credentials, Unreachable};
    match error {
        StorageError::Unavailable { trouble, .. } => {
            !matches!(trouble, Busy | Credentials | Unreachable)
        }
        _ => false,
    }
}

fn record(row: &Row, at: usize) -> Record {
    let value: Vec<u8> = row.get(at + 1);
    Record::new(value, unsigned(row.get(at)))
}

/// A name that no other writer has or had, which tells whose it is.
async fn writer_name(client: &tokio_postgres::Client) -> Result<String, tokio_postgres::Error> {
    let row = client
        .query_one("SELECT gen_random_uuid()::text", &[])
        .await?;
    let id: &str = row.get(0);
    Ok(format!("octa {} {id}", std::process::id()))
}

/// Who had the database until now may still be about to leave it.
async fn first_session(server: &Server, name: &str) -> Result<Session, PostgresError> {
    let mut attempts = 1;
    loop {
        match Session::open(server, name).await {
            Err(Unopened::InUse(_)) if attempts < CLAIMS => {
                let pause = backoff(FIRST_PAUSE, LONGEST_PAUSE, attempts, name);
                tokio::time::sleep(pause).await;
                attempts += 1;
            }
            opened => return opened.map_err(|error| server.beginning(error)),
        }
    }
}

#[cfg(test)]
mod tests;
