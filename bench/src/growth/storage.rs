//! How storage grows with the keys that it holds: reads, writes of many at once, and pages.

use std::sync::Arc;

use anyhow::Result;
use octa_kernel::storage::{Memory, Sqlite, StorageAdapter};
use tokio::runtime::Runtime;

use super::Growth;
use crate::{
    measure::Pace,
    storage::{Disk, Load, open_postgres, serve},
};

/// The bytes of each value.
const BYTES: usize = 100;
/// How many write at the same time.
const WRITERS: u64 = 64;
const LINES: [&str; 3] = [
    "read",
    "write, of 64 writers, durable where it is a database",
    "page of 100 records",
];
const COUNTS: [usize; 5] = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
/// How many of these counts there are, in the short form and in the long one.
const SQLITE: [usize; 2] = [4, 5];
const MEMORY: [usize; 2] = [4, 4];
const POSTGRES: [usize; 2] = [3, 4];

pub(super) fn measure(is_long: bool, pace: Pace) -> Result<Vec<Growth>> {
    let disk = Disk::find()?;
    let runtime = Arc::new(Runtime::new()?);
    let counts = |of: [usize; 2]| &COUNTS[..of[usize::from(is_long)]];
    let sqlite = Sqlite::open(disk.directory.path().join("growth.db"))?;
    let mut growths = vec![
        grow(
            "storage in memory",
            &runtime,
            Memory::new(),
            counts(MEMORY),
            pace,
        )?,
        grow("SQLite", &runtime, sqlite, counts(SQLITE), pace)?,
    ];
    if let Some(server) = serve()? {
        let database = server.database("growth");
        let postgres = open_postgres(&runtime, &database.url())?;
        growths.push(grow(
            "PostgreSQL",
            &runtime,
            postgres,
            counts(POSTGRES),
            pace,
        )?);
    }
    Ok(growths)
}

fn grow(
    title: &'static str,
    runtime: &Arc<Runtime>,
    adapter: impl StorageAdapter,
    counts: &[usize],
    pace: Pace,
) -> Result<Growth> {
    let mut load = Load::new(runtime, adapter, 0, BYTES)?;
    let growth = Growth::of(title, "keys", &LINES, counts, |count| {
        load.fill(count as u64)?;
        Ok(vec![
            pace.alone(&mut |count| load.read_waiting(count)),
            pace.in_turns_longer(5)
                .alone(&mut |count| load.write(WRITERS, count)),
            pace.alone(&mut |count| load.list(count)),
        ])
    });
    load.close()?;
    growth
}
