//! What can be seen of the plugins from outside.

use std::path::PathBuf;

use octa_plugin_api::Error;
use serde::Serialize;

use crate::{
    lifecycle::State,
    reload::{GenerationStatus, RetiredStatus},
};

mod bus;

pub use bus::{DeadLetter, SubscriptionStatus};

/// A plugin and how it is.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PluginStatus {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where it is in its life.
    pub state: State,
    /// What it does.
    pub description: String,
    /// The file it comes from; `None` where it is linked into the program.
    pub path: Option<PathBuf>,
    /// The hash of the file's content, in hex.
    pub hash: Option<String>,
    /// Since when it is in its state, with the generation that it has, in nanoseconds since 1970.
    pub since: u64,
    /// Why it is not started.
    pub problems: Vec<Problem>,
    /// How well it says it does, from 0.0 to 1.0, while it is started.
    pub health: Option<f64>,
    /// What it offers.
    pub capabilities: Vec<String>,
    /// What it listens to, while it is started.
    pub subscriptions: Vec<SubscriptionStatus>,
    /// Calls, deliveries and tasks that are unfinished.
    pub unfinished: usize,
    /// What it holds of the kernel; all zero once it is stopped.
    pub ledger: Ledger,
    /// The generation that serves or is loaded.
    pub generation: Option<GenerationStatus>,
    /// Generations that have ended and are still mapped.
    pub retired: Vec<RetiredStatus>,
    /// Why a newer build of it does not serve, while this one does.
    pub waiting: Vec<Problem>,
    /// Where it lives or would: `in-process` or `process`.
    pub placement: &'static str,
    /// The process that carries it, if one does.
    pub process: Option<ProcessStatus>,
    /// What becomes of it when it breaks down.
    pub restarts: RestartStatus,
    /// How it broke down, the last time first; at most [`FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// What of it does not give its thread back, the oldest first.
    pub blocked: Vec<BlockedStatus>,
}

/// Code of a plugin that does not give its thread back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BlockedStatus {
    /// The generation.
    pub generation: u64,
    /// What it was entered for, such as ``the handler of `lamps.on` ``.
    pub what: String,
    /// The name of the thread.
    pub thread: String,
    /// Its number in the system, where it has one.
    pub thread_id: Option<u64>,
    /// Since when, in nanoseconds since 1970.
    pub since: u64,
    /// Where the thread was when that was noticed; empty where that cannot be told.
    #[serde(rename = "where")]
    pub place: String,
    /// Functions of the plugin that it likely was in, each called by the next.
    pub likely: Vec<String>,
    /// Who called it and waits on the same thread, from the innermost on.
    pub callers: Vec<String>,
    /// Whether it may: it declared so, or it is a step of its life that has a deadline.
    pub may_block: bool,
}

/// How many breakdowns of one plugin are remembered.
pub const FAULTS_MAX: usize = 8;

/// A process that carries plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProcessStatus {
    /// Its number in the system.
    pub id: u32,
    /// The group of plugins that share it.
    pub group: Option<String>,
    /// What of its limits and its sandbox is in force.
    pub enforced: Vec<String>,
    /// What is not, and why.
    pub missing: Vec<String>,
}

/// How a plugin is started again when it breaks down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RestartStatus {
    /// When it is: `never`, `on-failure` or `always`.
    pub policy: &'static str,
    /// How many restarts it has until it has been well for a while.
    pub budget: u32,
    /// How many of them it has used.
    pub spent: u32,
    /// When it is started again, in nanoseconds since 1970, if it is going to be.
    pub next: Option<u64>,
    /// How often it was started again by itself so far.
    pub total: u64,
}

/// A breakdown of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// When, in nanoseconds since 1970.
    pub time: u64,
    /// What kind of breakdown it was.
    pub kind: FaultKind,
    /// What happened.
    pub what: String,
    /// Whose fault it seems to be.
    pub blamed: Blame,
    /// What its process wrote last.
    pub last_lines: Vec<String>,
}

/// What kind of breakdown something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FaultKind {
    /// Its code answered an error, or what was to be done with it did.
    Error,
    /// Its code panicked.
    Panicked,
    /// Its code did not return in time.
    Deadline,
    /// Its process ended.
    Ended,
    /// A handler of it blocks its thread.
    Stuck,
    /// Its file cannot be opened, or not where it is to live.
    NotLoadable,
}

impl FaultKind {
    /// What kind of breakdown a problem tells of.
    pub(crate) fn of(problem: &Problem) -> Self {
        match problem.kind.as_str() {
            "panicked" => Self::Panicked,
            "deadline" => Self::Deadline,
            "interrupted" => Self::Ended,
            "rejected" | "refused" | "unsupported" => Self::NotLoadable,
            _ => Self::Error,
        }
    }
}

/// Whose fault a breakdown seems to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Blame {
    /// The plugin's own.
    Plugin,
    /// That of who called it: nothing else was under way, and so it was before.
    Caller {
        /// Who called.
        caller: String,
        /// What.
        capability: String,
        /// How many breakdowns in a row it was so.
        times: u32,
    },
    /// That of one event, which was given up.
    Event {
        /// The event.
        id: u64,
        /// Its topic.
        topic: String,
        /// In how many breakdowns it was being handled.
        times: u32,
    },
}

/// What a generation holds of the kernel, and leaves behind by no means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Ledger {
    /// Calls, deliveries and tasks that are unfinished.
    pub work: usize,
    /// Subscriptions that it made while it ran.
    pub subscriptions: usize,
    /// Events that are held back until it has taken over.
    pub held_events: usize,
    /// Tasks that are held back until it has taken over.
    pub held_tasks: usize,
}

/// A file of the plugin directory that is no plugin, or none that can run here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RejectedFile {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// What kind of problem it is.
    pub kind: String,
    /// What is wrong.
    pub message: String,
    /// The way out, where it is known.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(kind: &str, message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            message: message.into(),
            hint,
        }
    }

    /// Whether another start would meet it again: another file or configuration has to mend it.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "rejected" | "denied" | "invalid-input" | "unsupported" | "refused"
        )
    }

    /// An error with all its causes.
    pub(crate) fn from_error(
        kind: &str,
        error: &dyn std::error::Error,
        hint: Option<String>,
    ) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::new(kind, message, hint)
    }
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let message = match error.location() {
            Some(location) => format!("{error} (at {location})"),
            None => error.to_string(),
        };
        Self::new(
            error.kind().label(),
            message,
            error.hint().map(str::to_owned),
        )
    }
}
