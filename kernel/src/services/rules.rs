//! How calls of one capability are treated: what the configuration says, over what its providers
//! declare, and what is remembered for that from call to call.

use std::{sync::Arc, time::Duration};

use octa_loader::policy::{Policy, Remember, Routing, Switch};

use super::guard::{Budget, Rates, Results};

/// The rules of one capability at one time.
#[derive(Debug)]
pub(crate) struct Rules {
    policy: Policy,
    /// The capabilities that are called one after the other in its stead.
    steps: Option<Arc<[Arc<str>]>>,
    rates: Option<Arc<Rates>>,
    budget: Option<Arc<Budget>>,
    results: Arc<Results>,
}

impl Rules {
    /// Goes on with what was remembered where the settings for it are the same.
    pub(super) fn new(policy: Policy, steps: Option<Arc<[Arc<str>]>>, before: &Self) -> Self {
        let old = &before.policy;
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
        let results = match policy.remember == old.remember {
            true => before.results.clone(),
            false => results(policy.remember.as_ref()),
        };
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

    pub(super) fn steps(&self) -> Option<&Arc<[Arc<str>]>> {
        self.steps.as_ref()
    }

    pub(super) fn fallback(&self) -> Option<&str> {
        self.policy.fallback.as_deref()
    }

    pub(super) fn is_checked(&self) -> bool {
        self.policy.check == Some(true)
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
        self.budget.is_some() || self.policy.fallback.is_some() || self.is_checked()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            steps: None,
            rates: None,
            budget: None,
            results: results(None),
        }
    }
}

fn results(settings: Option<&Remember>) -> Arc<Results> {
    Arc::new(Results::new(settings.copied().unwrap_or_default()))
}
