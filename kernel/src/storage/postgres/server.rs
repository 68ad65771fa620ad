//! The way to one server: connections to it, and the statements for the schema.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, SimpleQueryMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::{StorageError, Trouble};
use super::claim::Unopened;
use super::config::{Meant, PostgresConfig};
use super::error::{self, GivenUp, PostgresError, Silent, quoted};
use super::tls;

/// A server, a database on it, and a schema there.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) config: Config,
    pub(super) settings: String,
    pub(super) tls: MakeRustlsConnect,
    pub(super) schema: String,
    pub(super) store: Arc<str>,
    /// Whether nobody else may have the schema.
    pub(super) is_exclusive: bool,
    /// Longer than the server works on anything that is sent at once.
    pub(super) silence: Duration,
    pub(super) patience: Duration,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Server");
        shown
            .field("store", &self.store)
            .field("schema", &self.schema);
        shown.finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(config: &PostgresConfig) -> Result<Self, PostgresError> {
        let Meant {
            client,
            settings,
            encryption,
            schema,
            store,
        } = config.read()?;
        Ok(Self {
            tls: tls::connector(&encryption)?,
            config: client,
            settings,
            schema,
            store,
            is_exclusive: config.exclusive,
            silence: config.statement_timeout + config.connect_timeout,
            patience: config.patience,
        })
    }

    /// A statement about the tables of the schema.
    pub(super) fn sql(&self, text: &str) -> String {
        text.replace("{schema}", &quoted(&self.schema))
    }

    /// The user that the server is told.
    pub(super) fn user(&self) -> &str {
        self.config.get_user().unwrap_or("")
    }

    /// Opens a connection under a name. What it is told of is a version; its end is the end of the connection.
    pub(super) async fn connect(
        &self,
        name: &str,
    ) -> Result<(Client, watch::Receiver<u64>), tokio_postgres::Error> {
        let mut config = self.config.clone();
        config.application_name(name);
        let (client, connection) = config.connect(self.tls.clone()).await?;
        let (tell, told) = watch::channel(0);
        tokio::spawn(listen(connection, tell));
        client.batch_execute(&self.settings).await?;
        Ok((client, told))
    }

    /// Opens the first connection. Refuses a pooler that gives one session to several connections: what a lock, a
    /// setting or a `LISTEN` is made on would be anybody's.
    pub(super) async fn first(&self) -> Result<Client, PostgresError> {
        let failed = |error| self.opening("connect", error);
        let (first, _) = self.connect("octa").await.map_err(failed)?;
        let (second, _) = self.connect("octa").await.map_err(failed)?;
        // One that is busy may give it two by chance: it is not noticed then.
        match share_session(&first, &second).await.map_err(failed)? {
            true => Err(PostgresError::SharedSession {
                store: self.store.clone(),
            }),
            false => Ok(first),
        }
    }

    /// The server does not answer.
    pub(super) fn silent(&self) -> StorageError {
        StorageError::Unavailable {
            store: self.store.clone(),
            trouble: Trouble::Timeout,
            source: Arc::new(Silent),
        }
    }

    /// A write that nobody waits for any more: why, and what is known of it.
    pub(super) fn given_up(&self, lost: Option<StorageError>, is_known: bool) -> StorageError {
        let (trouble, source) = match lost {
            Some(StorageError::Unavailable {
                trouble, source, ..
            }) => (trouble, Some(source)),
            _ => (Trouble::Timeout, None),
        };
        let source = match is_known {
            true => GivenUp::NotWritten { source },
            false => GivenUp::Unknown { source },
        };
        StorageError::Unavailable {
            store: self.store.clone(),
            trouble,
            source: Arc::new(source),
        }
    }

    /// What an error means where the database is to be opened.
    pub(super) fn opening(
        &self,
        what: &'static str,
        error: tokio_postgres::Error,
    ) -> PostgresError {
        let store = self.store.clone();
        let user = self.user().to_owned();
        let code = error.code().map(|code| code.code().to_owned());
        let is_tls = error.to_string() == "error performing TLS handshake";
        let is_without = error::is_without_password(&error);
        let is_lost = error::is_lost(&error);
        let source = error::words(error);
        match code.as_deref() {
            Some(code) if code.starts_with("28") => PostgresError::Credentials {
                store,
                user,
                source,
            },
            Some("3D000") => {
                let database = self.config.get_dbname().unwrap_or(&user);
                let create = format!(
                    "CREATE DATABASE {} OWNER {}",
                    quoted(database),
                    quoted(&user)
                );
                PostgresError::NoDatabase { store, create }
            }
            Some("42501") => self.missing(what, &source.to_string()),
            None if is_without => PostgresError::NoPassword { store, user },
            None if is_tls => PostgresError::Tls { store, source },
            _ if is_lost => PostgresError::Unreachable { store, source },
            _ => PostgresError::Refused {
                store,
                what,
                source,
            },
        }
    }

    /// Why there is no connection for a writer that had one.
    pub(super) fn unopened(&self, error: Unopened) -> StorageError {
        match error {
            Unopened::Failed(error) => error::unavailable(&self.store, error),
            Unopened::InUse(holders) => StorageError::Unavailable {
                store: self.store.clone(),
                trouble: Trouble::Busy,
                source: Arc::new(holders),
            },
        }
    }

    /// Why there is no connection for the first writer.
    pub(super) fn beginning(&self, error: Unopened) -> PostgresError {
        match error {
            Unopened::Failed(error) => self.opening("begin to write", error),
            Unopened::InUse(holders) => PostgresError::InUse {
                store: self.store.clone(),
                holders: holders.words(),
                end: holders.ending(),
            },
        }
    }

    /// The right that an attempt was refused for.
    fn missing(&self, what: &'static str, said: &str) -> PostgresError {
        let database = quoted(self.config.get_dbname().unwrap_or(self.user()));
        let (user, schema) = (quoted(self.user()), quoted(&self.schema));
        let grant = match what {
            "connect" => format!("GRANT CONNECT ON DATABASE {database} TO {user}"),
            "create the schema" => format!("GRANT CREATE ON DATABASE {database} TO {user}"),
            "migrate the schema" => {
                format!("ALTER SCHEMA {schema} OWNER TO {user}, and the tables in it")
            }
            "read the format of the schema" => {
                format!("GRANT SELECT ON {schema}.\"format\" TO {user}")
            }
            _ => format!("GRANT USAGE ON SCHEMA {schema} TO {user}"),
        };
        PostgresError::MissingRight {
            store: self.store.clone(),
            user: self.user().to_owned(),
            right: said.to_owned(),
            grant,
        }
    }
}

