//! Capabilities and how they do, as people read it.

use std::time::Duration;

use octa_loader::policy::Policy;
use serde::Deserialize;

use super::settings::{self, Settings};
use crate::show;

/// A capability, as far as it is shown.
#[derive(Debug, Deserialize)]
pub(super) struct Service {
    name: String,
    description: String,
    routing: String,
    policy: Policy,
    configured: Policy,
    steps: Vec<String>,
    idempotent: bool,
    deadline_ms: u64,
    providers: Vec<Provider>,
    counts: Counts,
    remembered: usize,
}

#[derive(Debug, Deserialize)]
struct Provider {
    plugin: String,
    deadline_ms: Option<u64>,
    health: f64,
    own_health: f64,
    seen_health: f64,
    breaker: Option<Breaker>,
    in_flight: Option<usize>,
    limit: Option<u32>,
    waiting: u32,
    queue: u32,
    measured: Option<Measured>,
}

#[derive(Debug, Deserialize)]
struct Breaker {
    state: String,
    for_ms: u64,
    calls: u64,
    failures: u64,
    next_try_ms: Option<u64>,
    last_error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Measured {
    calls: u64,
    failed: u64,
    per_second: f64,
    p50: u64,
    p99: u64,
    max: u64,
}

#[derive(Debug, Deserialize)]
struct Counts {
    retried: u64,
    fallen_back: u64,
    too_soon: u64,
    no_place: u64,
    cut_off: u64,
    remembered: u64,
}

/// What is not known, or does not apply.
const NONE: &str = "-";

/// A line for each provider of each capability.
pub(super) fn all(services: &[Service], width: Option<usize>) -> String {
    let rows: Vec<[String; 11]> = services.iter().flat_map(Service::rows).collect();
    let heading = [
        "NAME",
        "PROVIDER",
        "ROUTING",
        "HEALTH",
        "BREAKER",
        "IN FLIGHT",
        "WAITING",
        "RATE",
        "ERRORS",
        "P50",
        "P99",
    ];
    match rows.len() {
        0 => "no capabilities".to_owned(),
        _ => {
            let table = show::table(heading, &rows, width);
            let hint = hint(
                services.iter().flat_map(|it| &it.providers),
                "octa services",
            );
            table + &hint
        }
    }
}

/// All that is known of one.
pub(super) fn one(service: &Service) -> String {
    let Service {
        name,
        description,
        providers,
        ..
    } = service;
    let description = show::one_line(description.lines().next().unwrap_or_default());
    let title = match &*description {
        "" => name.clone(),
        description => format!("{name}: {description}"),
    };
    let settings = show::table(["SETTING", "VALUE", "FROM"], &service.settings(), None);
    let mut parts = vec![title, settings];
    if providers.is_empty() && service.steps.is_empty() {
        parts.push(format!(
            "no plugin that offers it is started\nhint: `octa why {name}` tells why"
        ));
    } else if !providers.is_empty() {
        let rows: Vec<[String; 11]> = providers.iter().map(Provider::details).collect();
        let heading = [
            "PROVIDER",
            "OWN HEALTH",
            "SEEN HEALTH",
            "BREAKER",
            "IN FLIGHT",
            "WAITING",
            "RATE",
            "ERRORS",
            "P50",
            "P99",
            "MAX",
        ];
        let table = show::table(heading, &rows, None);
        let breakers = providers.iter().filter_map(Provider::breaker);
        let lines: Vec<String> = [table].into_iter().chain(breakers).collect();
        parts.push(lines.join("\n"));
    }
    parts.push(service.counts());
    parts.join("\n\n") + &hint(providers, &format!("octa services {name}"))
}

impl Service {
    fn rows(&self) -> Vec<[String; 11]> {
        if !self.steps.is_empty() {
            let mut row = [const { String::new() }; 11].map(|_| NONE.to_owned());
            row[0].clone_from(&self.name);
            row[1] = "(pipeline)".to_owned();
            return vec![row];
        }
        let row = |it: &Provider| {
            let [rate, errors, p50, p99, _] = measured(it.measured.as_ref());
            [
                self.name.clone(),
                it.plugin.clone(),
                self.routing.clone(),
                format!("{:.2}", it.health),
                it.state().to_owned(),
                it.in_flight(),
                it.waiting(),
                rate,
                errors,
                p50,
                p99,
            ]
        };
        self.providers.iter().map(row).collect()
    }

