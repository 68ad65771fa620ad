//! What becomes of a plugin that breaks down: `[plugins.X.restart]`.

use std::time::Duration;

use super::{ConfigError, document::Node};

/// Whether and when a plugin that broke down is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restart {
    /// When it is started again by itself.
    pub policy: RestartPolicy,
    /// How many restarts it has; the next failure puts it into quarantine.
    pub budget: u32,
    /// How long it must be started without a failure to have all of them again.
    pub healthy: Duration,
    /// How long it waits before the first restart; each further one waits twice as long.
    pub backoff: Duration,
    /// The longest that it waits.
    pub backoff_max: Duration,
}

/// When a plugin is started again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartPolicy {
    /// Not before somebody asks for it.
    Never,
    /// After a failure: an error, a crash, a handler that never returns.
    OnFailure,
    /// Also when its process ended by itself, and well.
    Always,
}

impl RestartPolicy {
    const WORDS: [(&str, Self); 3] = [
        ("never", Self::Never),
        ("on-failure", Self::OnFailure),
        ("always", Self::Always),
    ];

    /// The word for it in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
        }
    }
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::OnFailure,
            budget: 5,
            healthy: Duration::from_secs(60),
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
        }
    }
}

pub(super) fn restart(node: Node<'_>) -> Result<Restart, ConfigError> {
    let table = node.table()?;
    table.only(&["policy", "budget", "healthy", "backoff", "backoff_max"])?;
    let default = Restart::default();
    let duration = |key, default| table.get(key).map_or(Ok(default), |node| node.duration());
    let backoff = duration("backoff", default.backoff)?;
    Ok(Restart {
        policy: table.get("policy").map_or(Ok(default.policy), |node| {
            node.choice(&RestartPolicy::WORDS)
        })?,
        budget: table.get("budget").map_or(Ok(default.budget), |node| {
            node.whole("a whole number, zero or more")
        })?,
        healthy: duration("healthy", default.healthy)?,
        backoff,
        // Who waits longer at first does not wait less then.
        backoff_max: duration("backoff_max", default.backoff_max.max(backoff))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    fn parse(toml: &str) -> Result<Restart, String> {
        let text = format!("[plugins.lamp.restart]\n{toml}");
        let config = Config::parse(&text, "octa.toml").map_err(|error| error.to_string())?;
        Ok(config.plugin("lamp").restart)
    }

    #[test]
    fn everything_has_a_default() {
        assert_eq!(parse(""), Ok(Restart::default()));
        for (word, policy) in RestartPolicy::WORDS {
            assert_eq!(policy.as_str(), word);
            let read = parse(&format!("policy = {word:?}\nbudget = 0\nbackoff = \"2m\""));
            let expect = Restart {
                policy,
                budget: 0,
                backoff: Duration::from_secs(120),
                backoff_max: Duration::from_secs(120),
                ..Restart::default()
            };
            assert_eq!(read, Ok(expect));
        }
    }

    #[test]
    fn each_mistake_is_told() {
        for (toml, expect) in [
            (
                "policy = \"allways\"",
                "octa.toml:2:10: `plugins.lamp.restart.policy` is `\"allways\"`, expected \
                 `\"never\"`, `\"on-failure\"` or `\"always\"`",
            ),
            (
                "budget = -1",
                "octa.toml:2:10: `plugins.lamp.restart.budget` is `-1`, expected a whole number, \
                 zero or more",
            ),
            (
                "backof = \"1s\"",
                "octa.toml:2:1: `plugins.lamp.restart.backof` is an unknown key, expected \
                 `policy`, `budget`, `healthy`, `backoff` or `backoff_max`",
            ),
        ] {
            assert_eq!(parse(toml).unwrap_err(), expect, "{toml}");
        }
    }
}
