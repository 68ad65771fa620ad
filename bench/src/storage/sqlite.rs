//! SQLite, beside rusqlite alone.

use std::sync::Arc;

use anyhow::Result;
use octa_kernel::storage::Sqlite;
use tokio::runtime::Runtime;

use super::{Disk, KEYS, LARGE, Load, SMALL, bare::BareSqlite};
use crate::report::{Goal, Report, Subject};

const FLOOR: &str = "rusqlite, one connection, WAL, synchronous=FULL, one transaction a write";
const READ: &str = "rusqlite prepared read, inline";
const LIST: &str = "rusqlite prepared statement, inline";

/// Writers, the bytes of their values, what that is, and how many times as fast as the floor.
const WRITES: [(u64, usize, &str, Option<f64>); 6] = [
    (1, SMALL, "SQLite, durable write of 100 B, 1 writer", None),
    (8, SMALL, "SQLite, durable write of 100 B, 8 writers", None),
    (
        64,
        SMALL,
        "SQLite, durable write of 100 B, 64 writers",
        Some(20.0),
    ),
    (1, LARGE, "SQLite, durable write of 10 kB, 1 writer", None),
    (8, LARGE, "SQLite, durable write of 10 kB, 8 writers", None),
    (
        64,
        LARGE,
        "SQLite, durable write of 10 kB, 64 writers",
        None,
    ),
];
const READS: [(usize, &str, &str); 2] = [
    (
        SMALL,
        "SQLite, read of 100 B",
        "SQLite, page of 100 records of 100 B",
    ),
    (
        LARGE,
        "SQLite, read of 10 kB",
        "SQLite, page of 100 records of 10 kB",
    ),
];

pub(super) fn measure(disk: &Disk, report: &mut Report) -> Result<()> {
    for bytes in [SMALL, LARGE] {
        measure_with(bytes, disk, report)?;
    }
    Ok(())
}

fn measure_with(bytes: usize, disk: &Disk, report: &mut Report) -> Result<()> {
    let subjects: Vec<_> = subjects(bytes, disk).collect();
    if !subjects.iter().any(|(_, subject)| report.wants(subject)) {
        return Ok(());
    }
    let runtime = Arc::new(Runtime::new()?);
    let place = |name: &str| disk.directory.path().join(format!("{name}-{bytes}.db"));
    let mut bare = BareSqlite::new(&place("bare"), KEYS, bytes)?;
    let mut ours = Load::new(&runtime, Sqlite::open(place("ours"))?, KEYS, bytes)?;
    for (how, subject) in subjects {
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
                pace.in_fewer_turns(4),
                &mut |count| bare.read(count),
                &mut |count| ours.read(count),
            ),
            How::List => report.row(
                subject,
                pace.in_fewer_turns(6),
                &mut |count| bare.list(count),
                &mut |count| ours.list(count),
            ),
        }
    }
    ours.close()
}

#[derive(Debug, Clone, Copy)]
enum How {
    Write(u64),
    Read,
    List,
}

/// The rows with values of so many bytes: reads first, of what was written in one go.
fn subjects(bytes: usize, disk: &Disk) -> impl Iterator<Item = (How, Subject)> {
    let reads = READS.into_iter().filter(move |(of, ..)| *of == bytes);
    let reads = reads.flat_map(|(_, read, list)| {
        let (reach, told) = (Goal::AtMost(1.3), Goal::Told);
        [
            (How::Read, read, READ, reach),
            (How::List, list, LIST, told),
        ]
    });
    let writes = WRITES.into_iter().filter(move |(_, of, ..)| *of == bytes);
    let writes = writes.map(|(writers, _, what, least)| {
        let goal = least.map_or(Goal::Told, |least| disk.goal(least));
        (How::Write(writers), what, FLOOR, goal)
    });
    reads
        .chain(writes)
        .map(|(how, what, floor, goal)| (how, Subject { what, floor, goal }))
}
