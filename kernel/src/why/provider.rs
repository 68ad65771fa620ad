//! A provider of a capability, and why calls go to it or not.

use octa_loader::policy::Routing;

use super::{Cause, Facts, Scene, Why, plugin::Tree};
use crate::{
    lifecycle::State,
    services::{BreakerState, BreakerStatus, ProviderStatus, ServiceStatus},
};

/// A plugin that offers a capability, or would if it were started.
#[derive(Debug)]
pub(super) struct Provider<'a> {
    pub(super) name: &'a str,
    /// How it does, while it offers it.
    status: Option<&'a ProviderStatus>,
    stand: Stand<'a>,
}

/// What keeps calls from a provider, if anything does.
#[derive(Debug, Clone, Copy)]
enum Stand<'a> {
    Absent,
    CutOff(&'a BreakerStatus),
    OnTrial(&'a BreakerStatus),
    Full,
    Unfit,
    Fit,
}

/// All who offer a capability or would, in the order in which calls prefer them.
pub(super) fn all<'a>(scene: &'a Scene, capability: &str) -> Vec<Provider<'a>> {
    let service = scene.services.get(capability);
    let present = service.map(|it| &it.providers[..]).unwrap_or_default();
    let offers = |facts: &&Facts| facts.status.capabilities.iter().any(|it| it == capability);
    let known = scene.plugins.values().filter(offers);
    let known = known.map(|facts| facts.status.name.as_str());
    let is_present = |name: &str| present.iter().any(|it| it.plugin == name);
    let absent = known.filter(|name| !is_present(name)).map(Provider::absent);
    let mut all: Vec<_> = present
        .iter()
        .map(Provider::present)
        .chain(absent)
        .collect();
    // Also who is not started has its place in the order; among equals, the present come first.
    let order = service.map(|it| &it.policy.order[..]).unwrap_or_default();
    let place = |provider: &Provider<'_>| order.iter().position(|it| it == provider.name);
    all.sort_by_key(|provider| place(provider).unwrap_or(usize::MAX));
    all
}

/// Explains each provider.
pub(super) fn explain<'a>(
    tree: &mut Tree<'a>,
    service: Option<&'a ServiceStatus>,
    providers: &[Provider<'a>],
) -> Vec<Why> {
    let routing = service.map_or(Routing::RoundRobin, |it| it.routing);
    let explain = |provider: &Provider<'a>| {
        let (cause, text) = provider.stands(tree, routing, providers);
        let causes = provider.causes(tree.scene.now);
        let own = tree.scene.plugins.contains_key(provider.name);
        let own = own.then(|| tree.plugin(provider.name));
        Why::new(cause, provider.name, text)
            .since(provider.since(tree.scene.now))
            .because(causes)
            .because(own)
    };
    providers.iter().map(explain).collect()
}

impl<'a> Provider<'a> {
    fn absent(name: &'a str) -> Self {
        Self {
            name,
            status: None,
            stand: Stand::Absent,
        }
    }

    fn present(status: &'a ProviderStatus) -> Self {
        let limit = status.limit.map(|limit| limit as usize);
        let is_full = limit.is_some_and(|limit| status.in_flight.unwrap_or(0) >= limit);
        let breaker = status.breaker.as_ref();
        let stand = match breaker.map(|it| (it, it.state)) {
            Some((breaker, BreakerState::Open)) => Stand::CutOff(breaker),
            _ if is_full => Stand::Full,
            _ if status.own_health <= 0.0 => Stand::Unfit,
            Some((breaker, BreakerState::HalfOpen)) => Stand::OnTrial(breaker),
            Some((_, BreakerState::Closed)) | None => Stand::Fit,
        };
        Self {
            name: &status.plugin,
            status: Some(status),
            stand,
        }
    }

    fn is_fit(&self) -> bool {
        matches!(self.stand, Stand::Fit)
    }

