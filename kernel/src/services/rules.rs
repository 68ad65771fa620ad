//! How calls of one capability are treated: what the configuration says, over what its providers
//! declare, and what is remembered for that from call to call.

use std::{sync::Arc, time::Duration};

use octa_loader::policy::{Policy, Remember, Routing, Switch};

use super::{
    guard::{Budget, Rates, Results},
    steps::Steps,
};

/// The rules of one capability at one time.
#[derive(Debug)]
pub(crate) struct Rules {
    policy: Policy,
    /// What is called in its stead.
    steps: Option<Arc<Steps>>,
    rates: Option<Arc<Rates>>,
    budget: Option<Arc<Budget>>,
    results: Arc<Results>,
}

impl Rules {
    /// Goes on with what was remembered where the settings for it are the same.
    pub(super) fn new(mut policy: Policy, steps: Option<Arc<Steps>>, before: &Self) -> Self {
        let old = &before.policy;
        if steps.is_some() {
            // A plugin that offers a capability of this name does not say how its steps are called.
            policy = Policy {
                rate: policy.rate,
                remember: policy.remember,
                fallback: policy.fallback,
                ..Policy::default()
            };
        }
        let rates = match &policy.rate {
            Some(Switch::On(_)) if policy.rate == old.rate => before.rates.clone(),
            Some(Switch::On(rate)) => Some(Arc::new(Rates::new(*rate))),
            Some(Switch::Off) | None => None,
        };
        let budget = match &policy.retry {
            Some(Switch::On(_)) if policy.retry == old.retry => before.budget.clone(),
            Some(Switch::On(retry)) => Some(Arc::new(Budget::new(retry.budget))),
            Some(Switch::Off) | None => None,
        };
        // One memory for good: a call that was done is done, whatever else is wished now.
        let results = before.results.clone();
        results.limit(policy.remember.unwrap_or_default());
        Self {
            policy,
            steps,
            rates,
            budget,
            results,
        }
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(super) fn routing(&self) -> Routing {
        self.policy.routing.unwrap_or(Routing::RoundRobin)
    }

    pub(super) fn steps(&self) -> Option<&Arc<Steps>> {
        self.steps.as_ref()
    }

    pub(super) fn fallback(&self) -> Option<&str> {
        self.policy.fallback.as_deref()
    }

    pub(super) fn results(&self) -> &Arc<Results> {
        &self.results
    }

    /// How long a caller has to wait before it may call again, if that is too soon now.
    pub(super) fn too_soon(&self, caller: &str, now: Duration) -> Option<Duration> {
        self.rates.as_ref()?.check(caller, now).err()
    }

    pub(super) fn budget(&self) -> Option<&Budget> {
        self.budget.as_deref()
    }

    /// Whether a call is more than the way to its provider and back.
    pub(super) fn concern_calls(&self) -> bool {
        let needs_key = self.routing() == Routing::ByKey;
        self.steps.is_some() || self.rates.is_some() || needs_key || self.may_go_on()
    }

    /// Whether a call is not over with what its provider answers.
    pub(super) fn may_go_on(&self) -> bool {
        self.budget.is_some() || self.policy.fallback.is_some()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            steps: None,
            rates: None,
            budget: None,
            results: Arc::new(Results::new(Remember::default())),
        }
    }
}
