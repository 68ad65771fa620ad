//! Who has a database: the connection of each writer holds a lock for as long as it lives, together with other
//! writers or alone.
//!
//! The server gives it back when the connection ends, however that happens.

use std::fmt;

use tokio_postgres::{Client, Row};

use super::server::Server;

type PgError = tokio_postgres::Error;

/// Why there is no connection for a writer.
#[derive(Debug)]
pub(super) enum Unopened {
    /// It cannot be had.
    Failed(PgError),
    /// Others have the database.
    InUse(Holders),
}

impl From<PgError> for Unopened {
    fn from(error: PgError) -> Self {
        Self::Failed(error)
    }
}

/// Those that have a database, in words.
#[derive(Clone, Debug, thiserror::Error)]
#[error("it is in use by {}", self.words())]
pub(super) struct Holders(Vec<Holder>);

/// As much of one as this user may know.
#[derive(Clone, Debug)]
struct Holder {
    process: String,
    place: Option<String>,
    session: i32,
}

/// Takes the lock for a new connection, or tells who has it.
pub(super) async fn claim(server: &Server, client: &Client) -> Result<(), Unopened> {
    let (schema, is_exclusive) = (&server.schema, &server.is_exclusive);
    let claimed = client
        .query_one(include_str!("sql/claim.sql"), &[schema, is_exclusive])
        .await?;
    if claimed.get(0) {
        return Ok(());
    }
    let holders = client
        .query(include_str!("sql/holders.sql"), &[schema])
        .await?;
    let holders = holders.iter().map(Holder::of).collect();
    Err(Unopened::InUse(Holders(holders)))
}

impl Holders {
    pub(super) fn words(&self) -> String {
        let words: Vec<_> = self.0.iter().map(Holder::to_string).collect();
        match words.is_empty() {
            // It ended before it was asked for.
            true => "another process".to_owned(),
            false => words.join(", "),
        }
    }

    /// The statements that end their connections.
    pub(super) fn ending(&self) -> String {
        let end = |holder: &Holder| format!("SELECT pg_terminate_backend({})", holder.session);
        let statements: Vec<_> = self.0.iter().map(end).collect();
        statements.join("; ")
    }
}

impl Holder {
    fn of(row: &Row) -> Self {
        let (host, port): (Option<&str>, Option<i32>) = (row.get(2), row.get(3));
        Self {
            process: row.get(1),
            place: match (host, port) {
                (Some(host), _) => Some(format!("at `{host}`")),
                // By the Unix socket.
                (None, Some(_)) => Some("on the server".to_owned()),
                (None, None) => None,
            },
            session: row.get(0),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.process)?;
        self.place
            .iter()
            .try_for_each(|place| write!(f, " {place}"))
    }
}
