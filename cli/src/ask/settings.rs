//! How calls of a capability are treated, as `octa.toml` would say it, and who says so.

use std::time::Duration;

use octa_loader::policy::{Breaker, Policy, Rate, Remember, Retry, Switch};

use crate::{duration, show};

const CONFIGURED: &str = "octa.toml";
const DECLARED: &str = "manifest";
const USUAL: &str = "default";

/// Settings that are in force.
#[derive(Debug)]
pub(super) struct Settings<'a> {
    /// All that is said.
    pub(super) policy: &'a Policy,
    /// What of it the configuration says.
    pub(super) configured: &'a Policy,
    /// The routing in force.
    pub(super) routing: &'a str,
    /// Whether some provider has a breaker.
    pub(super) has_breaker: bool,
}

impl Settings<'_> {
    /// A line for each that is in force, with where it comes from.
    pub(super) fn rows(&self) -> Vec<[String; 3]> {
        let says = |policy: &Policy, key: &str| values(policy).iter().any(|(said, _)| *said == key);
        let mut rows: Vec<[String; 3]> = Vec::new();
        let mut push = |key: &str, value: String, from: &str| {
            rows.push([key.to_owned(), value, from.to_owned()]);
        };
        if self.policy.routing.is_none() {
            push("routing", text(self.routing), USUAL);
        }
        for (key, value) in values(self.policy) {
            let from = match says(self.configured, key) {
                true => CONFIGURED,
                false => DECLARED,
            };
            push(key, value, from);
        }
        if self.policy.breaker.is_none() && self.has_breaker {
            push("breaker", breaker(&Breaker::default()), USUAL);
        }
        rows
    }
}

/// The time that a call has, and who says so.
pub(super) fn deadline(time: Duration, is_declared: bool) -> [String; 3] {
    let from = match is_declared {
        true => DECLARED,
        false => "call_deadline",
    };
    ["deadline".to_owned(), time_of(time), from.to_owned()]
}

/// What a policy says, by key.
fn values(policy: &Policy) -> Vec<(&'static str, String)> {
    let Policy {
        routing,
        order,
        concurrency,
        queue,
        wait,
        breaker: breaker_switch,
        retry: retry_switch,
        rate: rate_switch,
        remember: memory,
        fallback,
        check,
    } = policy;
    let order = Some(order).filter(|order| !order.is_empty());
    let values = [
        ("routing", routing.map(|it| text(it.as_str()))),
        ("order", order.map(|order| list(order))),
        ("concurrency", concurrency.map(|it| it.to_string())),
        ("queue", queue.map(|it| it.to_string())),
        ("wait", wait.map(time_of)),
        ("breaker", switch(breaker_switch.as_ref(), breaker)),
        ("retry", switch(retry_switch.as_ref(), retry)),
        ("rate", switch(rate_switch.as_ref(), rate)),
        ("remember", memory.as_ref().map(remember)),
        ("fallback", fallback.as_deref().map(text)),
        ("check", check.map(|it| it.to_string())),
    ];
    let said = values.into_iter();
    said.filter_map(|(key, value)| Some((key, value?)))
        .collect()
}

fn switch<T>(switch: Option<&Switch<T>>, on: impl FnOnce(&T) -> String) -> Option<String> {
    Some(match switch? {
        Switch::Off => "false".to_owned(),
        Switch::On(settings) => on(settings),
    })
}

fn breaker(it: &Breaker) -> String {
    let slow = it.slow.map(|slow| format!(", slow = {}", time_of(slow)));
    format!(
        "{{ failures = {}, calls = {}, window = {}, open = {}, probes = {}{} }}",
        it.failures,
        it.calls,
        time_of(it.window),
        time_of(it.open),
        it.probes,
        slow.unwrap_or_default()
    )
}

fn retry(it: &Retry) -> String {
    format!(
        "{{ attempts = {}, backoff = {}, backoff_max = {}, budget = {} }}",
        it.attempts,
        time_of(it.backoff),
        time_of(it.backoff_max),
        it.budget
    )
}

fn rate(it: &Rate) -> String {
    let (calls, per, burst) = (it.calls, time_of(it.per), it.burst);
    format!("{{ calls = {calls}, per = {per}, burst = {burst} }}")
}

fn remember(it: &Remember) -> String {
    let (results, bytes) = (it.results, show::bytes(it.bytes));
    let (bytes, time) = (text(&bytes), time_of(it.time));
    format!("{{ results = {results}, bytes = {bytes}, time = {time} }}")
}

pub(super) fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| text(name)).collect();
    format!("[{}]", names.join(", "))
}

/// No name has anything in it that would have to be escaped.
fn text(text: &str) -> String {
    format!("\"{text}\"")
}

fn time_of(time: Duration) -> String {
    text(&duration::shortest(time))
}

#[cfg(test)]
mod tests {
    use octa_loader::policy::Routing;

    use super::*;

    #[test]
    fn settings_are_told_as_they_are_written_with_who_says_so() {
        let configured = Policy {
            routing: Some(Routing::Failover),
            order: vec!["lamp".to_owned(), "torch".to_owned()],
            rate: Some(Switch::On(Rate {
                calls: 100,
                per: Duration::from_millis(1500),
                burst: 20,
            })),
            ..Policy::default()
        };
        let declared = Policy {
            routing: Some(Routing::ByKey),
            retry: Some(Switch::On(Retry::default())),
            remember: Some(Remember::default()),
            check: Some(true),
            ..Policy::default()
        };
        let settings = Settings {
            policy: &configured.over(&declared),
            configured: &configured,
            routing: "failover",
            has_breaker: true,
        };
        let told = show::table(["SETTING", "VALUE", "FROM"], &settings.rows(), None);
        assert_eq!(
            told,
            r#"SETTING   VALUE                                                                    FROM
routing   "failover"                                                               octa.toml
order     ["lamp", "torch"]                                                        octa.toml
retry     { attempts = 3, backoff = "50ms", backoff_max = "1s", budget = 0.2 }     manifest
rate      { calls = 100, per = "1500ms", burst = 20 }                              octa.toml
remember  { results = 1024, bytes = "16MiB", time = "10m" }                        manifest
check     true                                                                     manifest
breaker   { failures = 0.5, calls = 10, window = "10s", open = "5s", probes = 1 }  default"#
        );
    }

    #[test]
    fn what_is_said_is_understood_where_it_is_said() {
        let policy = Policy {
            routing: Some(Routing::Failover),
            order: vec!["lamp".to_owned()],
            concurrency: Some(8),
            queue: Some(32),
            wait: Some(Duration::from_secs(60)),
            breaker: Some(Switch::On(Breaker {
                failures: 0.125,
                slow: Some(Duration::from_millis(200)),
                ..Breaker::default()
            })),
            retry: Some(Switch::Off),
            rate: Some(Switch::On(Rate {
                calls: 7,
                per: Duration::from_secs(7200),
                burst: 3,
            })),
            remember: Some(Remember {
                bytes: 3 << 10,
                ..Remember::default()
            }),
            fallback: Some("lamp.dark".to_owned()),
            check: Some(false),
        };
        let lines = values(&policy).into_iter();
        let lines: Vec<String> = lines
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        let toml = format!("[capabilities.\"lamp.on\"]\n{}", lines.join("\n"));
        let config = octa_kernel::Config::parse(&toml, "octa.toml").expect("what was told");
        assert_eq!(config.capabilities["lamp.on"], policy);
    }
}
