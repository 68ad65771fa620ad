//! The connection of a writer: its statements, and how often they cross the network.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

use super::super::change::{Change, Changes};
use super::super::check::MAX_PAGE_ENTRIES;
use super::super::record::PAGE_BYTES;
use super::super::tail::{KEPT_BYTES, KEPT_CHANGES};
use super::claim::{Unopened, claim};
use super::error::{is_lost, quoted};
use super::known::{Asked, Known, signed, unsigned};
use super::server::Server;
use super::written::Written;

type PgError = tokio_postgres::Error;

/// A machine that is gone must not seem to use the database for hours: half a minute, whether it was last asked or
/// told something.
const ALIVE: &str = "SET tcp_keepalives_idle = 15; SET tcp_keepalives_interval = 5; \
     SET tcp_keepalives_count = 3; SET tcp_user_timeout = 30000";

/// How an attempt to write ended that did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is gone, and nothing was written.
    Lost(Option<PgError>),
    /// The connection is gone, and the server may have committed.
    Unknown(Option<PgError>),
    /// The server refused, and nothing was written.
    Refused(PgError),
}

impl Failure {
    /// What an error means where nothing is written; none is silence.
    fn of(error: Option<PgError>) -> Self {
        match error {
            Some(error) if !is_lost(&error) => Self::Refused(error),
            error => Self::Lost(error),
        }
    }
}

/// A connection that writes and hears of what others wrote.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    /// The latest version that was told of; ends with the connection.
    pub(super) told: watch::Receiver<u64>,
    server: Server,
    lock: Statement,
    found: Statement,
    appended: Statement,
    usage: Statement,
    write: Statement,
    trim: Statement,
    news: Statement,
    settled: Statement,
}

impl Session {
    /// Opens a connection for a writer, and ends the one that it had before.
    pub(super) async fn open(server: &Server, writer: &str) -> Result<Self, Unopened> {
        let (client, told) = server.connect(writer).await?;
        let listen = format!("LISTEN {}", quoted(&server.schema));
        client.batch_execute(&listen).await?;
        let timeout = server.silence.as_millis();
        // A kernel that stands still must not keep others from writing.
        let idle = format!("SET idle_in_transaction_session_timeout = {timeout}; {ALIVE}");
        client.batch_execute(&idle).await?;
        // Whatever the database says otherwise: acknowledged is durable.
        let durable = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
        client.batch_execute(durable).await?;
        client
            .execute(include_str!("sql/predecessor.sql"), &[&writer])
            .await?;
        claim(server, &client).await?;
        let prepare = async |text| client.prepare(&server.sql(text)).await;
        Ok(Self {
            lock: prepare(include_str!("sql/lock.sql")).await?,
            found: prepare(include_str!("sql/found.sql")).await?,
            appended: prepare(include_str!("sql/appended.sql")).await?,
            usage: prepare(include_str!("sql/usage.sql")).await?,
            write: prepare(include_str!("sql/write.sql")).await?,
            trim: prepare(include_str!("sql/trim.sql")).await?,
            news: prepare(include_str!("sql/news.sql")).await?,
            settled: prepare(include_str!("sql/settled.sql")).await?,
            told,
            server: server.clone(),
            client,
        })
    }

    /// Begins a transaction, takes the lock that orders all writers, and reads what is there: one round trip.
    pub(super) async fn begin(&self, asked: &Asked) -> Result<Known, Failure> {
        let client = &self.client;
        let used = names(&asked.used);
        let used: [&(dyn ToSql + Sync); 1] = [&used];
        let flight = async {
            tokio::join!(
                biased;
                client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"),
                client.query_one(&self.lock, &[]),
                self.found(asked),
                self.appended(asked),
                client.query(&self.usage, &used),
            )
        };
        let (begun, counter, found, appended, usage) =
            self.bounded(flight).await.ok_or(Failure::Lost(None))?;
        let known = || {
            begun?;
            let last_version = unsigned(counter?.get(0));
            let mut found = found?;
            found.extend(appended?);
            Ok(Known::new(last_version, found, usage?))
        };
        match known() {
            Ok(known) => Ok(known),
            Err(error) => {
                let failure = Failure::of(Some(error));
                if let Failure::Refused(_) = failure {
                    self.roll_back().await;
                }
                Err(failure)
            }
        }
    }

