//! How calls of a capability are treated, and what says so.

use std::time::Duration;

use octa_loader::policy::{Breaker, Policy, Rate, Retry, Routing, Switch};

use super::{Cause, Why};
use crate::services::{ServiceStatus, WAIT};

/// Who says a setting: the configuration, a manifest, or nobody.
pub(super) fn said(service: &ServiceStatus, has: impl Fn(&Policy) -> bool) -> String {
    if has(&service.configured) {
        format!(
            "as the configuration says in `[capabilities.\"{}\"]`",
            service.name
        )
    } else if has(&service.policy) {
        "as a manifest declares".to_owned()
    } else {
        "as is usual".to_owned()
    }
}

/// Which of several providers a call goes to, where there are several or it is said.
pub(super) fn routing(service: &ServiceStatus, providers: usize) -> Option<Why> {
    let policy = &service.policy;
    let is_said = policy.routing.is_some() || !policy.order.is_empty();
    if providers < 2 && !is_said {
        return None;
    }
    let order = match &policy.order[..] {
        [] => "its providers".to_owned(),
        order => format!("`{}`", order.join("`, `")),
    };
    let calls = match service.routing {
        Routing::RoundRobin => "calls go to its providers in turn".to_owned(),
        Routing::Failover => format!("calls go to the first of {order} that can take them"),
        Routing::LeastInFlight => {
            "calls go to the provider with the fewest of them under way for its health".to_owned()
        }
        Routing::ByKey => {
            "calls go to the provider that their routing key belongs to, and none without a key"
                .to_owned()
        }
    };
    let word = service.routing.as_str();
    let said = said(service, |policy| policy.routing.is_some());
    let text = format!("{calls}: its routing is `{word}`, {said}");
    Some(Why::new(Cause::Routing, &service.name, text))
}

/// What else holds for its calls; the time that they have only where that is `asked` for or is
/// not the usual one.
pub(super) fn rules(service: &ServiceStatus, is_asked: bool) -> Vec<Why> {
    let is_pipeline = !service.steps.is_empty();
    let of_providers = || [concurrency(service), breaker(service), retry(service)];
    let mut rules: Vec<Option<Why>> = vec![deadline(service, is_asked)];
    if !is_pipeline {
        rules.extend(of_providers());
    }
    rules.extend([rate(service), check(service), remember(service)]);
    rules.into_iter().flatten().collect()
}

fn rule(
    service: &ServiceStatus,
    cause: Cause,
    what: &str,
    has: impl Fn(&Policy) -> bool,
) -> Option<Why> {
    let text = format!("{what}, {}", said(service, has));
    Some(Why::new(cause, &service.name, text))
}

fn deadline(service: &ServiceStatus, is_asked: bool) -> Option<Why> {
    let declared = service.providers.first().and_then(|it| it.deadline_ms);
    let said = match declared {
        Some(_) => "as a manifest declares",
        None if is_asked => "as `call_deadline` in `[kernel]` says",
        None => return None,
    };
    let time = Duration::from_millis(service.deadline_ms);
    let text = format!("a call has {time:?} unless its caller says otherwise, {said}");
    Some(Why::new(Cause::Limit, &service.name, text))
}

fn concurrency(service: &ServiceStatus) -> Option<Why> {
    let policy = &service.policy;
    let (limit, wait) = (policy.concurrency?, policy.wait.unwrap_or(WAIT));
    let more = match policy.queue.unwrap_or(0) {
        0 => "what comes beyond is refused".to_owned(),
        queue => format!("{queue} more wait for a place, each for up to {wait:?}"),
    };
    let calls = if limit == 1 {
        "one call"
    } else {
        &*format!("{limit} calls")
    };
    let what = format!("a provider has at most {calls} under way; {more}");
    rule(service, Cause::Limit, &what, |it| it.concurrency.is_some())
}

fn breaker(service: &ServiceStatus) -> Option<Why> {
    let settings = match service.policy.breaker {
        Some(Switch::Off) => {
            let what = "a provider whose calls fail gets them all the same";
            return rule(service, Cause::Breaker, what, |it| it.breaker.is_some());
        }
        Some(Switch::On(settings)) => settings,
        None if service.providers.len() > 1 => Breaker::default(),
        None => return None,
    };
    let Breaker {
        failures,
        calls,
        window,
        open,
        slow,
        ..
    } = settings;
    let slow = slow.map(|slow| format!(" or take longer than {slow:?}"));
    let what = format!(
        "a provider gets no calls for {open:?} once {} % of at least {calls} within {window:?} fail{}",
        percent(failures),
        slow.unwrap_or_default()
    );
    rule(service, Cause::Breaker, &what, |it| it.breaker.is_some())
}

fn retry(service: &ServiceStatus) -> Option<Why> {
    let what = match service.policy.retry? {
        Switch::Off => "a call that fails is not tried again".to_owned(),
        Switch::On(Retry {
            attempts,
            backoff,
            backoff_max,
            budget,
        }) => {
            let which = match service.idempotent {
                true => "a call that fails",
                false => "a call that fails and has an idempotency key",
            };
            format!(
                "{which} is tried up to {attempts} times, {backoff:?} to {backoff_max:?} apart, as long as there are no more retries than {} % of the calls",
                percent(budget)
            )
        }
    };
    rule(service, Cause::Retry, &what, |it| it.retry.is_some())
}

fn rate(service: &ServiceStatus) -> Option<Why> {
    let what = match service.policy.rate? {
        Switch::Off => "a caller may call as often as it likes".to_owned(),
        Switch::On(Rate { calls, per, burst }) => {
            format!("a caller may call {calls} times in {per:?}, and {burst} times at once")
        }
    };
    rule(service, Cause::Limit, &what, |it| it.rate.is_some())
}

fn check(service: &ServiceStatus) -> Option<Why> {
    let what = match service.policy.check? {
        true => "input and output are checked against the declared schemas",
        false => "input and output are not checked against the declared schemas",
    };
    rule(service, Cause::Kept, what, |it| it.check.is_some())
}

/// Of calls with an idempotency key, where it is said how much or there are some.
fn remember(service: &ServiceStatus) -> Option<Why> {
    let (settings, now) = (service.policy.remember, service.remembered);
    if settings.is_none() && now == 0 {
        return None;
    }
    let settings = settings.unwrap_or_default();
    let what = format!(
        "results of calls with an idempotency key are remembered for {:?}, {} at most and {now} now",
        settings.time, settings.results
    );
    rule(service, Cause::Kept, &what, |it| it.remember.is_some())
}

/// As short as it is exact.
fn percent(share: f64) -> f64 {
    (share * 10_000.0).round() / 100.0
}
