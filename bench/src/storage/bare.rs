//! The floor: the bare database with a table of the same columns, prepared statements, and one write after another.

use std::{
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Result;
use octa_kernel::Payload;
use rusqlite::Connection;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};

use super::load::{NAMESPACE, key, value};
use crate::measure::timed;

const PUT: &str = "INSERT INTO bare (namespace, key, version, value) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET version = excluded.version, value = excluded.value";
const GET: &str = "SELECT version, value FROM bare WHERE namespace = ?1 AND key = ?2";
const LIST: &str = "SELECT key, version, value FROM bare
    WHERE namespace = ?1 AND key > ?2 ORDER BY key LIMIT 100";

/// One connection of rusqlite: WAL, `synchronous=FULL`, one transaction a write.
pub(super) struct BareSqlite {
    connection: Connection,
    keys: u64,
    value: Payload,
    done: u64,
}

impl BareSqlite {
    pub(super) fn new(path: &Path, keys: u64, bytes: usize) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE bare (namespace TEXT, key TEXT, version INTEGER, value BLOB,
                 PRIMARY KEY (namespace, key)) WITHOUT ROWID;
             CREATE TABLE marks (key TEXT PRIMARY KEY) WITHOUT ROWID;
             CREATE TABLE events (id INTEGER PRIMARY KEY, value BLOB);
             BEGIN",
        )?;
        let mut bare = Self {
            connection,
            keys,
            value: value(bytes),
            done: 0,
        };
        (0..keys).try_for_each(|number| bare.put(number))?;
        bare.connection.execute_batch("COMMIT")?;
        Ok(bare)
    }

    fn put(&mut self, number: u64) -> rusqlite::Result<()> {
        let key = key(number, self.keys);
        let row = (NAMESPACE, key, number.cast_signed(), &*self.value);
        self.connection.prepare_cached(PUT)?.execute(row)?;
        Ok(())
    }

    pub(super) fn write(&mut self, count: u64) -> Duration {
        timed(count, || {
            self.done += 1;
            self.put(self.done).expect("the database takes it");
        })
    }

    /// What a fact of the journal is: it, a mark for its key, and its event.
    pub(super) fn record(&mut self, count: u64) -> Duration {
        timed(count, || {
            self.done += 1;
            self.put_three(self.done).expect("the database takes it");
        })
    }

    fn put_three(&mut self, number: u64) -> rusqlite::Result<()> {
        let number = number.cast_signed();
        let key = format!("fact-{number:012}");
        let transaction = self.connection.transaction()?;
        let row = (NAMESPACE, &key, number, &*self.value);
        transaction.prepare_cached(PUT)?.execute(row)?;
        let mark = "INSERT INTO marks (key) VALUES (?1)";
        transaction.prepare_cached(mark)?.execute([&key])?;
        let event = "INSERT INTO events (id, value) VALUES (?1, ?2)";
        transaction
            .prepare_cached(event)?
            .execute((number, &*self.value))?;
        transaction.commit()
    }

    pub(super) fn read(&mut self, count: u64) -> Duration {
        let (connection, keys) = (&self.connection, self.keys);
        let mut number = self.done;
        self.done += count;
        let mut get = connection.prepare(GET).expect("it is a statement");
        timed(count, || {
            let record = get.query_one((NAMESPACE, key(number, keys)), |row| {
                let value = row.get_ref(1)?.as_blob()?;
                Ok((row.get::<_, i64>(0)?, Payload::copy_from_slice(value)))
            });
            drop(black_box(record.expect("it was written")));
            number += 1;
        })
    }

    pub(super) fn list(&mut self, count: u64) -> Duration {
        let (connection, keys) = (&self.connection, self.keys);
        let mut number = self.done;
        self.done += count;
        let mut list = connection.prepare(LIST).expect("it is a statement");
        timed(count, || {
            let rows = list.query_map((NAMESPACE, key(number, keys)), |row| {
                let value = Payload::copy_from_slice(row.get_ref(2)?.as_blob()?);
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, value))
            });
            let rows = rows.and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
            drop(black_box(rows.expect("the database answers")));
            number += 1;
        })
    }
}