    /// Whether calls go to it, and why.
    fn stands(&self, tree: &Tree<'_>, routing: Routing, all: &[Self]) -> (Cause, String) {
        let name = self.name;
        match self.stand {
            Stand::Absent => {
                let state = tree.scene.plugins.get(name).map(|facts| facts.status.state);
                let why = match state {
                    Some(State::Started) => "it does not offer this at the moment",
                    _ => "it is not started",
                };
                (Cause::NotOffering, format!("`{name}` gets no calls: {why}"))
            }
            Stand::CutOff(breaker) => (
                Cause::CutOff,
                format!(
                    "`{name}` gets no calls: its breaker opened over {}",
                    failures(breaker)
                ),
            ),
            Stand::OnTrial(breaker) => (
                Cause::OnTrial,
                format!(
                    "`{name}` gets single calls, to see how it does now: its breaker had opened over {}",
                    failures(breaker)
                ),
            ),
            Stand::Full => (Cause::Full, self.full()),
            Stand::Unfit => (Cause::Unfit, self.unfit(all)),
            Stand::Fit => self.fit(routing, all),
        }
    }

    fn full(&self) -> String {
        let name = self.name;
        let (limit, waiting, queue) = self.status.map_or((0, 0, 0), |status| {
            (status.limit.unwrap_or(0), status.waiting, status.queue)
        });
        let waiting = match queue {
            0 => String::new(),
            _ => format!("; {waiting} of {queue} wait for a place"),
        };
        let calls = if limit == 1 {
            "a call"
        } else {
            &*format!("{limit} calls")
        };
        format!("`{name}` has {calls} under way, as many as it may{waiting}")
    }

    fn unfit(&self, all: &[Self]) -> String {
        let (name, health) = (self.name, self.status.map_or(0.0, |it| it.own_health));
        let says = format!("it says that its health is {health:.2} of 1");
        match present(all) {
            1 => format!("`{name}` gets every call although {says}: nobody else offers this now"),
            _ => format!("`{name}` gets calls only where nobody else takes them: {says}"),
        }
    }

    fn fit(&self, routing: Routing, all: &[Self]) -> (Cause, String) {
        let name = self.name;
        let mut fit = all.iter().filter(|it| it.is_fit());
        let is_first = fit.next().is_some_and(|it| it.name == name);
        let is_only = is_first && fit.next().is_none();
        let text = match routing {
            _ if present(all) == 1 => {
                format!("`{name}` gets every call: nobody else offers this now")
            }
            Routing::Failover if is_first => {
                format!("`{name}` gets the calls: it is the first that can take them")
            }
            Routing::Failover => {
                let text = format!("`{name}` gets the calls that nobody before it takes");
                return (Cause::InReserve, text);
            }
            _ if is_only => format!("`{name}` gets the calls: nobody else can take them now"),
            Routing::RoundRobin => format!("`{name}` gets calls in its turn"),
            Routing::LeastInFlight => {
                let number = self.status.and_then(|it| it.in_flight).unwrap_or(0);
                format!("`{name}` gets calls when it has the fewest under way, {number} now")
            }
            Routing::ByKey => format!("`{name}` gets the calls whose keys belong to it"),
        };
        (Cause::GetsCalls, text)
    }

    /// Since when it is cut off.
    fn since(&self, now: u64) -> Option<u64> {
        match self.stand {
            Stand::CutOff(breaker) => Some(now.saturating_sub(nanos(breaker.for_ms))),
            _ => None,
        }
    }

    /// How its last calls went.
    fn causes(&self, now: u64) -> Vec<Why> {
        let name = self.name;
        let breaker = self.status.and_then(|it| it.breaker.as_ref());
        let Some(breaker) = breaker.filter(|it| it.failures > 0) else {
            return Vec::new();
        };
        let error = breaker.last_error.as_ref().map(|error| {
            let text = format!("the last one that failed: {error}");
            Why::new(Cause::LastError, name, text)
        });
        if breaker.state == BreakerState::Closed {
            let text = format!("{} that ended lately", failures(breaker));
            return vec![Why::new(Cause::Failing, name, text).because(error)];
        }
        let next = breaker.next_try_ms.map(|left| {
            let text = "a call is let in again, to see how it does";
            Why::new(Cause::NextTry, name, text).since(now.saturating_add(nanos(left)))
        });
        error.into_iter().chain(next).collect()
    }
}

fn present(all: &[Provider<'_>]) -> usize {
    all.iter().filter(|it| it.status.is_some()).count()
}

/// `6 failures in 10 calls`.
fn failures(breaker: &BreakerStatus) -> String {
    let count = |number: u64, noun: &str| match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    };
    let (failures, calls) = (breaker.failures, breaker.calls);
    format!("{} in {}", count(failures, "failure"), count(calls, "call"))
}

fn nanos(millis: u64) -> u64 {
    millis.saturating_mul(1_000_000)
}
