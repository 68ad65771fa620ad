//! How calls are treated: `[capabilities]`, said over the manifests, and `[pipelines]`.

use std::collections::{BTreeMap, BTreeSet};

use octa_loader::NameKind;
use octa_loader::policy::{Breaker, Policy, Rate, Remember, Retry, Routing, Switch, waits};

use super::ConfigError;
use super::document::{Node, Table};

/// Most steps of a pipeline.
const STEPS_MAX: usize = 32;

const KEYS: [&str; 11] = [
    "routing",
    "order",
    "concurrency",
    "queue",
    "wait",
    "breaker",
    "retry",
    "rate",
    "remember",
    "fallback",
    "check",
];

/// What can be said of a pipeline too: the rest is its steps' business.
const PIPELINE_KEYS: [&str; 2] = ["rate", "fallback"];

/// By name, the capabilities that a pipeline is, one after the other.
pub(super) type Pipelines = BTreeMap<String, Vec<String>>;

pub(super) fn pipelines(node: Node<'_>) -> Result<Pipelines, ConfigError> {
    let table = node.table()?;
    table.names(NameKind::Capability)?;
    let mut pipelines = Pipelines::new();
    for (name, node) in table.iter() {
        if name.split('.').next() == Some("kernel") {
            return Err(node.unlike("a name of the kernel's own", "one outside `kernel`"));
        }
        let steps = node.list("a capability", |step| step.name(NameKind::Capability))?;
        if steps.is_empty() || steps.len() > STEPS_MAX {
            let found = format!("a list of {}", steps.len());
            let expected = format!("1 to {STEPS_MAX} capabilities");
            return Err(node.unlike(found, expected));
        }
        pipelines.insert(name.to_owned(), steps);
    }
    for (name, node) in table.iter() {
        // Each step is looked at where it is written.
        node.list("a capability", |step| {
            let steps = |name: &str| pipelines.get(name).into_iter().flatten();
            match leads_to(steps, &step.name(NameKind::Capability)?, name) {
                true => Err(step.mismatch(&format!("a capability that does not lead to `{name}`"))),
                false => Ok(()),
            }
        })?;
    }
    Ok(pipelines)
}

/// True if calling `from` may call `to`: as itself, or as one of those that `next` names, and so
/// on.
fn leads_to<'a, Next: Iterator<Item = &'a String>>(
    next: impl Fn(&str) -> Next,
    from: &'a str,
    to: &str,
) -> bool {
    let (mut open, mut seen) = (vec![from], BTreeSet::new());
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name) {
            open.extend(next(name).map(String::as_str));
        }
    }
    false
}

pub(super) fn capabilities(
    node: Node<'_>,
    pipelines: &Pipelines,
) -> Result<BTreeMap<String, Policy>, ConfigError> {
    let table = node.table()?;
    table.names(NameKind::Capability)?;
    let mut policies = BTreeMap::new();
    for (name, node) in table.iter() {
        let policy = policy(&node.table()?, name, pipelines.contains_key(name))?;
        policies.insert(name.to_owned(), policy);
    }
    for (name, node) in table.iter() {
        let table = node.table()?;
        table.optional("fallback", |node| ends(node, name, &policies, pipelines))?;
    }
    Ok(policies)
}

/// Refuses a fallback that comes back to what it stands in for, as that would wait for itself.
fn ends(
    fallback: Node<'_>,
    own: &str,
    policies: &BTreeMap<String, Policy>,
    pipelines: &Pipelines,
) -> Result<(), ConfigError> {
    let next = |name: &str| {
        let fallback = policies.get(name).and_then(|it| it.fallback.as_ref());
        pipelines.get(name).into_iter().flatten().chain(fallback)
    };
    match leads_to(next, &fallback.name(NameKind::Capability)?, own) {
        true => Err(fallback.mismatch(&format!("a capability that does not lead to `{own}`"))),
        false => Ok(()),
    }
}

fn policy(table: &Table<'_>, name: &str, is_pipeline: bool) -> Result<Policy, ConfigError> {
    table.only(&KEYS)?;
    let mut beyond = KEYS.iter().filter(|key| !PIPELINE_KEYS.contains(key));
    if let Some(node) = beyond
        .find_map(|key| table.get(key))
        .filter(|_| is_pipeline)
    {
        let keys = PIPELINE_KEYS.map(|key| format!("`{key}`")).join(" and ");
        return Err(node.mismatch(&format!("only {keys}, as `{name}` is a pipeline")));
    }
    let routing = table.optional("routing", |node| node.choice(&Routing::WORDS))?;
    let order = table.optional("order", |node| order(node, routing))?;
    Ok(Policy {
        // Nothing else has an order.
        routing: routing.or(order.is_some().then_some(Routing::Failover)),
        order: order.unwrap_or_default(),
        concurrency: table.optional("concurrency", |node| node.number(1))?,
        queue: table.optional("queue", |node| node.number(0))?,
        wait: table.optional("wait", |node| node.duration())?,
        breaker: table.optional("breaker", |node| switch(node, breaker))?,
        retry: table.optional("retry", |node| switch(node, retry))?,
        rate: table.optional("rate", rate)?,
        remember: table.optional("remember", remember)?,
        fallback: table.optional("fallback", |node| fallback(node, name))?,
        check: table.optional("check", |node| node.boolean())?,
    })
}

