//! What is said about a PostgreSQL server, and what it means to the client.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::error::PostgresError;

/// The longest name that PostgreSQL does not cut.
const MAX_NAME_BYTES: usize = 63;
/// Plans are made once, for tables of any size: none may be made for the empty ones that a new database has.
const PLANS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
     SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off";

/// Where a PostgreSQL database is, and how long it is waited for.
///
/// Neither [`Debug`](fmt::Debug) nor an error shows the password.
#[derive(Clone)]
pub struct PostgresConfig {
    /// The address of a server, or of a pooler in front of it that gives each connection a session of its own;
    /// without a password: `postgres://user@host:port/database?sslmode=verify-full&sslrootcert=/ca.pem`.
    ///
    /// `sslmode` is `disable`; `prefer`, which is the default and encrypts if the server can; `require`, which
    /// encrypts or fails; or `verify-full`, which besides wants a certificate for the host that one of
    /// `sslrootcert` has signed.
    pub url: String,
    /// The password, if the server wants one.
    pub password: Option<String>,
    /// The schema that everything is in; made if it is not there.
    pub schema: String,
    /// How many connections read at once. One more writes and watches; each snapshot has its own.
    pub readers: usize,
    /// Whether nobody else may have the schema open meanwhile, as where everything in it is to be replaced.
    ///
    /// It is refused while others have it, and others are refused while this one has it.
    pub exclusive: bool,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// How long the server may work on one statement, waiting for other kernels included.
    pub statement_timeout: Duration,
    /// How long a call waits in all, also for a server that is gone and may come back.
    pub patience: Duration,
}

impl PostgresConfig {
    /// Names a database; all else is as usual.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            schema: "octa".to_owned(),
            readers: 8,
            exclusive: false,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
            patience: Duration::from_secs(15),
        }
    }

    /// Gives the password.
    #[must_use]
    pub fn password(self, password: impl Into<String>) -> Self {
        let password = Some(password.into());
        Self { password, ..self }
    }

    /// Names the schema.
    #[must_use]
    pub fn schema(self, schema: impl Into<String>) -> Self {
        let schema = schema.into();
        Self { schema, ..self }
    }

    /// Keeps everybody else out, or is refused.
    #[must_use]
    pub fn exclusive(self) -> Self {
        let exclusive = true;
        Self { exclusive, ..self }
    }

    /// Understands it.
    pub(super) fn read(&self) -> Result<Meant, PostgresError> {
        let schema = self.schema.as_str();
        if schema.is_empty() || schema.len() > MAX_NAME_BYTES || schema.contains(char::is_control) {
            return Err(PostgresError::Schema {
                schema: schema.escape_debug().to_string(),
                bytes: schema.len(),
            });
        }
        let (url, encryption) = take_encryption(&self.url)?;
        let mut client: Config = url.parse().map_err(|source| invalid(Box::new(source)))?;
        if client.get_password().is_some() {
            return Err(PostgresError::PasswordInAddress);
        }
        if client.get_hosts().is_empty() {
            return Err(invalid("it names no host".into()));
        }
        if let Some(password) = &self.password {
            client.password(password);
        }
        let timeout = self.statement_timeout.as_millis();
        client
            .ssl_mode(encryption.mode())
            // Of several servers, the one that writes: what another one shows may be out of date.
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(self.connect_timeout)
            .tcp_user_timeout(self.patience)
            .keepalives_idle(self.patience);
        Ok(Meant {
            // Not among what a connection begins with: poolers refuse or ignore that.
            settings: format!("{PLANS}; SET statement_timeout = {timeout}"),
            store: store(&client),
            client,
            encryption,
            schema: schema.to_owned(),
        })
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.read().map(|meant| meant.store);
        f.debug_struct("PostgresConfig")
            .field("url", &store.as_deref().unwrap_or("<invalid>"))
            .field("schema", &self.schema)
            .field("readers", &self.readers)
            .field("exclusive", &self.exclusive)
            .field("connect_timeout", &self.connect_timeout)
            .field("statement_timeout", &self.statement_timeout)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// A configuration that was understood.
#[derive(Debug)]
pub(super) struct Meant {
    pub(super) client: Config,
    /// The statements that each connection begins with.
    pub(super) settings: String,
    pub(super) encryption: Encryption,
    pub(super) schema: String,
    /// What errors call the database.
    pub(super) store: Arc<str>,
}

/// How connections are kept from others' eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    Disable,
    Prefer,
    Require,
    /// With a file of certificates that are trusted.
    VerifyFull(PathBuf),
}

impl Encryption {
    fn mode(&self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyFull(_) => SslMode::Require,
        }
    }
}

