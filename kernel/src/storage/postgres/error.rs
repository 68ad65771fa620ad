//! What goes wrong between a kernel and its PostgreSQL server, in words for whoever runs them.

use std::error::Error;
use std::sync::Arc;

use tokio_postgres::error::SqlState;

use super::super::{StorageError, Trouble};

/// Why a PostgreSQL database was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The address is no address.
    #[error("the address of the PostgreSQL server is invalid")]
    Address {
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The address has a password in it, where it would be shown.
    #[error("the address of the PostgreSQL server has a password in it")]
    PasswordInAddress,
    /// The address asks for an encryption that does not exist.
    #[error(
        "`sslmode` is `{found}` {} `sslrootcert`, expected `disable`, `prefer`, `require`, or `verify-full` with `sslrootcert`",
        if *has_roots { "with" } else { "without" }
    )]
    Encryption {
        /// What it asks for.
        found: String,
        /// Whether it names certificates too.
        has_roots: bool,
    },
    /// The certificates to trust cannot be read.
    #[error("cannot read the certificates to trust from `{path}`")]
    Certificates {
        /// The file.
        path: String,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The schema has no name for one.
    #[error(
        "the schema `{schema}` has {bytes} bytes or a control character, expected 1 to 63 bytes without"
    )]
    Schema {
        /// Its name.
        schema: String,
        /// How long it is.
        bytes: usize,
    },
    /// No server answers there.
    #[error("the PostgreSQL server of `{store}` cannot be reached")]
    Unreachable {
        /// The database, with the host and the port.
        store: Arc<str>,
        /// The reason.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection could not be encrypted as asked for.
    #[error("the connection to `{store}` cannot be encrypted as `sslmode` asks")]
    Tls {
        /// The database.
        store: Arc<str>,
        /// The reason.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server does not take the user or the password.
    #[error("the PostgreSQL server of `{store}` refused the user `{user}` or the password")]
    Credentials {
        /// The database.
        store: Arc<str>,
        /// The user.
        user: String,
        /// The server's words.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The server wants a password, and there is none.
    #[error(
        "the PostgreSQL server of `{store}` wants a password of the user `{user}`, and none is given"
    )]
    NoPassword {
        /// The database.
        store: Arc<str>,
        /// The user.
        user: String,
    },
    /// The server has no such database.
    #[error("the PostgreSQL server has no database for `{store}`")]
    NoDatabase {
        /// The database.
        store: Arc<str>,
        /// What creates it.
        create: String,
    },
    /// The database does not hold UTF-8.
    #[error("the database `{store}` has the encoding `{found}`, expected `UTF8`")]
    Encoding {
        /// The database.
        store: Arc<str>,
        /// Its encoding.
        found: String,
    },
    /// The user may not do what storage needs.
    #[error("the user `{user}` lacks a right in `{store}`: {right}")]
    MissingRight {
        /// The database.
        store: Arc<str>,
        /// The user.
        user: String,
        /// What is missing.
        right: String,
        /// The statements that grant it.
        grant: String,
    },
    /// A newer kernel wrote it.
    #[error(
        "the schema `{schema}` in `{store}` has format {found}, this kernel reads formats up to {known}"
    )]
    NewerFormat {
        /// The database.
        store: Arc<str>,
        /// The schema.
        schema: String,
        /// Its format.
        found: i32,
        /// The newest that is known here.
        known: i32,
    },
    /// A pooler is in the way that gives one session to several connections.
    #[error(
        "the PostgreSQL server of `{store}` is behind a pooler that lets several connections share a session, expected one for each"
    )]
    SharedSession {
        /// The database.
        store: Arc<str>,
    },
    /// Others have it, and it was to be had alone; or the other way round.
    #[error("the database `{store}` is in use by {holders}")]
    InUse {
        /// The database.
        store: Arc<str>,
        /// Their processes, and where they run if this user may know it.
        holders: String,
        /// The statements that end their connections.
        end: String,
    },
    /// The server refused something else.
    #[error("cannot {what} in `{store}`")]
    Refused {
        /// The database.
        store: Arc<str>,
        /// What was tried.
        what: &'static str,
        /// The server's words.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl PostgresError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Address { .. } => "write it like `postgres://user@host:5432/database`".to_owned(),
            Self::PasswordInAddress => "give the password apart from the address".to_owned(),
            Self::Unreachable { store, .. } => {
                format!(
                    "check that the server runs and listens there, and that nothing is in the way to `{store}`"
                )
            }
            Self::Tls { .. } => {
                "check the certificate of the server, and that it has `ssl = on`".to_owned()
            }
            Self::Credentials { user, .. } => {
                format!("check the password, and what `pg_hba.conf` of the server says of `{user}`")
            }
            Self::NoPassword { .. } => "write `password = { file = \"…\" }` beside the address in `[storage]`, or set \
                                        `PGPASSWORD` for an address on the command line"
                .to_owned(),
            Self::NoDatabase { create, .. } => format!("create it: {create}"),
            Self::Encoding { .. } => {
                "create the database with `ENCODING 'UTF8' TEMPLATE template0`".to_owned()
            }
            Self::MissingRight { grant, .. } => format!("let an owner grant it: {grant}"),
            Self::NewerFormat { .. } => "use the newer kernel, or name another schema".to_owned(),
            Self::SharedSession { .. } => {
                "let the pooler give each connection a session (`pool_mode = session`), or name the server itself"
                    .to_owned()
            }
            Self::InUse { end, .. } if end.is_empty() => "try again".to_owned(),
            Self::InUse { end, .. } => format!(
                "stop what runs there, or wait until it is done; to end the connection of one that is gone: {end}"
            ),
            _ => return None,
        })
    }
}