fn order(node: Node<'_>, routing: Option<Routing>) -> Result<Vec<String>, ConfigError> {
    if let Some(routing) = routing.filter(|routing| *routing != Routing::Failover) {
        let expected = format!("none, as `routing` is `{:?}`", routing.as_str());
        return Err(node.mismatch(&expected));
    }
    let mut seen = BTreeSet::new();
    let order = node.list("the name of a plugin", |node| {
        let name = node.name(NameKind::Plugin)?;
        match seen.insert(name.clone()) {
            true => Ok(name),
            false => Err(node.mismatch("each plugin once")),
        }
    })?;
    match order.is_empty() {
        true => Err(node.unlike("a list of 0", "at least one plugin")),
        false => Ok(order),
    }
}

fn fallback(node: Node<'_>, own: &str) -> Result<String, ConfigError> {
    let fallback = node.name(NameKind::Capability)?;
    match fallback == own {
        true => Err(node.mismatch("another capability than the one that it stands in for")),
        false => Ok(fallback),
    }
}

/// `true`, for the defaults, `false` or a table.
fn switch<T: Default>(
    node: Node<'_>,
    read: impl FnOnce(Table<'_>) -> Result<T, ConfigError>,
) -> Result<Switch<T>, ConfigError> {
    match node.as_boolean() {
        Some(false) => Ok(Switch::Off),
        Some(true) => Ok(Switch::On(T::default())),
        None if node.is_table() => Ok(Switch::On(read(node.table()?)?)),
        None => Err(node.mismatch("`true`, `false` or a table")),
    }
}

fn breaker(table: Table<'_>) -> Result<Breaker, ConfigError> {
    table.only(&["failures", "calls", "window", "open", "probes", "slow"])?;
    let usual = Breaker::default();
    let number = |key| table.optional(key, |node| node.number(1));
    let duration = |key| table.optional(key, |node| node.duration());
    let failures = table.optional("failures", |node| node.share())?;
    Ok(Breaker {
        failures: failures.unwrap_or(usual.failures),
        calls: number("calls")?.unwrap_or(usual.calls),
        window: duration("window")?.unwrap_or(usual.window),
        open: duration("open")?.unwrap_or(usual.open),
        probes: number("probes")?.unwrap_or(usual.probes),
        slow: duration("slow")?,
    })
}

fn retry(table: Table<'_>) -> Result<Retry, ConfigError> {
    table.only(&["attempts", "backoff", "backoff_max", "budget"])?;
    let usual = Retry::default();
    let attempts = table.optional("attempts", |node| node.number(2))?;
    let first = table.optional("backoff", |node| node.duration())?;
    let longest = table.optional("backoff_max", |node| match node.duration()? {
        longest if first > Some(longest) => Err(node.mismatch("at least as long as `backoff`")),
        longest => Ok(longest),
    })?;
    let (backoff, backoff_max) = waits(first, longest, (usual.backoff, usual.backoff_max));
    let budget = table.optional("budget", |node| node.share())?;
    Ok(Retry {
        attempts: attempts.unwrap_or(usual.attempts),
        backoff,
        backoff_max,
        budget: budget.unwrap_or(usual.budget),
    })
}

fn rate(node: Node<'_>) -> Result<Switch<Rate>, ConfigError> {
    if node.as_boolean() == Some(false) {
        return Ok(Switch::Off);
    }
    let expected = "`false` or a table such as { calls = 100, per = \"1s\" }";
    if !node.is_table() {
        return Err(node.mismatch(expected));
    }
    let table = node.table()?;
    table.only(&["calls", "per", "burst"])?;
    let calls = table.optional("calls", |node| node.number(1))?;
    let calls = calls.ok_or_else(|| node.unlike("a table without `calls`", expected))?;
    let per = table.optional("per", |node| node.duration())?;
    let burst = table.optional("burst", |node| node.number(1))?;
    Ok(Switch::On(Rate {
        calls,
        per: per.unwrap_or(Rate::PER),
        burst: burst.unwrap_or(calls),
    }))
}

fn remember(node: Node<'_>) -> Result<Remember, ConfigError> {
    let table = node.table()?;
    table.only(&["results", "bytes", "time"])?;
    let usual = Remember::default();
    let results = table.optional("results", |node| node.number(1))?;
    let bytes = table.optional("bytes", |node| node.some_bytes())?;
    let time = table.optional("time", |node| node.duration())?;
    Ok(Remember {
        results: results.unwrap_or(usual.results),
        bytes: bytes.unwrap_or(usual.bytes),
        time: time.unwrap_or(usual.time),
    })
}

#[cfg(test)]
mod tests;
