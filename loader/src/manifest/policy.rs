//! How calls of a capability are treated: what a manifest says of it, and what the configuration
//! says over that.
//!
//! Types and defaults only; treating calls so is the kernel's job, and reading them from a
//! configuration is too.

use std::time::Duration;

use serde::{Deserialize, Serialize};

mod form;

pub(super) use form::{at_least_one, milliseconds, optional_milliseconds};

/// How calls of a capability are treated. What is absent was not asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Which of several providers gets a call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
    /// Plugins, first choice first, for [`Routing::Failover`]; a manifest says nothing of others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
    /// Most calls at once in one provider; at least 1.
    #[serde(
        deserialize_with = "form::optional_at_least_one",
        skip_serializing_if = "Option::is_none"
    )]
    pub concurrency: Option<u32>,
    /// How many more may wait for a place; 0 unless it is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<u32>,
    /// How long they wait at most; 1 s unless it is said. Written in milliseconds, as all times.
    #[serde(
        rename = "wait_ms",
        with = "optional_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub wait: Option<Duration>,
    /// Whether and when calls are kept from a provider that fails.
    #[serde(
        deserialize_with = "form::switch",
        skip_serializing_if = "Option::is_none"
    )]
    pub breaker: Option<Switch<Breaker>>,
    /// Whether and how a call that failed is tried again.
    #[serde(
        deserialize_with = "form::switch",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry: Option<Switch<Retry>>,
    /// How many calls one caller may make; no rate is the usual one, so `true` is none.
    #[serde(
        deserialize_with = "form::switch_of_settings",
        skip_serializing_if = "Option::is_none"
    )]
    pub rate: Option<Switch<Rate>>,
    /// The memory of results of calls with an idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remember: Option<Remember>,
    /// The capability that answers when no provider can.
    #[serde(
        deserialize_with = "form::capability_name",
        skip_serializing_if = "Option::is_none"
    )]
    pub fallback: Option<String>,
    /// Whether input and output are checked against the declared schemas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<bool>,
}

impl Policy {
    /// True if nothing was asked for.
    pub fn is_empty(&self) -> bool {
        *self == Policy::default()
    }

    /// What results if this one is said over `under`: each of its settings holds, and what it does
    /// not say is as `under` says.
    ///
    /// A setting with settings of its own, as a breaker, is taken whole from one of them.
    pub fn over(&self, under: &Policy) -> Policy {
        let order = match self.order.is_empty() {
            true => &under.order,
            false => &self.order,
        };
        Policy {
            routing: self.routing.or(under.routing),
            order: order.clone(),
            concurrency: self.concurrency.or(under.concurrency),
            queue: self.queue.or(under.queue),
            wait: self.wait.or(under.wait),
            breaker: self.breaker.or(under.breaker),
            retry: self.retry.or(under.retry),
            rate: self.rate.or(under.rate),
            remember: self.remember.or(under.remember),
            fallback: self.fallback.as_ref().or(under.fallback.as_ref()).cloned(),
            check: self.check.or(under.check),
        }
    }
}

/// Which of several providers gets a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// Each in turn.
    RoundRobin,
    /// The first one of an order that can.
    Failover,
    /// The one with the fewest calls under way.
    LeastInFlight,
    /// Always the same one for the same key.
    ByKey,
}

impl Routing {
    /// The words for them, in the order in which they are told.
    pub const WORDS: [(&str, Self); 4] = [
        ("round-robin", Self::RoundRobin),
        ("failover", Self::Failover),
        ("least-in-flight", Self::LeastInFlight),
        ("by-key", Self::ByKey),
    ];

    /// The word for it in a manifest and in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Failover => "failover",
            Self::LeastInFlight => "least-in-flight",
            Self::ByKey => "by-key",
        }
    }
}

/// Something that can be turned off, or on with its settings: written `false`, `true` for the
/// defaults, or as the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch<T> {
    /// It is not to be.
    Off,
    /// It is to be, so.
    On(T),
}

impl<T> Switch<T> {
    /// The settings, if it is on.
    pub fn on(self) -> Option<T> {
        match self {
            Switch::Off => None,
            Switch::On(settings) => Some(settings),
        }
    }
}

/// When calls are kept from a provider that fails, and when it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Breaker {
    /// The share of failures that opens it, above 0 and at most 1.
    #[serde(deserialize_with = "form::share")]
    pub failures: f64,
    /// As many calls must have ended in the window before it is judged; at least 1.
    #[serde(deserialize_with = "at_least_one")]
    pub calls: u32,
    /// How far back failures count.
    #[serde(rename = "window_ms", with = "milliseconds")]
    pub window: Duration,
    /// How long no call is let in once it opened.
    #[serde(rename = "open_ms", with = "milliseconds")]
    pub open: Duration,
    /// How many calls are let in at once then, all of which must be good; at least 1.
    #[serde(deserialize_with = "at_least_one")]
    pub probes: u32,
    /// A slower answer counts as a failure.
    #[serde(
        rename = "slow_ms",
        with = "optional_milliseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub slow: Option<Duration>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failures: 0.5,
            calls: 10,
            window: Duration::from_secs(10),
            open: Duration::from_secs(5),
            probes: 1,
            slow: None,
        }
    }
}

/// How a call that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "form::RetryFields")]
pub struct Retry {
    /// How often it is tried in all, with the first time; at least 2.
    pub attempts: u32,
    /// How long it waits before the second attempt; each further one waits longer.
    #[serde(rename = "backoff_ms", with = "milliseconds")]
    pub backoff: Duration,
    /// The longest that it waits.
    #[serde(rename = "backoff_max_ms", with = "milliseconds")]
    pub backoff_max: Duration,
    /// How many retries there may be for each call of the capability, above 0 and at most 1.
    pub budget: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: Duration::from_millis(50),
            backoff_max: Duration::from_secs(1),
            budget: 0.2,
        }
    }
}

/// The first and the longest wait of somebody who tries again; the one that is not said follows
/// the one that is, where the usual one would contradict it.
pub fn waits(
    first: Option<Duration>,
    longest: Option<Duration>,
    usual: (Duration, Duration),
) -> (Duration, Duration) {
    match (first, longest) {
        (None, Some(longest)) => (usual.0.min(longest), longest),
        (Some(first), None) => (first, usual.1.max(first)),
        (first, longest) => (first.unwrap_or(usual.0), longest.unwrap_or(usual.1)),
    }
}

/// How many calls one caller may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "form::RateFields")]
pub struct Rate {
    /// So many calls; at least 1.
    pub calls: u32,
    /// In so long a time; 1 s unless it is said.
    #[serde(rename = "per_ms", with = "milliseconds")]
    pub per: Duration,
    /// How many may come at once; at least 1, and `calls` unless it is said.
    pub burst: u32,
}

impl Rate {
    /// How long a time a number of calls is for, unless it is said.
    pub const PER: Duration = Duration::from_secs(1);
}

/// How much is remembered of results of calls with an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remember {
    /// Most results; at least 1.
    #[serde(deserialize_with = "at_least_one")]
    pub results: u32,
    /// Most bytes of them all; at least 1.
    #[serde(deserialize_with = "at_least_one")]
    pub bytes: u64,
    /// How long each is remembered.
    #[serde(rename = "time_ms", with = "milliseconds")]
    pub time: Duration,
}

impl Default for Remember {
    fn default() -> Self {
        Self {
            results: 1024,
            bytes: 16 << 20,
            time: Duration::from_secs(600),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
