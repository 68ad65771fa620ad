//! Shows alerts: each becomes a line in the log, and the latest can be asked for. What is worth
//! an alert is up to whoever raises it.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
};

use octa_plugin_api::{Context, Event, Json, Result, Schema, Tentacle, log, tentacle};
use serde::{Deserialize, Serialize};

/// The key of the state under which the latest alerts lie.
const RECENT: &str = "recent";

/// The plugin's section of the configuration.
#[derive(Debug, Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// How many alerts are kept.
    keep: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { keep: 50 }
    }
}

/// How much it matters.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, Schema)]
#[serde(rename_all = "snake_case")]
enum Severity {
    Info,
    #[default]
    Warning,
    Critical,
}

/// What is taken of an alert, whoever raised it.
#[derive(Debug, Clone, Serialize, Deserialize, Schema)]
struct Alert {
    /// What happened, in words.
    message: String,
    /// How much it matters.
    #[serde(default)]
    severity: Severity,
    /// The rule that raised it.
    #[serde(default)]
    rule: String,
    /// What the rule saw, by name.
    #[serde(default)]
    values: BTreeMap<String, Json>,
}

/// The plugin.
#[derive(Debug)]
struct Notifications {
    keep: usize,
}

/// Shows alerts in the log and keeps the latest.
#[tentacle(state = "notifications")]
impl Tentacle for Notifications {
    type Config = Settings;

    fn create(settings: Settings) -> Result<Self> {
        Ok(Self {
            keep: settings.keep,
        })
    }

    #[subscribe("automation.alert")]
    async fn alert(&self, ctx: &Context, event: Event<Alert>) -> Result<()> {
        let alert = event.data;
        match alert.severity {
            Severity::Info => log::info!("{alert}"),
            Severity::Warning => log::warn!("{alert}"),
            Severity::Critical => log::error!("{alert}"),
        }
        let add = |recent: &mut VecDeque<Alert>| {
            recent.push_front(alert.clone());
            recent.truncate(self.keep);
        };
        ctx.state().update(RECENT, add).await?;
        Ok(())
    }

    /// Tells the latest alerts, the newest first.
    #[capability("notifications.recent", idempotent)]
    async fn recent(&self, ctx: &Context) -> Result<VecDeque<Alert>> {
        Ok(ctx.state().get(RECENT).await?.unwrap_or_default())
    }
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule.as_str() {
            "" => f.write_str(&self.message)?,
            rule => write!(f, "{rule}: {}", self.message)?,
        }
        for (name, value) in &self.values {
            match value.as_f64() {
                Some(number) => write!(f, ", {name} is {number:.1}")?,
                None => write!(f, ", {name} is {}", value.0)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use octa_test_kit::{TestKernel, json};

    #[test]
    fn keeps_the_latest() -> Result<()> {
        let bench = TestKernel::plugin::<Notifications>()
            .allow("subscribe", "automation.alert")
            .config(json!({ "keep": 2 }))
            .start()?;
        assert!(
            bench
                .call::<Vec<Alert>>("notifications.recent", &())?
                .is_empty()
        );
        for message in ["one", "two", "three"] {
            let alert = json!({ "message": message, "rule": "count", "values": { "n": 1.25 } });
            bench.publish("automation.alert", &alert)?;
        }
        bench.until("the latest two", || {
            let recent: Vec<Alert> = bench.call("notifications.recent", &())?;
            let shown: Vec<_> = recent.iter().map(Alert::to_string).collect();
            Ok(shown == ["count: three, n is 1.2", "count: two, n is 1.2"])
        })?;
        bench.stop();
        Ok(())
    }

    #[test]
    fn wants_the_permission_to_listen() {
        let error = TestKernel::plugin::<Notifications>()
            .start()
            .expect_err("no permission");
        assert!(error.to_string().contains("automation.alert"), "{error}");
    }
}