/// Puts a name into a statement.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The words of the server itself, where an error has them.
pub(super) fn words(error: tokio_postgres::Error) -> Box<dyn Error + Send + Sync> {
    match error.as_db_error() {
        Some(said) => Box::new(said.clone()),
        None => Box::new(error),
    }
}

/// Whether the connection is gone, or none could be had, and another may do better.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        return !error.to_string().starts_with("error serializing");
    };
    let gone = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
    ];
    gone.contains(code) || code.code().starts_with("08")
}

/// What kind of trouble an error means.
pub(super) fn trouble(error: &tokio_postgres::Error) -> Trouble {
    let Some(code) = error.code() else {
        return match is_without_password(error) {
            true => Trouble::Credentials,
            false => Trouble::Unreachable,
        };
    };
    if is_lost(error) {
        return Trouble::Unreachable;
    }
    match code.code() {
        "53100" => Trouble::Full,
        "42501" => Trouble::Permission,
        "57014" => Trouble::Timeout,
        "55P03" => Trouble::Busy,
        code if code.starts_with("28") => Trouble::Credentials,
        code if code.starts_with("XX") => Trouble::Corrupt,
        code if code.starts_with("58") => Trouble::Io,
        _ => Trouble::Other,
    }
}

/// The server wants a password, and there is none.
pub(super) fn is_without_password(error: &tokio_postgres::Error) -> bool {
    let source = error.source().map(ToString::to_string);
    error.code().is_none() && source.as_deref() == Some("password missing")
}

pub(super) fn unavailable(store: &Arc<str>, error: tokio_postgres::Error) -> StorageError {
    StorageError::Unavailable {
        store: store.clone(),
        trouble: trouble(&error),
        source: words(error).into(),
    }
}

/// The server said nothing for longer than it may work.
#[derive(Debug, thiserror::Error)]
#[error("the server is silent")]
pub(super) struct Silent;

/// A write that was given up.
#[derive(Debug, thiserror::Error)]
pub(super) enum GivenUp {
    /// It was not begun, or is known not to have been applied.
    #[error("nothing was written")]
    NotWritten {
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
    /// It was under way.
    #[error("the server was lost in a write: it is not known whether it was done")]
    Unknown {
        source: Option<Arc<dyn Error + Send + Sync>>,
    },
}
