//! Everything as it is at one moment, over a connection of its own.

use std::time::Duration;

use tokio_postgres::{Client, Row, Statement};

use super::super::change::Change;
use super::super::check::MAX_PAGE_ENTRIES;
use super::super::record::PAGE_BYTES;
use super::super::{BoxFuture, Snapshot, StorageError};
use super::error::unavailable;
use super::known::unsigned;
use super::server::Server;
use super::within::Within;

type PgError = tokio_postgres::Error;

/// A transaction that sees what was committed when it began, for as long as it is open.
pub(super) struct Taken {
    client: Client,
    server: Server,
    page: Statement,
    within: Within,
    last_version: u64,
    records: u64,
    /// The last record that was read.
    behind: (String, String),
}

impl Taken {
    pub(super) async fn begin(server: Server, within: Within) -> Result<Self, PgError> {
        let (client, _) = server.connect("octa snapshot").await?;
        // Whoever reads it may take its time.
        let patient = "SET idle_in_transaction_session_timeout = 0";
        client.batch_execute(patient).await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        client.batch_execute(begin).await?;
        let contents = server.sql(include_str!("sql/contents.sql"));
        let contents = client.query_one(&contents, &[]).await?;
        let page = server.sql(include_str!("sql/snapshot.sql"));
        Ok(Self {
            page: client.prepare(&page).await?,
            last_version: unsigned(contents.get(0)),
            records: unsigned(contents.get(1)),
            behind: Default::default(),
            client,
            server,
            within,
        })
    }

    async fn read(&self) -> Result<Vec<Row>, PgError> {
        let (namespace, key) = &self.behind;
        let (entries, bytes) = (MAX_PAGE_ENTRIES as i64, PAGE_BYTES as i64);
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
            [namespace, key, &entries, &bytes];
        self.client.query(&self.page, &parameters).await
    }
}

impl Snapshot for Taken {
    fn last_version(&self) -> u64 {
        self.last_version
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Change>, StorageError>> {
        let (within, silence): (_, Duration) = (self.within.clone(), self.server.silence);
        within.run(Box::pin(async move {
            let store = self.server.store.clone();
            let rows = match tokio::time::timeout(silence, self.read()).await {
                Ok(rows) => rows.map_err(|error| unavailable(&store, error))?,
                Err(_) => return Err(self.server.silent()),
            };
            if let Some(last) = rows.last() {
                self.behind = (last.get(0), last.get(1));
            }
            Ok(rows.iter().map(change).collect())
        }))
    }
}

fn change(row: &Row) -> Change {
    let value: Vec<u8> = row.get(3);
    let (namespace, key): (&str, &str) = (row.get(0), row.get(1));
    Change::new(namespace, key, unsigned(row.get(2)), Some(value.into()))
}
