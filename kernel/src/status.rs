//! What can be seen of the plugins from outside.

use std::path::PathBuf;

use octa_plugin_api::Error;
use serde::Serialize;

use crate::{
    lifecycle::State,
    reload::{GenerationStatus, RetiredStatus},
};

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

/// A subscription and what it has done so far.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SubscriptionStatus {
    /// The topics.
    pub pattern: String,
    /// Events that matched.
    pub matched: u64,
    /// Events that were handed over.
    pub delivered: u64,
    /// Events that were given up because the queue was full.
    pub dropped: u64,
    /// Events that wait.
    pub queued: usize,
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
