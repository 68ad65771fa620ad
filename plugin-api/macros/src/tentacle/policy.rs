//! How calls of a capability are to be treated: from the settings of `#[capability(…)]` to the
//! manifest's `policy`. What each word means there is the loader's to say.

use proc_macro2::Span;
use syn::{Error, LitStr, Result};

use super::names;
use super::settings::{Settings, Switch};
use crate::json;

/// The settings that are read here.
pub(crate) const KNOWN: [&str; 10] = [
    "routing",
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

const ROUTINGS: [&str; 4] = ["round-robin", "failover", "least-in-flight", "by-key"];

/// Reads the policy of the capability of this name as JSON; none if nothing is asked for.
pub(crate) fn read(settings: &mut Settings, capability: &LitStr) -> Result<Option<String>> {
    let mut policy = Object::default();
    let routing = settings.word("routing", &ROUTINGS)?;
    policy.add("routing", routing.map(|word| json::string(&word)));
    policy.add("concurrency", settings.number("concurrency", 1)?);
    policy.add("queue", settings.number("queue", 0)?);
    policy.add("wait_ms", settings.milliseconds("wait")?);
    policy.add("breaker", breaker(settings)?);
    policy.add("retry", retry(settings)?);
    policy.add("rate", rate(settings)?);
    policy.add("remember", remember(settings)?);
    policy.add("fallback", fallback(settings, capability)?);
    policy.add("check", Some(settings.flag("check")?).filter(|it| *it));
    Ok((!policy.0.is_empty()).then(|| policy.finish()))
}

fn breaker(settings: &mut Settings) -> Result<Option<String>> {
    let known = ["failures", "calls", "window", "open", "probes", "slow"];
    switch(settings, "breaker", &known, |settings, breaker| {
        breaker.add("failures", settings.share("failures")?);
        breaker.add("calls", settings.number("calls", 1)?);
        breaker.add("window_ms", settings.milliseconds("window")?);
        breaker.add("open_ms", settings.milliseconds("open")?);
        breaker.add("probes", settings.number("probes", 1)?);
        breaker.add("slow_ms", settings.milliseconds("slow")?);
        Ok(())
    })
}

fn retry(settings: &mut Settings) -> Result<Option<String>> {
    let known = ["attempts", "backoff", "backoff_max", "budget"];
    switch(settings, "retry", &known, |settings, retry| {
        retry.add("attempts", settings.number("attempts", 2)?);
        let (first, longest) = waits(settings)?;
        retry.add("backoff_ms", first);
        retry.add("backoff_max_ms", longest);
        retry.add("budget", settings.share("budget")?);
        Ok(())
    })
}

fn remember(settings: &mut Settings) -> Result<Option<String>> {
    let known = ["results", "bytes", "time"];
    let remember = switch(settings, "remember", &known, |settings, remember| {
        remember.add("results", settings.number("results", 1)?);
        let bytes = settings.text("bytes")?;
        remember.add("bytes", bytes.as_ref().map(names::bytes).transpose()?);
        remember.add("time_ms", settings.milliseconds("time")?);
        Ok(())
    })?;
    // It is always on, so there is no word for that.
    let usual = |text: String| {
        if text == "true" {
            "{}".to_owned()
        } else {
            text
        }
    };
    Ok(remember.map(usual))
}

fn rate(settings: &mut Settings) -> Result<Option<String>> {
    let example = "say how many calls: `rate(calls = 100, per = \"1s\")`";
    let (span, mut settings) = match settings.switch("rate")? {
        None => return Ok(None),
        Some((span, Switch::Usual)) => return Err(Error::new(span, example)),
        Some((span, Switch::Settings(settings))) => (span, settings),
    };
    settings.check("rate", &["calls", "per", "burst"], &[])?;
    let mut rate = Object::default();
    let calls = settings.number("calls", 1)?;
    rate.add(
        "calls",
        Some(calls.ok_or_else(|| Error::new(span, example))?),
    );
    rate.add("per_ms", settings.milliseconds("per")?);
    rate.add("burst", settings.number("burst", 1)?);
    Ok(Some(rate.finish()))
}

fn fallback(settings: &mut Settings, capability: &LitStr) -> Result<Option<String>> {
    let Some(fallback) = settings.text("fallback")? else {
        return Ok(None);
    };
    names::name(&fallback)?;
    if fallback.value() == capability.value() {
        let message = "`fallback` is the capability itself: name another one";
        return Err(Error::new(fallback.span(), message));
    }
    Ok(Some(json::string(&fallback.value())))
}

/// Reads `backoff` and `backoff_max`, in milliseconds.
pub(crate) fn waits(settings: &mut Settings) -> Result<(Option<u64>, Option<u64>)> {
    let first = settings.milliseconds("backoff")?;
    let Some(longest) = settings.text("backoff_max")? else {
        return Ok((first, None));
    };
    let most = names::milliseconds(&longest)?;
    match first {
        Some(first) if most < first => {
            let message = "`backoff_max` is the longest wait, and `backoff` is longer";
            Err(Error::new(longest.span(), message))
        }
        first => Ok((first, Some(most))),
    }
}

/// Reads `key`, for `true`, or `key(…)`, for an object of what `fill` takes.
fn switch(
    settings: &mut Settings,
    key: &str,
    known: &[&str],
    fill: fn(&mut Settings, &mut Object) -> Result<()>,
) -> Result<Option<String>> {
    let found: Option<(Span, Switch)> = settings.switch(key)?;
    match found {
        None => Ok(None),
        Some((_, Switch::Usual)) => Ok(Some("true".to_owned())),
        Some((_, Switch::Settings(mut settings))) => {
            settings.check(key, known, &[])?;
            let mut object = Object::default();
            fill(&mut settings, &mut object)?;
            Ok(Some(object.finish()))
        }
    }
}

/// A JSON object under construction.
#[derive(Default)]
struct Object(Vec<String>);

impl Object {
    /// Adds a member that is already JSON, if there is one.
    fn add(&mut self, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            let (key, value) = (json::string(key), value.to_string());
            self.0.push(format!("{key}:{value}"));
        }
    }

    fn finish(self) -> String {
        format!("{{{}}}", self.0.join(","))
    }
}
