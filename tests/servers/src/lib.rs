//! Real servers for tests: each starts in a temporary directory, can be killed and started again, and ends
//! with the process that started it, however that ends.
//!
//! What a machine lacks is not a failure: [`postgres`] gives nothing then, and adds a line to the list of what
//! was not run, which whoever runs the tests names in `OCTA_NOT_RUN`.
//!
//! ```no_run
//! let server = octa_test_servers::Postgres::start().expect("a server starts");
//! let database = server.database("orders");
//! server.kill(); // every process of it, at once
//! server.restart().expect("it starts again on what it had");
//! println!("{}", database.url());
//!
//! let proxy = octa_test_servers::Proxy::start(server.port());
//! println!("{}", database.url_through(&proxy));
//! proxy.stall(); // its connections are there, and nothing passes
//! ```
#![forbid(unsafe_code)]

mod environment;
mod postgres;
mod proxy;

pub use postgres::{Database, MissingPrograms, Postgres, StartError};
pub use proxy::{Moment, Proxy};

use std::sync::OnceLock;

/// The PostgreSQL server that the tests of a process share, each with a database of its own.
///
/// Nothing, if this machine has no PostgreSQL.
///
/// # Panics
///
/// If it is there and does not start.
pub fn postgres() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(own_postgres).as_ref()
}

/// A PostgreSQL server for one test alone, which may kill it.
///
/// Nothing, if this machine has no PostgreSQL.
///
/// # Panics
///
/// If it is there and does not start.
pub fn own_postgres() -> Option<Postgres> {
    match Postgres::start() {
        Ok(server) => Some(server),
        Err(StartError::Missing(missing)) => {
            eprintln!("not run: {missing}");
            environment::tell_not_run(
                "storage on PostgreSQL (install Debian's `postgresql-15`, or name its programs' directory in `OCTA_POSTGRES_BIN`)",
            );
            None
        }
        Err(error) => panic!("{error}"),
    }
}
