//! How a plugin that served breaks down, as those say who notice it.

use crate::status::{FaultKind, Problem};

/// What has become of a generation that serves.
#[derive(Debug)]
pub(crate) enum Breakdown {
    /// Its process has ended: its instance answers everything with an error by itself.
    Died(Death),
    /// A handler of it blocks its thread for too long.
    Stuck(Stuck),
    /// It did badly in its first seconds, and there is nothing to go back to.
    Unfit(Problem),
}

/// How a process ended, and what it was doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Death {
    /// Such as `was ended by signal 11 (SIGSEGV)`: what the plugin is told to have done.
    pub(crate) cause: String,
    /// Unless it ended by itself, and well.
    pub(crate) is_failure: bool,
    /// What it wrote last.
    pub(crate) last_lines: Vec<String>,
    /// The calls, deliveries aside, that were under way.
    pub(crate) calls: Vec<CallUnderWay>,
}

/// A call that was not answered yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallUnderWay {
    pub(crate) caller: String,
    pub(crate) capability: String,
}

/// A handler that does not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stuck {
    /// Such as ``the handler of `lamps.on` blocks its thread for more than 30s``.
    pub(crate) what: String,
    /// Where it stands, as far as that can be had.
    pub(crate) last_lines: Vec<String>,
}

impl Breakdown {
    pub(super) fn kind(&self) -> FaultKind {
        match self {
            Self::Died(_) => FaultKind::Ended,
            Self::Stuck(_) => FaultKind::Stuck,
            Self::Unfit(problem) => FaultKind::of(problem),
        }
    }

    pub(super) fn last_lines(&self) -> &[String] {
        match self {
            Self::Died(death) => &death.last_lines,
            Self::Stuck(stuck) => &stuck.last_lines,
            Self::Unfit(_) => &[],
        }
    }
}