/// One connection of tokio-postgres, one statement a write.
pub(super) struct BarePostgres<'a> {
    runtime: &'a Runtime,
    client: Client,
    statements: [Statement; 3],
    keys: u64,
    value: Payload,
    done: u64,
}

impl<'a> BarePostgres<'a> {
    pub(super) fn new(runtime: &'a Runtime, url: &str, keys: u64, bytes: usize) -> Result<Self> {
        let value = value(bytes);
        let opened = runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
            runtime.spawn(connection);
            let table = "CREATE TABLE bare (namespace TEXT COLLATE \"C\", key TEXT COLLATE \"C\",
                version BIGINT, value BYTEA, PRIMARY KEY (namespace, key))";
            client.batch_execute(table).await?;
            let put = "INSERT INTO bare (namespace, key, version, value) VALUES ($1, $2, $3, $4)
                ON CONFLICT (namespace, key)
                DO UPDATE SET version = excluded.version, value = excluded.value";
            let get = "SELECT version, value FROM bare WHERE namespace = $1 AND key = $2";
            let list = "SELECT key, version, value FROM bare
                WHERE namespace = $1 AND key > $2 ORDER BY key LIMIT 100";
            let statements = [
                client.prepare(put).await?,
                client.prepare(get).await?,
                client.prepare(list).await?,
            ];
            client.batch_execute("BEGIN").await?;
            for number in 0..keys {
                put_one(&client, &statements[0], &key(number, keys), number, &value).await?;
            }
            client.batch_execute("COMMIT; ANALYZE bare").await?;
            anyhow::Ok((client, statements))
        });
        let (client, statements) = opened?;
        Ok(Self {
            runtime,
            client,
            statements,
            keys,
            value,
            done: 0,
        })
    }

    pub(super) fn write(&mut self, count: u64) -> Duration {
        let first = self.done;
        self.done += count;
        self.runtime.block_on(async {
            let began = Instant::now();
            for number in first..first + count {
                let key = key(number, self.keys);
                let put = put_one(&self.client, &self.statements[0], &key, number, &self.value);
                put.await.expect("the database takes it");
            }
            began.elapsed()
        })
    }

    pub(super) fn read(&mut self, count: u64) -> Duration {
        let first = self.done;
        self.done += count;
        self.runtime.block_on(async {
            let began = Instant::now();
            for number in first..first + count {
                let key = key(number, self.keys);
                let row = self
                    .client
                    .query_one(&self.statements[1], &[&NAMESPACE, &key])
                    .await;
                let row = row.expect("it was written");
                let value = Payload::copy_from_slice(row.get::<_, &[u8]>(1));
                drop(black_box((row.get::<_, i64>(0), value)));
            }
            began.elapsed()
        })
    }

    pub(super) fn list(&mut self, count: u64) -> Duration {
        let first = self.done;
        self.done += count;
        self.runtime.block_on(async {
            let began = Instant::now();
            for number in first..first + count {
                let key = key(number, self.keys);
                let rows = self
                    .client
                    .query(&self.statements[2], &[&NAMESPACE, &key])
                    .await;
                let rows = rows.expect("the database answers");
                let rows = rows.iter().map(|row| {
                    let value = Payload::copy_from_slice(row.get::<_, &[u8]>(2));
                    (row.get::<_, String>(0), row.get::<_, i64>(1), value)
                });
                drop(black_box(rows.collect::<Vec<_>>()));
            }
            began.elapsed()
        })
    }
}

async fn put_one(
    client: &Client,
    put: &Statement,
    key: &str,
    number: u64,
    value: &[u8],
) -> Result<u64, tokio_postgres::Error> {
    let version = number.cast_signed();
    client
        .execute(put, &[&NAMESPACE, &key, &version, &value])
        .await
}
