//! Where the databases lie, and how long one sync takes there.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::fs::statfs;
use tempfile::TempDir;

use crate::{
    measure::quartiles,
    report::{Figures, Goal, Report, Subject},
    table::Unit,
};

/// A file system that never syncs, since it is memory.
const TMPFS: i64 = 0x0102_1994;
/// How often a sync is measured.
const SYNCS: usize = 50;
/// From here on writes wait for the disk more than for the processor.
const SLOW: Duration = Duration::from_micros(200);
const PAGE: [u8; 4096] = [b'x'; 4096];

const SYNC: Subject = Subject {
    what: "one sync of 4 KiB appended, where the databases lie",
    floor: "",
    goal: Goal::Told,
};

/// A place for databases.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) directory: TempDir,
    sync: Duration,
}

impl Disk {
    /// A fresh directory beside this program, which is on a disk more often than the system's temporary one.
    pub(crate) fn find() -> Result<Self> {
        let program = std::env::current_exe()?;
        let beside = program.parent().context("a program is in a directory")?;
        let directory = TempDir::with_prefix_in("storage-", beside)?;
        if is_memory(directory.path())? {
            eprintln!(
                "warning: `{}` is in memory: nothing here is durable",
                directory.path().display()
            );
        }
        let sync = one_sync(directory.path())?;
        Ok(Self { directory, sync })
    }

    /// What is meant to be reached with many writers, where it is the disk that they wait for.
    pub(crate) fn goal(&self, least: f64) -> Goal {
        match self.sync >= SLOW {
            true => Goal::AtLeast(least),
            false => Goal::Told,
        }
    }

    pub(super) fn measure(&self, report: &mut Report) -> Result<()> {
        let nanos = self.sync.as_secs_f64() * 1e9;
        report.enter(SYNC, Figures::amount(Unit::Nanoseconds, nanos));
        Ok(())
    }
}

fn is_memory(directory: &Path) -> Result<bool> {
    #[expect(
        clippy::useless_conversion,
        reason = "its type differs between processors"
    )]
    Ok(i64::from(statfs(directory)?.f_type) == TMPFS)
}

fn one_sync(directory: &Path) -> Result<Duration> {
    let mut file = File::create(directory.join("sync"))?;
    let mut took = Vec::new();
    for _ in 0..SYNCS {
        file.write_all(&PAGE)?;
        let began = Instant::now();
        file.sync_data()?;
        took.push(began.elapsed().as_secs_f64());
    }
    Ok(Duration::from_secs_f64(quartiles(took)[1]))
}
