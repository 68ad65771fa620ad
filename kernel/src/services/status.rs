//! What can be seen of the capabilities from outside: who offers each, how calls of it are
//! treated, and how they do.

use std::time::Duration;

use octa_loader::policy::{Policy, Routing};
use serde::Serialize;

use super::{
    CallCounts, Provider, Route, Services,
    guard::{BreakerStatus, Measured},
};

/// A capability and how it does.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// What it does, by its first provider.
    pub description: String,
    /// Which of its providers gets a call.
    pub routing: Routing,
    /// How its calls are treated: the configuration, over what its providers declare.
    pub policy: Policy,
    /// What of that the configuration says.
    pub configured: Policy,
    /// The capabilities that are called one after the other, where it is a pipeline.
    pub steps: Vec<String>,
    /// Whether calling it twice does what calling it once does, by all who offer it.
    pub idempotent: bool,
    /// The time that a call of it has unless its caller says otherwise, in milliseconds.
    pub deadline_ms: u64,
    /// Who offers it, the first choice first.
    pub providers: Vec<ProviderStatus>,
    /// What became of its calls beside answers and errors of its providers.
    pub counts: CallCounts,
    /// Results of calls with an idempotency key that are remembered.
    pub remembered: usize,
}

/// A provider of a capability and how it does there.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ProviderStatus {
    /// The plugin.
    pub plugin: String,
    /// The time that it asks for, in milliseconds, if it does.
    pub deadline_ms: Option<u64>,
    /// How well it does, from 0.0 to 1.0: the worse of the two below.
    pub health: f64,
    /// By its own opinion.
    pub own_health: f64,
    /// By what the kernel sees of its calls.
    pub seen_health: f64,
    /// Its circuit breaker, where it has one.
    pub breaker: Option<BreakerStatus>,
    /// Calls under way, where they are counted.
    pub in_flight: Option<usize>,
    /// The most that may be.
    pub limit: Option<u32>,
    /// Calls that wait for a place.
    pub waiting: u32,
    /// How many may.
    pub queue: u32,
    /// Rates and latencies, where they are measured.
    pub measured: Option<Measured>,
}

impl Services {
    /// Every capability that is offered now, by name.
    pub(crate) fn status(&self) -> Vec<ServiceStatus> {
        let (offered, usual) = (self.offered(), self.default_deadline());
        offered.iter().map(|route| route.status(usual)).collect()
    }

    /// Every capability that is offered, was, would be by a plugin that is not started, or is
    /// configured.
    pub(crate) fn known(&self) -> Vec<ServiceStatus> {
        let (routes, usual) = (self.0.routes.load(), self.default_deadline());
        routes.values().map(|route| route.status(usual)).collect()
    }

    /// One capability, also one that nobody offers now.
    pub(crate) fn status_of(&self, name: &str) -> Option<ServiceStatus> {
        let routes = self.0.routes.load();
        routes
            .get(name)
            .map(|route| route.status(self.default_deadline()))
    }
}

impl Route {
    fn status(&self, usual: Duration) -> ServiceStatus {
        let providers = self.providers();
        let rules = providers.rules();
        let deadline = providers.first().and_then(|it| it.deadline);
        let steps: Vec<String> = rules
            .steps()
            .map(|steps| steps.names().iter().map(ToString::to_string).collect())
            .unwrap_or_default();
        ServiceStatus {
            name: self.name().to_string(),
            description: self.describe().map(|it| it.description).unwrap_or_default(),
            routing: rules.routing(),
            policy: rules.policy().clone(),
            configured: providers.configured().clone(),
            steps,
            idempotent: self.is_idempotent(),
            deadline_ms: millis(deadline.unwrap_or(usual)),
            providers: providers.iter().map(Provider::status).collect(),
            counts: self.counts().read(),
            remembered: rules.results().len(),
        }
    }
}

impl Provider {
    fn status(&self) -> ProviderStatus {
        let guard = self.guard.as_deref();
        let room = guard.and_then(|it| it.room());
        ProviderStatus {
            plugin: self.instance.name().to_string(),
            deadline_ms: self.deadline.map(millis),
            health: self.health(),
            own_health: self.health.get(),
            seen_health: guard.map_or(1.0, |it| it.health()),
            breaker: guard.and_then(|it| it.breaker()),
            in_flight: guard.map(|it| it.in_flight()),
            limit: room.map(|room| room.limit()),
            waiting: room.map_or(0, |room| room.waiting()),
            queue: guard.map_or(0, |guard| guard.queue_of().0),
            measured: guard.and_then(|it| it.measured()),
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
