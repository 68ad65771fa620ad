//! The states of a plugin and the ways between them: one table that is also the test and the
//! diagram in the docs.
//!
//! Who moves a plugin, and when, is the manager's business.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a plugin stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its file was found and its manifest read; none of its code is in memory.
    Discovered,
    /// Its code is open and its instance made; it serves nothing yet.
    Loaded,
    /// It serves.
    Started,
    /// It has stopped serving; its code is still open.
    Stopped,
    /// Its code is closed.
    Unloaded,
    /// It waits for a dependency, a permission or a configuration.
    Blocked,
    /// Something went wrong, and the error is kept.
    Failed,
    /// It failed too often and is left alone until somebody decides.
    Quarantined,
}

/// A way from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The state that is left.
    pub from: State,
    /// The state that is entered.
    pub to: State,
    /// What makes it happen.
    pub cause: &'static str,
}

const fn way(from: State, to: State, cause: &'static str) -> Transition {
    Transition { from, to, cause }
}

/// Every transition there is; what is not listed cannot happen.
pub const TRANSITIONS: &[Transition] = {
    use State::*;
    &[
        way(Discovered, Loaded, "opened"),
        way(Discovered, Blocked, "something is missing"),
        way(Discovered, Failed, "cannot be opened"),
        way(Loaded, Started, "start succeeded"),
        way(Loaded, Blocked, "a dependency went away"),
        way(Loaded, Failed, "start failed"),
        way(Loaded, Unloaded, "closed"),
        way(Started, Stopped, "stopped"),
        way(Started, Failed, "broke down"),
        way(Stopped, Started, "started again"),
        way(Stopped, Blocked, "a dependency went away"),
        way(Stopped, Failed, "start failed"),
        way(Stopped, Unloaded, "closed"),
        way(Unloaded, Discovered, "file changed"),
        way(Unloaded, Loaded, "opened again"),
        way(Unloaded, Blocked, "something is missing"),
        way(Unloaded, Failed, "cannot be opened"),
        way(Blocked, Discovered, "file changed or disabled"),
        way(Blocked, Loaded, "what was missing is there"),
        way(Blocked, Failed, "cannot be opened"),
        way(Blocked, Unloaded, "closed"),
        way(Failed, Discovered, "file changed"),
        way(Failed, Loaded, "tried again"),
        way(Failed, Blocked, "something is missing"),
        way(Failed, Unloaded, "closed"),
        way(Failed, Quarantined, "budget of restarts spent"),
        way(Quarantined, Discovered, "file changed"),
        way(Quarantined, Loaded, "tried again on request"),
        way(Quarantined, Blocked, "something is missing"),
        way(Quarantined, Failed, "cannot be opened"),
        way(Quarantined, Unloaded, "closed"),
    ]
};

/// Tells that a plugin cannot go from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a plugin that is `{from}` cannot become `{to}`, only {}", ways_out(*from))]
#[non_exhaustive]
pub struct NoTransition {
    /// The state it is in.
    pub from: State,
    /// The state it was to enter.
    pub to: State,
}

impl State {
    /// Every state, the straight way first.
    pub const ALL: [State; 8] = [
        State::Discovered,
        State::Loaded,
        State::Started,
        State::Stopped,
        State::Unloaded,
        State::Blocked,
        State::Failed,
        State::Quarantined,
    ];

    /// The state in lower case, as events and answers name it.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Discovered => "discovered",
            State::Loaded => "loaded",
            State::Started => "started",
            State::Stopped => "stopped",
            State::Unloaded => "unloaded",
            State::Blocked => "blocked",
            State::Failed => "failed",
            State::Quarantined => "quarantined",
        }
    }

    /// Whether the table has a way from this state to the other.
    pub fn can_become(self, to: State) -> bool {
        TRANSITIONS
            .iter()
            .any(|way| way.from == self && way.to == to)
    }

    /// Enters the other state.
    ///
    /// # Errors
    ///
    /// The table has no such way; the state stays as it is.
    pub fn enter(&mut self, to: State) -> Result<(), NoTransition> {
        let from = *self;
        if !from.can_become(to) {
            return Err(NoTransition { from, to });
        }
        *self = to;
        Ok(())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

fn ways_out(from: State) -> String {
    let ways = TRANSITIONS.iter().filter(|way| way.from == from);
    ways.map(|way| format!("`{}`", way.to))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The table as a Mermaid state diagram.
pub fn diagram() -> String {
    let mut lines = vec![
        "stateDiagram-v2".to_owned(),
        "    [*] --> discovered: file found".to_owned(),
    ];
    lines.extend(
        TRANSITIONS
            .iter()
            .map(|way| format!("    {} --> {}: {}", way.from, way.to, way.cause)),
    );
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/lifecycle.md");

    /// Everything that can be reached from a state.
    fn reachable(from: State) -> BTreeSet<State> {
        let mut seen = BTreeSet::from([from]);
        while let Some(way) = TRANSITIONS
            .iter()
            .find(|way| seen.contains(&way.from) && !seen.contains(&way.to))
        {
            seen.insert(way.to);
        }
        seen
    }

    fn leading_to(to: State) -> Vec<State> {
        TRANSITIONS
            .iter()
            .filter(|way| way.to == to)
            .map(|way| way.from)
            .collect()
    }

    #[test]
    fn the_table_alone_decides() {
        for from in State::ALL {
            for to in State::ALL {
                let listed = TRANSITIONS
                    .iter()
                    .filter(|way| way.from == from && way.to == to)
                    .count();
                let mut state = from;
                assert!(listed <= 1, "{from} to {to} is listed twice");
                assert_eq!(state.enter(to).is_ok(), listed == 1);
                assert_eq!(state, if listed == 1 { to } else { from });
            }
            assert!(!from.can_become(from));
        }
    }

    #[test]
    fn no_state_is_a_trap() {
        for state in State::ALL {
            assert_eq!(reachable(state), BTreeSet::from(State::ALL), "from {state}");
        }
    }

    #[test]
    fn nothing_serves_whose_code_is_not_open() {
        assert_eq!(leading_to(State::Started), [State::Loaded, State::Stopped]);
        assert_eq!(leading_to(State::Stopped), [State::Started]);
        assert_eq!(leading_to(State::Quarantined), [State::Failed]);
    }

    #[test]
    fn a_refusal_names_the_ways_that_are_open() {
        let refusal = State::Started.clone().enter(State::Loaded).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "a plugin that is `started` cannot become `loaded`, only `stopped`, `failed`"
        );
    }

    #[test]
    fn names_are_the_same_everywhere() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }

    #[test]
    fn the_document_has_the_diagram_and_every_state() {
        assert!(
            DOCUMENT.contains(&format!("```mermaid\n{}```\n", diagram())),
            "expected:\n{}",
            diagram()
        );
        for state in State::ALL {
            assert!(DOCUMENT.contains(&format!("\n## {state}\n")), "{state}");
        }
    }
}
