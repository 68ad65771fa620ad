//! What a process holds of the machine's memory, where the system tells.

use std::fs;

use anyhow::{Context, Result};

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    /// Bytes of it that are in memory.
    pub(crate) resident: f64,
    /// Ranges of its address space.
    pub(crate) mappings: f64,
}

impl Footprint {
    /// Of the process with this id, or of this one, which is `self`.
    pub(crate) fn of(process: &str) -> Result<Self> {
        let read = |what: &str| {
            let path = format!("/proc/{process}/{what}");
            fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))
        };
        let sums = read("smaps_rollup")?;
        let resident = sums.lines().find_map(|line| {
            let kibibytes = line.strip_prefix("Rss:")?.strip_suffix("kB")?;
            kibibytes.trim().parse::<f64>().ok()
        });
        Ok(Self {
            resident: resident.context("the system does not tell what is in memory")? * 1024.0,
            mappings: read("maps")?.lines().count() as f64,
        })
    }
}
