//! Turns rules over events into calls and alerts. What a rule can say is the job of `rule`, when
//! it holds that of `condition`.

mod condition;
mod rule;

use std::sync::{Mutex, PoisonError};

use octa_plugin_api::{
    Context, Error, ErrorKind, Event, Json, Result, Schema, Tentacle, log, tentacle,
};
use serde::{Deserialize, Serialize};

use condition::Known;
use rule::{Action, Rule, Severity};

/// The plugin's section of the configuration.
#[derive(Debug, Default, Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The rules, each looked at on every event.
    rules: Vec<Rule>,
}

/// What `automation.alert` says.
#[derive(Debug, Serialize)]
struct Alert<'a> {
    rule: &'a str,
    severity: Severity,
    message: &'a str,
    /// What the rule looked at, by topic and pointer.
    values: &'a Known,
}

/// The plugin.
#[derive(Debug)]
struct Automation {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rules: Vec<Rule>,
    known: Known,
}

/// A rule that fires, with what it saw.
struct Firing {
    rule: String,
    actions: Vec<Action>,
    values: Known,
}

/// Turns rules over events into calls and alerts.
#[tentacle(
    publishes = "automation.alert",
    calls = "devices.**",
    needs(capability = "devices.turn_on")
)]
impl Tentacle for Automation {
    type Config = Settings;

    fn create(settings: Settings) -> Result<Self> {
        for rule in &settings.rules {
            rule.check().map_err(|what| {
                let message = format!("rule `{}` {what}", rule.name);
                Error::new(ErrorKind::InvalidInput, message)
            })?;
        }
        let state = State {
            rules: settings.rules,
            known: Known::default(),
        };
        Ok(Self {
            state: Mutex::new(state),
        })
    }

    #[subscribe("sysmon.**")]
    async fn machine(&self, ctx: &Context, event: Event<Json>) {
        self.handle(ctx, event).await;
    }

    #[subscribe("devices.**")]
    async fn devices(&self, ctx: &Context, event: Event<Json>) {
        self.handle(ctx, event).await;
    }
}

impl Automation {
    async fn handle(&self, ctx: &Context, event: Event<Json>) {
        for firing in self.firing(ctx, &event) {
            for action in &firing.actions {
                if let Err(error) = act(ctx, &firing, action).await {
                    log::warn!("rule `{}` could not do all: {error}", firing.rule);
                }
            }
        }
    }

    /// Takes the event in; the rules are free again when what they say is done.
    fn firing(&self, ctx: &Context, event: &Event<Json>) -> Vec<Firing> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { rules, known } = &mut *state;
        let now = ctx.monotonic();
        let about = rules
            .iter_mut()
            .filter(|rule| rule.when.is_about(&event.topic));
        let mut firing = Vec::new();
        for rule in about {
            rule.when.learn(&event.topic, &event.data, known);
            if rule.fires(known, now) {
                firing.push(Firing {
                    rule: rule.name.clone(),
                    actions: rule.then.clone(),
                    values: rule.when.values(known),
                });
            }
        }
        firing
    }
}

async fn act(ctx: &Context, firing: &Firing, action: &Action) -> Result<()> {
    match action {
        Action::Call { capability, input } => {
            log::info!("rule `{}` calls `{capability}`", firing.rule);
            ctx.call::<_, Json>(capability, input).await?;
        }
        Action::Alert { message, severity } => {
            let alert = Alert {
                rule: &firing.rule,
                severity: *severity,
                message,
                values: &firing.values,
            };
            ctx.publish("automation.alert", &alert).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