    /// Writes and commits what was begun: one round trip.
    pub(super) async fn commit(
        &self,
        written: &Written,
        writer: &str,
        number: i64,
        trims: bool,
    ) -> Result<(), Failure> {
        let client = &self.client;
        let it = written.columns();
        let last_version = signed(written.last_version);
        let parameters: [&(dyn ToSql + Sync); 13] = [
            &it.versions,
            &it.previous,
            &it.namespaces,
            &it.keys,
            &it.values,
            &it.stands,
            &it.used,
            &it.records,
            &it.bytes,
            &writer,
            &number,
            &last_version,
            &self.server.schema,
        ];
        let flight = async {
            tokio::join!(
                biased;
                client.query_one(&self.write, &parameters),
                self.trim(trims),
                client.batch_execute("COMMIT"),
            )
        };
        let answers = self.bounded(flight).await.ok_or(Failure::Unknown(None))?;
        // Behind an error the server takes a `COMMIT` for a `ROLLBACK`, and answers it alike.
        let (written, trimmed, committed) = answers;
        match written.map(drop).and(trimmed).and(committed) {
            Ok(()) => Ok(()),
            Err(error) if is_lost(&error) => Err(Failure::Unknown(Some(error))),
            Err(error) => Err(Failure::Refused(error)),
        }
    }

    /// Ends what was begun without a trace.
    pub(super) async fn roll_back(&self) {
        // If it fails, the connection is gone, and the transaction with it.
        drop(self.bounded(self.client.batch_execute("ROLLBACK")).await);
    }

    /// Tells the last group of a writer that was committed. A transaction of its lost connection that has not
    /// ended yet holds the lock, so none of them can end behind this.
    ///
    /// `pg_xact_status` would be tempting, and wrong: after a crash the server gives numbers of transactions
    /// again that never reached its disk.
    pub(super) async fn settled(&self, writer: &str) -> Result<Option<i64>, Failure> {
        self.begin(&Asked::default()).await?;
        let row = self
            .bounded(self.client.query_opt(&self.settled, &[&writer]))
            .await;
        self.roll_back().await;
        match row {
            Some(Ok(row)) => Ok(row.map(|row| row.get(0))),
            failed => Err(Failure::of(failed.and_then(Result::err))),
        }
    }

    /// The changes behind a version that are still kept, or that some are not.
    pub(super) async fn news(&self, after: u64) -> Result<Changes, Failure> {
        let parameters = news_parameters(after);
        let parameters = parameters.each_ref().map(|it| it as &(dyn ToSql + Sync));
        match self
            .bounded(self.client.query(&self.news, &parameters))
            .await
        {
            Some(Ok(rows)) => Ok(linked(after, rows)),
            failed => Err(Failure::of(failed.and_then(Result::err))),
        }
    }

    async fn found(&self, asked: &Asked) -> Result<Vec<Row>, PgError> {
        if asked.keys.is_empty() {
            return Ok(Vec::new());
        }
        let (namespaces, keys) = (names(&asked.namespaces), names(&asked.keys));
        self.client.query(&self.found, &[&namespaces, &keys]).await
    }

    async fn appended(&self, asked: &Asked) -> Result<Vec<Row>, PgError> {
        if asked.prefixes.is_empty() {
            return Ok(Vec::new());
        }
        let (namespaces, prefixes) = (names(&asked.prefix_namespaces), names(&asked.prefixes));
        let parameters: [&(dyn ToSql + Sync); 3] = [&namespaces, &prefixes, &asked.versions];
        self.client.query(&self.appended, &parameters).await
    }

    async fn trim(&self, trims: bool) -> Result<(), PgError> {
        if trims {
            let (changes, bytes) = (KEPT_CHANGES as i64, KEPT_BYTES as i64);
            self.client.execute(&self.trim, &[&changes, &bytes]).await?;
        }
        Ok(())
    }

    /// Nothing, if the server is silent for longer than it may work.
    async fn bounded<T>(&self, flight: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(self.server.silence, flight).await.ok()
    }
}

fn names(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

pub(super) fn news_parameters(after: u64) -> [i64; 3] {
    [signed(after), MAX_PAGE_ENTRIES as i64, PAGE_BYTES as i64]
}

/// Follows the changes from each to the next; where one names another before it, some are missing.
pub(super) fn linked(after: u64, rows: Vec<Row>) -> Changes {
    let mut last_version = after;
    let mut found = Changes::new(Vec::new(), after);
    for row in rows {
        last_version = unsigned(row.get(0));
        let Some(version) = row.get::<_, Option<i64>>(1).map(unsigned) else {
            break;
        };
        if unsigned(row.get(2)) != found.next {
            // What was found before the gap is told first.
            let is_first = found.next == after;
            return if is_first {
                Changes::missed(last_version)
            } else {
                found
            };
        }
        found.next = version;
        if let Some(namespace) = row.get::<_, Option<&str>>(3) {
            let value: Option<Vec<u8>> = row.get(5);
            let value = value.map(Into::into);
            let change = Change::new(namespace, row.get::<_, &str>(4), version, value);
            found.changes.push(change);
        }
    }
    match found.next == after && last_version != after {
        true => Changes::missed(last_version),
        false => found,
    }
}
