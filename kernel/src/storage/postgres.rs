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
use tokio::sync::{mpsc, oneshot, watch};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use self::claim::Unopened;
use self::known::unsigned;
use self::queue::{Hold, Job, Ticket};
use self::readers::Readers;
use self::server::Server;
use self::session::Session;
use self::snapshot::Taken;
use self::within::Within;
use self::writer::{Shared, Writer};
use super::batch::{Batch, Outcome};
use super::change::{Change, Changes, Since, Usage};
use super::record::{Address, Entry, PAGE_BYTES, Page, Query, Record};
use super::{BoxFuture, Snapshot, StorageAdapter, StorageError};
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
    readers: Readers,
    shared: Arc<Shared>,
    statements: Statements,
    /// Taken on close, which ends the writer.
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    /// Its sender is dropped as the writer ends, for closers to await.
    ended: watch::Receiver<()>,
}

/// What readers ask, with the schema in it.
struct Statements {
    get: String,
    list: String,
    usage: String,
    news: String,
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
        let connected = server.connect("octa").await;
        let (mut client, _) = connected.map_err(|error| server.opening("connect", error))?;
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
        let (running, ended) = watch::channel(());
        let writer = Writer::new(server.clone(), session, name, shared.clone());
        tokio::spawn(async move {
            writer.run(jobs).await;
            drop(running);
        });
        Ok(Self {
            within: Within(Handle::current()),
            readers: Readers::new(server.clone(), config.readers),
            shared,
            statements: Statements {
                get: server.sql(include_str!("postgres/sql/get.sql")),
                list: server.sql(include_str!("postgres/sql/list.sql")),
                usage: server.sql(include_str!("postgres/sql/all_usage.sql")),
                news: server.sql(include_str!("postgres/sql/news.sql")),
            },
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
        let (reply, answer) = oneshot::channel();
        let job = job(Ticket::new(reply, hold.clone()));
        let asking = self.ask(job, answer);
        match tokio::time::timeout(self.server.patience, asking).await {
            Ok(answer) => answer,
            Err(_) => {
                let lost = self.shared.lost.lock().clone();
                Err(self.server.given_up(lost, hold.give_up()))
            }
        }
    }

    async fn ask<T>(
        &self,
        job: Job,
        answer: oneshot::Receiver<Result<T, StorageError>>,
    ) -> Result<T, StorageError> {
        let queue = self.queue.lock().clone().ok_or(StorageError::Closed)?;
        queue.send(job).await.map_err(|_| StorageError::Closed)?;
        // A caller that waits for its answer must not keep the writer from ending.
        drop(queue);
        answer.await.unwrap_or(Err(StorageError::Closed))
    }

    /// Brings the watches to where the database is.
    async fn catch_up(&self) -> Result<(), StorageError> {
        let (reply, answer) = oneshot::channel();
        let asking = self.ask(Job::CatchUp(reply), answer);
        match tokio::time::timeout(self.server.patience, asking).await {
            Ok(answer) => answer,
            Err(_) => {
                let lost = self.shared.lost.lock().clone();
                Err(lost.unwrap_or_else(|| self.server.silent()))
            }
        }
    }

    async fn watch(&self, since: Since<'_>) -> Result<Changes, StorageError> {
        loop {
            let watches = &self.shared.watches;
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

    /// Reads changes that are no longer in memory but still in the database.
    async fn recall(&self, since: Since<'_>, missed: Changes) -> Result<Changes, StorageError> {
        let Some(after) = since.after().filter(|after| *after < missed.next) else {
            return Ok(missed);
        };
        let parameters = session::news_parameters(after);
        let parameters = parameters.each_ref().map(|it| it as &(dyn ToSql + Sync));
        let rows = self
            .readers
            .read(&self.statements.news, &parameters)
            .await?;
        let mut found = session::linked(after, rows);
        let wants = |it: &Change| since.wants(&it.namespace, &it.key);
        found.changes.retain(wants);
        Ok(found)
    }
}

impl StorageAdapter for Postgres {
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>> {
        self.within.clone().run(Box::pin(async move {
            let (namespace, key) = (at.namespace(), at.key());
            let rows = self
                .readers
                .read(&self.statements.get, &[&namespace, &key])
                .await?;
            Ok(rows.first().map(|row| record(row, 0)))
        }))
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        self.within
            .clone()
            .run(Box::pin(self.write(|ticket| Job::Apply(batch, ticket))))
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        self.within.clone().run(Box::pin(async move {
            let (namespace, start) = (query.namespace(), query.start());
            // A key cannot have the NUL by which it starts behind one: that one is left out by name.
            let behind = start.strip_suffix('\0');
            let (start, but) = behind.map_or((&*start, ""), |behind| (behind, behind));
            let (entries, bytes) = (query.most() as i64 + 1, PAGE_BYTES as i64);
            let parameters: [&(dyn ToSql + Sync); 5] = [&namespace, &start, &but, &entries, &bytes];
            let rows = self
                .readers
                .read(&self.statements.list, &parameters)
                .await?;
            let entries = rows.iter().map(|row| {
                let key: &str = row.get(0);
                Ok(Entry::new(key, record(row, 1)))
            });
            query.page(entries)
        }))
    }

    fn changes<'a>(&'a self, since: Since<'a>) -> BoxFuture<'a, Result<Changes, StorageError>> {
        self.within.clone().run(Box::pin(self.watch(since)))
    }

    fn usage(&self) -> BoxFuture<'_, Result<Vec<(Arc<str>, Usage)>, StorageError>> {
        self.within.clone().run(Box::pin(async {
            let rows = self.readers.read(&self.statements.usage, &[]).await?;
            let usage = rows.iter().map(|row| {
                let (records, bytes) = (unsigned(row.get(1)), unsigned(row.get(2)));
                (row.get::<_, &str>(0).into(), Usage { records, bytes })
            });
            Ok(usage.collect())
        }))
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StorageError>> {
        self.within.clone().run(Box::pin(async {
            if self.readers.is_closed() {
                return Err(StorageError::Closed);
            }
            let taking = Taken::begin(self.server.clone(), self.within.clone());
            match tokio::time::timeout(self.server.patience, taking).await {
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
