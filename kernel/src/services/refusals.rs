//! How callers are told why a call was not begun.

use std::time::Duration;

use octa_loader::policy::Switch;
use octa_plugin_api::{Error, ErrorKind};

use super::{Provider, Route, route::Providers, rules::Rules};

pub(super) fn too_soon(route: &Route, rules: &Rules, caller: &str, wait: Duration) -> Error {
    let name = route.name();
    let message = match &rules.policy().rate {
        Some(Switch::On(rate)) => format!(
            "`{caller}` calls `{name}` more often than {} times in {:?}",
            rate.calls, rate.per
        ),
        _ => format!("`{caller}` calls `{name}` too often"),
    };
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Error::new(ErrorKind::Overloaded, message)
        .with_hint(format!("call again in {:?}", Duration::from_millis(millis)))
        .with_details(serde_json::json!({ "retry_after_ms": millis }))
}

pub(super) fn no_key(route: &Route) -> Error {
    let message = format!(
        "`{}` is routed by key, and the call brings none",
        route.name()
    );
    Error::new(ErrorKind::InvalidInput, message).with_hint(
        "give the call a routing key: `ctx.with_routing_key(…)`, `octa call --routing-key …`",
    )
}

pub(super) fn cut_off(route: &Route, providers: &Providers) -> Error {
    let name = route.name();
    let breakers = providers
        .iter()
        .filter_map(|it| it.guard.as_ref()?.breaker());
    let next = breakers.filter_map(|it| it.next_try_ms).min();
    let message = match providers.len() {
        1 => format!("the provider of `{name}` is cut off because its calls fail"),
        count => format!("all {count} providers of `{name}` are cut off because their calls fail"),
    };
    let hint = format!("`octa why {name}` shows why");
    let error = Error::new(ErrorKind::Unavailable, message);
    error.with_hint(match next {
        Some(next) => format!("{hint}; it is tried again in {next} ms"),
        None => hint,
    })
}

pub(super) fn full(route: &Route, provider: &Provider) -> Error {
    let (name, plugin) = (route.name(), provider.instance.name());
    let guard = provider.guard.as_ref();
    let limit = guard.and_then(|it| it.room()).map_or(0, |it| it.limit());
    let (queue, wait) = guard.map_or((0, Duration::ZERO), |it| it.queue_of());
    let calls = if limit == 1 { "call" } else { "calls" };
    let handles =
        format!("plugin `{plugin}` handles {limit} {calls} of `{name}`, as many as it may");
    let message = match queue {
        0 => handles,
        _ => format!(
            "{handles}, and none of its places got free: {queue} may wait, for {wait:?} each"
        ),
    };
    Error::new(ErrorKind::Overloaded, message)
}
