//! Where a standby is: written by the follower, read by whoever asks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

use crate::status::Problem;
use crate::time::Clock;

/// A standby and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StandbyStatus {
    /// Its file.
    pub path: PathBuf,
    /// The file that it follows.
    pub primary: PathBuf,
    /// What is being done.
    pub state: StandbyState,
    /// Since when, in nanoseconds since 1970.
    pub since: u64,
    /// The last version that it has; `None` while it is not whole yet.
    pub version: Option<u64>,
    /// How many changes of the primary it does not have yet.
    pub behind: Option<u64>,
    /// It has everything that was written longer ago than so many milliseconds.
    pub behind_ms: Option<u64>,
    /// How far the copy is that is being made.
    pub copied: Option<Copied>,
    /// Why it does not follow.
    pub problem: Option<Problem>,
}

/// What is being done with a standby.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StandbyState {
    /// It is looked at, or everything is copied into a new one.
    Copying,
    /// It is given every change.
    Following,
    /// It cannot be written, which is tried again.
    Failed,
    /// No kernel runs.
    Idle,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Copied {
    /// Records that are done.
    pub done: u64,
    /// Records there are.
    pub of: u64,
}

/// What the follower knows of its standby.
#[derive(Debug)]
pub(super) struct Gauge {
    path: PathBuf,
    primary: PathBuf,
    clock: Arc<dyn Clock>,
    /// Held to read or write a few words.
    now: Mutex<Now>,
    /// Something else is being done: for the one that tells of it.
    changed: Notify,
}

#[derive(Debug)]
struct Now {
    state: StandbyState,
    since: Duration,
    reached: Option<Reached>,
    copied: Option<Copied>,
    problem: Option<Problem>,
}

/// Up to where a standby is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) version: u64,
    /// Everything that was committed until then is in it; by the monotonic clock.
    pub(super) at: Option<Duration>,
}

impl Gauge {
    pub(super) fn new(path: PathBuf, primary: PathBuf, clock: Arc<dyn Clock>) -> Self {
        let now = Now {
            state: StandbyState::Copying,
            since: clock.wall(),
            reached: None,
            copied: None,
            problem: None,
        };
        Self {
            path,
            primary,
            clock,
            now: Mutex::new(now),
            changed: Notify::new(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Waits until something else is done than when this was asked last.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// A standby is looked at or made; `found` is what is there meanwhile.
    pub(super) fn copying(&self, found: Option<u64>) {
        let mut now = self.now.lock();
        self.enter(&mut now, StandbyState::Copying);
        let before = now.reached.filter(|it| Some(it.version) == found);
        now.reached = before.or(found.map(|version| Reached { version, at: None }));
    }

    pub(super) fn copied(&self, done: u64, of: u64) {
        self.now.lock().copied = Some(Copied { done, of });
    }

    /// It follows, and is whole up to here.
    pub(super) fn reached(&self, version: u64, at: Duration) {
        let mut now = self.now.lock();
        self.enter(&mut now, StandbyState::Following);
        let at = Some(at);
        now.reached = Some(Reached { version, at });
    }

    pub(super) fn failed(&self, problem: Problem) {
        let mut now = self.now.lock();
        self.enter(&mut now, StandbyState::Failed);
        now.problem = Some(problem);
    }

    fn enter(&self, now: &mut Now, state: StandbyState) {
        now.copied = None;
        now.problem = None;
        if now.state != state {
            now.state = state;
            now.since = self.clock.wall();
            self.changed.notify_one();
        }
    }

    /// Tells how it is beside a primary with this last version.
    pub(super) fn status(&self, last_version: Option<u64>) -> StandbyStatus {
        let now = self.now.lock();
        let (reached, monotonic) = (now.reached, self.clock.monotonic());
        let behind = reached
            .zip(last_version)
            .map(|(reached, last)| last.saturating_sub(reached.version));
        let since = reached.and_then(|reached| reached.at);
        let since = since.map(|at| millis(monotonic.saturating_sub(at)));
        StandbyStatus {
            path: self.path.clone(),
            primary: self.primary.clone(),
            state: now.state,
            since: u64::try_from(now.since.as_nanos()).unwrap_or(u64::MAX),
            version: reached.map(|reached| reached.version),
            behind,
            behind_ms: if behind == Some(0) { Some(0) } else { since },
            copied: now.copied,
            problem: now.problem.clone(),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
