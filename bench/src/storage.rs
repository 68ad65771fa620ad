//! Storage: durable writes of few and of many, reads and lists, each beside the bare database; and what an idle
//! kernel with its database holds of the memory.

mod bare;
mod disk;
mod idle;
mod journal;
mod load;
mod memory;
mod postgres;
mod sqlite;

use std::path::Path;

use anyhow::Result;

use crate::report::Report;

pub(crate) use disk::Disk;
pub(crate) use load::{Load, key, value};
pub(crate) use postgres::{open as open_postgres, serve};

/// How many keys there are.
const KEYS: u64 = 10_000;
/// The bytes of small and of large values.
const SMALL: usize = 100;
const LARGE: usize = 10_000;

/// `idle` is the program with an idle kernel.
pub(crate) fn measure(idle: &Path, report: &mut Report) -> Result<()> {
    let disk = Disk::find()?;
    disk.measure(report)?;
    sqlite::measure(&disk, report)?;
    journal::measure(&disk, report)?;
    memory::measure(report)?;
    postgres::measure(report)?;
    idle::measure(idle, &disk, report)
}
