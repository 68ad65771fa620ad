//! What a rule can say, and when it fires. Whether its condition holds is told by `condition`.

use std::time::Duration;

use octa_plugin_api::{Json, Schema};
use serde::{Deserialize, Serialize};

use crate::condition::{Condition, Known};

/// A condition, and what is done when it holds.
#[derive(Debug, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// What errors and alerts call it.
    pub(crate) name: String,
    /// When it fires.
    pub(crate) when: Condition,
    /// What is done then, in this order.
    pub(crate) then: Vec<Action>,
    /// With it, the rule fires again while its condition holds, but never twice within this time.
    /// Without it, the rule fires when the condition comes to hold.
    cooldown_ms: Option<u64>,
    #[serde(skip)]
    held: bool,
    #[serde(skip)]
    fired: Option<Duration>,
}

/// One thing to do.
#[derive(Debug, Clone, Deserialize, Schema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    /// Calls a capability.
    Call {
        capability: String,
        #[serde(default)]
        input: Json,
    },
    /// Raises an alert.
    Alert {
        message: String,
        #[serde(default)]
        severity: Severity,
    },
}

/// How much an alert matters.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, Schema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    Info,
    #[default]
    Warning,
    Critical,
}

impl Rule {
    /// Finds what could never work.
    pub(crate) fn check(&self) -> Result<(), String> {
        for action in &self.then {
            match action {
                Action::Call { capability, .. } if !capability.starts_with("devices.") => {
                    return Err(format!(
                        "calls `{capability}`, expected a capability of `devices`"
                    ));
                }
                _ => {}
            }
        }
        self.when.check()
    }

    /// Whether it fires now.
    pub(crate) fn fires(&mut self, known: &Known, now: Duration) -> bool {
        let held = std::mem::replace(&mut self.held, self.when.holds(known) == Some(true));
        let due = match (self.cooldown_ms.map(Duration::from_millis), self.fired) {
            (None, _) => !held,
            (Some(_), None) => true,
            (Some(cooldown), Some(fired)) => now.saturating_sub(fired) >= cooldown,
        };
        let fires = self.held && due;
        if fires {
            self.fired = Some(now);
        }
        fires
    }
}