    /// How its calls are treated, and who says so.
    fn settings(&self) -> Vec<[String; 3]> {
        let settings = Settings {
            policy: &self.policy,
            configured: &self.configured,
            routing: &self.routing,
            has_breaker: self.providers.iter().any(|it| it.breaker.is_some()),
        };
        let line = |key: &str, value: String, from: &str| [key.to_owned(), value, from.to_owned()];
        let is_pipeline = !self.steps.is_empty();
        let steps = is_pipeline.then(|| line("steps", settings::list(&self.steps), "octa.toml"));
        let mut rows = settings.rows();
        if is_pipeline {
            // Whom a call goes to is the business of its steps.
            rows.retain(|[key, ..]| key != "routing");
        } else {
            rows.push(line("idempotent", self.idempotent.to_string(), "manifest"));
        }
        let declared = self.providers.first().and_then(|it| it.deadline_ms);
        let deadline = Duration::from_millis(self.deadline_ms);
        rows.push(settings::deadline(deadline, declared.is_some()));
        steps.into_iter().chain(rows).collect()
    }

    /// What became of its calls beside answers and errors.
    fn counts(&self) -> String {
        let Counts {
            retried,
            fallen_back,
            too_soon,
            no_place,
            cut_off,
            remembered,
        } = self.counts;
        format!(
            "{retried} retried, {fallen_back} fallen back, {too_soon} too soon, {no_place} no \
             place, {cut_off} cut off, {remembered} remembered; {} kept for idempotency keys",
            show::count(self.remembered, "result")
        )
    }
}

impl Provider {
    fn details(&self) -> [String; 11] {
        let [rate, errors, p50, p99, max] = measured(self.measured.as_ref());
        [
            self.plugin.clone(),
            format!("{:.2}", self.own_health),
            format!("{:.2}", self.seen_health),
            self.state().to_owned(),
            self.in_flight(),
            self.waiting(),
            rate,
            errors,
            p50,
            p99,
            max,
        ]
    }

    fn state(&self) -> &str {
        self.breaker.as_ref().map_or(NONE, |it| &it.state)
    }

    fn in_flight(&self) -> String {
        match (self.in_flight, self.limit) {
            (Some(number), Some(limit)) => format!("{number}/{limit}"),
            (Some(number), None) => number.to_string(),
            (None, _) => NONE.to_owned(),
        }
    }

    fn waiting(&self) -> String {
        match self.limit {
            Some(_) => format!("{}/{}", self.waiting, self.queue),
            None => NONE.to_owned(),
        }
    }

    /// What its breaker knows, where that knows of failures.
    fn breaker(&self) -> Option<String> {
        let breaker = self.breaker.as_ref();
        let breaker = breaker.filter(|it| it.failures > 0 || it.last_error.is_some())?;
        let Breaker {
            state,
            for_ms,
            calls,
            failures,
            next_try_ms,
            last_error,
        } = breaker;
        let time = |millis: u64| show::took(Duration::from_millis(millis));
        let mut text = match state.as_str() {
            "closed" => format!(
                "{}: breaker closed, {failures} of {calls} calls failed",
                self.plugin
            ),
            state => format!(
                "{}: breaker {state} for {}, after {failures} of {calls} calls failed",
                self.plugin,
                time(*for_ms)
            ),
        };
        if let Some(next) = next_try_ms {
            text.push_str(&format!(", tried again in {}", time(*next)));
        }
        if let Some(error) = last_error {
            text.push_str(&format!("; last error: {}", show::one_line(error)));
        }
        Some(text)
    }
}

/// Rate, errors, and three latencies.
fn measured(measured: Option<&Measured>) -> [String; 5] {
    let Some(it) = measured else {
        return [NONE; 5].map(str::to_owned);
    };
    let time = |micros: u64| match it.calls {
        0 => NONE.to_owned(),
        _ => show::took(Duration::from_micros(micros)),
    };
    [
        rate(it.per_second),
        format!("{}/{}", it.failed, it.calls),
        time(it.p50),
        time(it.p99),
        time(it.max),
    ]
}

/// In two or three digits.
fn rate(per_second: f64) -> String {
    match per_second {
        ..10.0 => format!("{per_second:.1}/s"),
        _ => format!("{per_second:.0}/s"),
    }
}

/// How to see what is not measured, where there is any.
fn hint<'a>(providers: impl IntoIterator<Item = &'a Provider>, command: &str) -> String {
    let mut providers = providers.into_iter();
    match providers.any(|it| it.measured.is_none()) {
        true => format!(
            "\n\nhint: `{command} --for 2s` measures what is not measured, `measure = true` in \
             `[kernel]` always"
        ),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests;
