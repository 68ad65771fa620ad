//! A note beside a standby that says how far it was, for when the primary cannot be asked any more.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names;

/// How far a standby was when its primary was last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Noted {
    /// The last version of the standby.
    pub(super) version: u64,
    /// The last version of the primary.
    pub(super) primary: u64,
    /// The epoch of the primary; the standby may still be in an earlier one.
    #[serde(default)]
    pub(super) epoch: u64,
    /// When it was so, in nanoseconds since 1970.
    pub(super) at: u64,
}

impl Noted {
    /// How far a standby is beside a primary, each with its last version.
    pub(super) fn new([version, primary]: [u64; 2], epoch: u64, at: Duration) -> Self {
        Self {
            version,
            primary,
            epoch,
            at: u64::try_from(at.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// How many changes a standby at this version was missing, and when.
    pub(super) fn missing(&self, version: u64) -> (u64, Duration) {
        let at = Duration::from_nanos(self.at);
        (self.primary.saturating_sub(version), at)
    }

    /// Not synced: what it says is about a moment ago in any case.
    pub(super) fn write(&self, standby: &Path) -> io::Result<()> {
        let [path, fresh] = [names::progress(standby), names::fresh_progress(standby)];
        fs::write(&fresh, serde_json::to_vec(self)?)?;
        fs::rename(fresh, path)
    }

    /// The note, if there is one that can be read.
    pub(super) fn read(standby: &Path) -> Option<Self> {
        let bytes = fs::read(names::progress(standby)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}
