//! PostgreSQL, beside tokio-postgres alone, on a server of its own; left out where this machine has none.

use std::sync::Arc;

use anyhow::Result;
use octa_kernel::storage::{Postgres, PostgresConfig};
use octa_test_servers::{Postgres as Server, StartError};
use tokio::runtime::Runtime;

use super::{KEYS, LARGE, Load, SMALL, bare::BarePostgres};
use crate::report::{Goal, Report, Subject};

const FLOOR: &str = "tokio-postgres, one connection, one statement a write";
const READ: &str = "tokio-postgres prepared read";
const LIST: &str = "tokio-postgres prepared statement";

/// How it is used, with values of how many bytes.
const ROWS: [(How, usize, Subject); 10] = [
    (How::Read, SMALL, told("PostgreSQL, read of 100 B", READ)),
    (
        How::List,
        SMALL,
        told("PostgreSQL, page of 100 records of 100 B", LIST),
    ),
    (
        How::Write(1),
        SMALL,
        told("PostgreSQL, durable write of 100 B, 1 writer", FLOOR),
    ),
    (
        How::Write(8),
        SMALL,
        told("PostgreSQL, durable write of 100 B, 8 writers", FLOOR),
    ),
    (
        How::Write(64),
        SMALL,
        told("PostgreSQL, durable write of 100 B, 64 writers", FLOOR),
    ),
    (How::Read, LARGE, told("PostgreSQL, read of 10 kB", READ)),
    (
        How::List,
        LARGE,
        told("PostgreSQL, page of 100 records of 10 kB", LIST),
    ),
    (
        How::Write(1),
        LARGE,
        told("PostgreSQL, durable write of 10 kB, 1 writer", FLOOR),
    ),
    (
        How::Write(8),
        LARGE,
        told("PostgreSQL, durable write of 10 kB, 8 writers", FLOOR),
    ),
    (
        How::Write(64),
        LARGE,
        told("PostgreSQL, durable write of 10 kB, 64 writers", FLOOR),
    ),
];

#[derive(Debug, Clone, Copy)]
enum How {
    Write(u64),
    Read,
    List,
}

const fn told(what: &'static str, floor: &'static str) -> Subject {
    Subject {
        what,
        floor,
        goal: Goal::Told,
    }
}

/// A server, if this machine has one.
pub(crate) fn serve() -> Result<Option<Server>> {
    match Server::start() {
        Ok(server) => Ok(Some(server)),
        Err(StartError::Missing(missing)) => {
            eprintln!("warning: PostgreSQL is left out: {missing}");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The adapter on a database of a server.
pub(crate) fn open(runtime: &Runtime, url: &str) -> Result<Postgres> {
    Ok(runtime.block_on(Postgres::open(PostgresConfig::new(url)))?)
}

pub(super) fn measure(report: &mut Report) -> Result<()> {
    if !ROWS.iter().any(|(.., subject)| report.wants(subject)) {
        return Ok(());
    }
    let Some(server) = serve()? else {
        return Ok(());
    };
    [SMALL, LARGE]
        .into_iter()
        .try_for_each(|bytes| measure_with(bytes, &server, report))
}

fn measure_with(bytes: usize, server: &Server, report: &mut Report) -> Result<()> {
    let runtime = Arc::new(Runtime::new()?);
    let database = server.database("bench");
    let mut bare = BarePostgres::new(&runtime, &database.url(), KEYS, bytes)?;
    let adapter = open(&runtime, &database.url())?;
    let mut ours = Load::new(&runtime, adapter, KEYS, bytes)?;
    for (how, _, subject) in ROWS.into_iter().filter(|(_, of, _)| *of == bytes) {
        let pace = report.pace();
        match how {
            How::Write(writers) => report.row(
                subject,
                pace.in_turns_longer(10).in_fewer_turns(3),
                &mut |count| bare.write(count),
                &mut |count| ours.write(writers, count),
            ),
            How::Read => report.row(
                subject,
                pace.in_fewer_turns(6),
                &mut |count| bare.read(count),
                &mut |count| ours.read_waiting(count),
            ),
            How::List => report.row(
                subject,
                pace.in_fewer_turns(8),
                &mut |count| bare.list(count),
                &mut |count| ours.list(count),
            ),
        }
    }
    ours.close()
}