/// Whether the server does what two connections ask for in one session. Nothing is prepared for that: a session may
/// have a statement of this name by somebody else.
async fn share_session(first: &Client, second: &Client) -> Result<bool, tokio_postgres::Error> {
    let process = async |client: &Client| {
        let answers = client.simple_query("SELECT pg_backend_pid()").await?;
        let mut rows = answers.iter().filter_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        Ok(rows.next())
    };
    Ok(process(first).await? == process(second).await?)
}

/// Moves what goes over a connection until it ends.
async fn listen<S>(mut connection: Connection<Socket, S>, tell: watch::Sender<u64>)
where
    S: tokio_postgres::tls::TlsStream + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
        if let AsyncMessage::Notification(note) = message
            && let Ok(version) = note.payload().parse()
        {
            tell.send_replace(version);
        }
    }
}

#[cfg(test)]
mod tests {
    use octa_test_servers::postgres;

    use super::*;

    #[tokio::test]
    async fn a_session_that_two_connections_share_is_seen() {
        let Some(server) = postgres() else { return };
        let database = server.database("share");
        let server = Server::new(&PostgresConfig::new(database.url())).expect("a valid address");
        let client = server.first().await.expect("each has its own");
        assert!(share_session(&client, &client).await.expect("it answers"));
    }
}