/// Takes what the client does not know itself out of an address.
fn take_encryption(url: &str) -> Result<(String, Encryption), PostgresError> {
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|it| url.starts_with(it))
    {
        return Err(invalid("it does not begin with `postgres://`".into()));
    }
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut mode, mut roots, mut others) = (None, None, Vec::new());
    for parameter in query.split('&').filter(|it| !it.is_empty()) {
        match parameter.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", value)) => roots = Some(PathBuf::from(value)),
            _ => others.push(parameter),
        }
    }
    let encryption = match (mode.unwrap_or("prefer"), roots) {
        ("disable", None) => Encryption::Disable,
        ("prefer", None) => Encryption::Prefer,
        ("require", None) => Encryption::Require,
        ("verify-full", Some(roots)) => Encryption::VerifyFull(roots),
        (found, roots) => {
            return Err(PostgresError::Encryption {
                found: found.to_owned(),
                has_roots: roots.is_some(),
            });
        }
    };
    Ok((format!("{address}?{}", others.join("&")), encryption))
}

fn invalid(source: Box<dyn std::error::Error + Send + Sync>) -> PostgresError {
    PostgresError::Address { source }
}

/// Hosts with ports, and the database.
fn store(client: &Config) -> Arc<str> {
    let ports = client.get_ports();
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let hosts = client.get_hosts().iter().enumerate();
    let hosts = hosts.map(|(at, host)| match host {
        Host::Tcp(host) if host.contains(':') => format!("[{host}]:{}", port(at)),
        Host::Tcp(host) => format!("{host}:{}", port(at)),
        Host::Unix(directory) => format!("{}:{}", directory.display(), port(at)),
    });
    let hosts: Vec<_> = hosts.collect();
    let database = client.get_dbname().or(client.get_user()).unwrap_or("");
    format!("postgres://{}/{database}", hosts.join(",")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expect: Result<(&str, Encryption), &str>) {
        let found = PostgresConfig::new(url).password("hidden").read();
        let found = found.map(|meant| (meant.store.to_string(), meant.encryption));
        let expect = expect.map(|(store, encryption)| (store.to_owned(), encryption));
        let told = found.map_err(|error| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        });
        assert_eq!(told, expect.map_err(str::to_owned));
    }

    #[test]
    fn an_address_means_what_it_says() {
        use Encryption::*;
        let at = "postgres://octa@db:5433/home";
        let store = "postgres://db:5433/home";
        check(at, Ok((store, Prefer)));
        check(&format!("{at}?sslmode=disable"), Ok((store, Disable)));
        check(&format!("{at}?sslmode=require"), Ok((store, Require)));
        check(
            &format!("{at}?sslrootcert=/ca.pem&sslmode=verify-full"),
            Ok((store, VerifyFull("/ca.pem".into()))),
        );
        check(
            "postgresql://octa@a,b:1/",
            Ok(("postgres://a:5432,b:1/octa", Prefer)),
        );
        check(
            "postgres://octa@[::1]/",
            Ok(("postgres://[::1]:5432/octa", Prefer)),
        );
        check(
            "postgres://octa@/home?host=/run/pg&port=7",
            Ok(("postgres:///run/pg:7/home", Prefer)),
        );
    }

    #[test]
    fn says_what_an_address_lacks() {
        let invalid = "the address of the PostgreSQL server is invalid";
        check(
            "host=db",
            Err(&format!("{invalid}: it does not begin with `postgres://`")),
        );
        check(
            "postgres:///home",
            Err(&format!("{invalid}: it names no host")),
        );
        check(
            "postgres://octa:secret@db/home",
            Err("the address of the PostgreSQL server has a password in it"),
        );
        check(
            "postgres://octa@db/home?sslmode=verify-full",
            Err(
                "`sslmode` is `verify-full` without `sslrootcert`, expected `disable`, `prefer`, `require`, or `verify-full` with `sslrootcert`",
            ),
        );
        check(
            "postgres://octa@db/home?sslmode=require&sslrootcert=/ca.pem",
            Err(
                "`sslmode` is `require` with `sslrootcert`, expected `disable`, `prefer`, `require`, or `verify-full` with `sslrootcert`",
            ),
        );
    }

    #[test]
    fn a_password_is_never_shown() {
        let config = PostgresConfig::new("postgres://octa@db/home").password("hidden");
        let meant = config.read().expect("valid");
        let wrong = PostgresConfig::new("postgres://octa:hidden@db/home");
        let shown = format!("{config:?} {meant:?} {wrong:?} {:?}", wrong.read());
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
