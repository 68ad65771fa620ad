//! How a standby is while no kernel runs: what its file says.

use std::path::Path;

use crate::status::Problem;

use super::super::Sqlite;
use super::super::sqlite::files;
use super::gauge::{StandbyState, StandbyStatus};
use super::progress::Noted;

/// Tells how the standby is of the two files that a configuration names, where no kernel runs.
///
/// It is the one that follows, or the one that should be where there is none.
pub fn at_rest(path: &Path, standby: &Path) -> StandbyStatus {
    let header = |path: &Path| match files::directory(path).is_dir() {
        true => Sqlite::header(path).ok().flatten(),
        false => None,
    };
    let (mut primary, mut standby) = ((path, header(path)), (standby, header(standby)));
    if primary.1.as_ref().is_some_and(|header| header.following) {
        (primary, standby) = (standby, primary);
    }
    let found = standby.1.filter(|header| header.following);
    let version = found.map(|header| header.last_version);
    let last = primary.1.map(|header| header.last_version);
    let missing = || Problem::new("not-found", "it is not there, or cannot be read", None);
    StandbyStatus {
        path: standby.0.to_owned(),
        primary: primary.0.to_owned(),
        state: StandbyState::Idle,
        since: Noted::read(standby.0).map_or(0, |noted| noted.at),
        version,
        behind: last
            .zip(version)
            .map(|(last, has)| last.saturating_sub(has)),
        behind_ms: None,
        copied: None,
        problem: version.is_none().then(missing),
    }
}
