//! What a process holds of the machine's memory, where the system tells.

use std::fs;

use anyhow::{Context, Result};

/// What a process holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Footprint {
    /// Bytes of it that are in memory.
    pub(crate) resident: f64,
    /// The same, with what others have too counted in equal parts.
    pub(crate) share: f64,
    /// The same, of what it alone has.
    pub(crate) private: f64,
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
        let sum = |name| bytes(&sums, name).with_context(|| format!("there is no `{name}`"));
        Ok(Self {
            resident: sum("Rss:")?,
            share: sum("Pss:")?,
            private: sum("Private_Clean:")? + sum("Private_Dirty:")?,
            mappings: read("maps")?.lines().count() as f64,
        })
    }
}

/// The bytes of this process that are in memory, and are not of files with such a name.
pub(crate) fn resident_beside(is_of: impl Fn(&str) -> bool) -> Result<f64> {
    let maps = fs::read_to_string("/proc/self/smaps").context("cannot read `/proc/self/smaps`")?;
    let mut counts = true;
    let mut sum = 0.0;
    for line in maps.lines() {
        if !line.starts_with(|first: char| first.is_ascii_uppercase()) {
            counts = !is_of(line);
        } else if counts {
            sum += bytes(line, "Rss:").unwrap_or(0.0);
        }
    }
    Ok(sum)
}

/// The first amount with this name.
fn bytes(told: &str, name: &str) -> Option<f64> {
    told.lines().find_map(|line| {
        let kibibytes = line.strip_prefix(name)?.strip_suffix("kB")?;
        Some(kibibytes.trim().parse::<f64>().ok()? * 1024.0)
    })
}
