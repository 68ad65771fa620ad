//! What a reload will do and what it did, as it is seen from outside.

use std::time::Duration;

use serde::Serialize;

use crate::status::Problem;

/// One generation of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GenerationStatus {
    /// Its number among those of its plugin, from 1.
    pub number: u64,
    /// The version of the plugin.
    pub version: String,
    /// The hash of the file's content, in hex; `None` where it is linked into the program.
    pub hash: Option<String>,
    /// Since when it serves, or has ended, in nanoseconds since 1970.
    pub since: u64,
}

/// A generation that has ended and is still mapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RetiredStatus {
    /// Which.
    pub generation: GenerationStatus,
    /// What keeps it, such as `2 threads still running`.
    pub causes: Vec<String>,
    /// Whether it will stay for good.
    pub is_final: bool,
}

/// How one generation takes over from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReloadKind {
    /// The new one is started beside the old one; nobody waits.
    Overlap,
    /// Calls and events wait while the state is handed over.
    Handover,
    /// The old one is stopped before the new one starts; calls and events wait.
    Exclusive,
}

/// The state that a generation went on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StateSource {
    /// What the generation before held at the switch.
    Current,
    /// What was saved when this code was replaced; what came later is lost.
    Saved,
}

/// State that was handed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StateCarried {
    /// Whose it is.
    pub source: StateSource,
    /// The version it was saved in.
    pub from: u32,
    /// The version of the code that goes on with it.
    pub to: u32,
    /// How many bytes.
    pub bytes: usize,
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reloaded {
    /// The plugin.
    pub plugin: String,
    /// How it went.
    pub kind: ReloadKind,
    /// What served before.
    pub from: GenerationStatus,
    /// What serves now.
    pub to: GenerationStatus,
    /// The state that was handed over.
    pub state: Option<StateCarried>,
    /// Events that waited for the new generation.
    pub waiting_events: usize,
    /// From the beginning to the switch, in nanoseconds.
    pub took: u64,
    /// How long of that new calls and events waited, in nanoseconds.
    pub paused: u64,
}

/// What a reload would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReloadPlan {
    /// The plugin.
    pub plugin: String,
    /// How it would go.
    pub kind: ReloadKind,
    /// What serves now.
    pub from: GenerationStatus,
    /// The version that would serve.
    pub version: String,
    /// The hash of its file, in hex.
    pub hash: String,
    /// What becomes of the state, in words.
    pub state: String,
    /// Plugins that depend on this one, and go on with the new generation.
    pub dependents: Vec<String>,
    /// What would be offered, listened to or asked for that is not now: `capability lamps.dim`.
    pub added: Vec<String>,
    /// What is offered, listened to or asked for now and would not be.
    pub removed: Vec<String>,
    /// What would be lost.
    pub loses: Vec<String>,
    /// What stands in the way.
    pub problems: Vec<Problem>,
}

/// How to go back to the generation before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RollbackOptions {
    /// Go on with the state that was saved when it was replaced, and lose what came later.
    pub restore_saved: bool,
}

/// What a change of the configuration did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[non_exhaustive]
pub struct Applied {
    /// Plugins whose section changed and that are where they were meant to be now.
    pub plugins: Vec<String>,
    /// What could not be applied, such as a section that needs a restart.
    pub problems: Vec<Problem>,
}

pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
