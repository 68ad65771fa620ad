//! What a process holds of the system, as the system tells.

use std::fs;

/// What a process holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holdings {
    /// Open files.
    pub(super) files: usize,
    /// Memory that it shares with others.
    pub(super) shared: usize,
    /// Its children, those that have ended included.
    pub(super) children: Vec<u32>,
}

impl Holdings {
    /// Of a process.
    pub(super) fn of(process: u32) -> Self {
        let files = fs::read_dir(format!("/proc/{process}/fd"));
        let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
        let shared = maps.lines().filter(|line| line.contains("/memfd:"));
        Self {
            files: files.map_or(0, Iterator::count),
            shared: shared.count(),
            children: children(process),
        }
    }
}

/// The state of a process in a letter: `Z` where only its parent's interest is left.
pub(super) fn state(process: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // After the name, which may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    rest.chars().next()
}

/// The children of all its threads.
fn children(process: u32) -> Vec<u32> {
    let threads = fs::read_dir(format!("/proc/{process}/task"));
    let mut children: Vec<u32> = threads
        .into_iter()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .flat_map(|text| {
            let ids = text.split_whitespace();
            ids.filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    children.sort_unstable();
    children
}
