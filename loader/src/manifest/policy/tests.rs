//! What policies look like as JSON, what is told when they look otherwise, and what one over
//! another says.

use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(json: Value) -> Policy {
    serde_json::from_value(json).expect("a policy")
}

/// Checks the message and the field that it is told of.
#[track_caller]
fn refuses(json: Value, field: &str, expected: &str) {
    let error = serde_path_to_error::deserialize::<_, Policy>(&json).expect_err("no policy");
    let told = format!("{}: {}", error.path(), error.inner());
    assert_eq!(told, format!("{field}: {expected}"), "for `{json}`");
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

#[test]
fn nothing_said_is_nothing_asked_for() {
    let none = read(json!({}));
    assert!(none.is_empty());
    assert_eq!(none, Policy::default());
    assert_eq!(serde_json::to_value(&none).expect("JSON"), json!({}));
    assert_eq!(
        read(json!({"breaker": null, "wait_ms": null, "fallback": null})),
        none
    );
    assert!(!read(json!({"check": false})).is_empty());
}

#[test]
fn everything_is_read() {
    let policy = read(json!({
        "routing": "least-in-flight",
        "concurrency": 8,
        "queue": 0,
        "wait_ms": 1_500,
        "breaker": {"failures": 1, "calls": 3, "window_ms": 1, "open_ms": 2, "probes": 4, "slow_ms": 5},
        "retry": {"attempts": 2, "backoff_ms": 7, "backoff_max_ms": 8, "budget": 0.25},
        "rate": {"calls": 100, "per_ms": 60_000, "burst": 20},
        "remember": {"results": 1, "bytes": 2, "time_ms": 3},
        "fallback": "lamps.cached",
        "check": true,
    }));
    let milliseconds = Duration::from_millis;
    let expected = Policy {
        routing: Some(Routing::LeastInFlight),
        order: Vec::new(),
        concurrency: Some(8),
        queue: Some(0),
        wait: Some(milliseconds(1_500)),
        breaker: Some(Switch::On(Breaker {
            failures: 1.0,
            calls: 3,
            window: milliseconds(1),
            open: milliseconds(2),
            probes: 4,
            slow: Some(milliseconds(5)),
        })),
        retry: Some(Switch::On(Retry {
            attempts: 2,
            backoff: milliseconds(7),
            backoff_max: milliseconds(8),
            budget: 0.25,
        })),
        rate: Some(Switch::On(Rate {
            calls: 100,
            per: seconds(60),
            burst: 20,
        })),
        remember: Some(Remember {
            results: 1,
            bytes: 2,
            time: milliseconds(3),
        }),
        fallback: Some("lamps.cached".to_owned()),
        check: Some(true),
    };
    assert_eq!(policy, expected);
    for (word, routing) in Routing::WORDS {
        assert_eq!(read(json!({"routing": word})).routing, Some(routing));
        assert_eq!(routing.as_str(), word);
    }
}

#[test]
fn what_is_left_out_of_settings_has_its_default() {
    let on = read(json!({"breaker": true, "retry": true, "rate": {"calls": 7}, "remember": {}}));
    let rate = Rate {
        calls: 7,
        per: Rate::PER,
        burst: 7,
    };
    assert_eq!(on.breaker, Some(Switch::On(Breaker::default())));
    assert_eq!(on.retry, Some(Switch::On(Retry::default())));
    assert_eq!(on.rate, Some(Switch::On(rate)));
    assert_eq!(on.remember, Some(Remember::default()));
    assert_eq!(
        read(json!({"breaker": {}, "retry": {}})).breaker,
        on.breaker
    );
    let off = read(json!({"breaker": false, "retry": false, "rate": false}));
    assert_eq!(off.breaker, Some(Switch::Off));
    assert_eq!(off.retry, Some(Switch::Off));
    assert_eq!(off.rate, Some(Switch::Off));
}

#[test]
fn a_wait_that_is_not_said_follows_the_one_that_is() {
    let usual = (seconds(2), seconds(10));
    for (first, longest, expected) in [
        (None, None, (2, 10)),
        (Some(5), None, (5, 10)),
        (Some(20), None, (20, 20)),
        (None, Some(5), (2, 5)),
        (None, Some(1), (1, 1)),
        (Some(3), Some(4), (3, 4)),
    ] {
        let found = waits(first.map(seconds), longest.map(seconds), usual);
        assert_eq!(found, (seconds(expected.0), seconds(expected.1)));
    }
    let Some(Switch::On(retry)) = read(json!({"retry": {"backoff_ms": 5_000}})).retry else {
        panic!("retries are on");
    };
    assert_eq!(retry.backoff_max, seconds(5));
}

#[test]
fn each_mistake_is_told_with_its_field() {
    for (json, field, expected) in [
        (
            json!({"routing": "round"}),
            "routing",
            "unknown variant `round`, expected one of `round-robin`, `failover`, \
             `least-in-flight`, `by-key`",
        ),
        (
            json!({"concurrency": 0}),
            "concurrency",
            "found 0, expected at least 1",
        ),
        (
            json!({"wait_ms": 0}),
            "wait_ms",
            "found 0, expected at least 1",
        ),
        (
            json!({"breaker": "on"}),
            "breaker",
            "invalid type: string \"on\", expected `true`, `false` or settings",
        ),
        (
            json!({"breaker": {"failures": 0}}),
            "breaker.failures",
            "found 0, expected a share above 0 and at most 1",
        ),
        (
            json!({"breaker": {"failures": 1.5}}),
            "breaker.failures",
            "found 1.5, expected a share above 0 and at most 1",
        ),
        (
            json!({"breaker": {"calls": 0}}),
            "breaker.calls",
            "found 0, expected at least 1",
        ),
        (
            json!({"breaker": {"probes": 0}}),
            "breaker.probes",
            "found 0, expected at least 1",
        ),
        (
            json!({"breaker": {"window_ms": 0}}),
            "breaker.window_ms",
            "found 0, expected at least 1",
        ),
        (
            json!({"breaker": {"open_ms": 0}}),
            "breaker.open_ms",
            "found 0, expected at least 1",
        ),
        (
            json!({"breaker": {"slow_ms": 0}}),
            "breaker.slow_ms",
            "found 0, expected at least 1",
        ),
        (
            json!({"retry": {"attempts": 1}}),
            "retry.attempts",
            "found 1, expected at least 2",
        ),
        (
            json!({"retry": {"backoff_ms": 0}}),
            "retry.backoff_ms",
            "found 0, expected at least 1",
        ),
        (
            json!({"retry": {"budget": -0.1}}),
            "retry.budget",
            "found -0.1, expected a share above 0 and at most 1",
        ),
        (
            json!({"rate": true}),
            "rate",
            "found `true`, expected `false` or settings, which have no defaults here",
        ),
        (
            json!({"rate": 7}),
            "rate",
            "invalid type: integer `7`, expected `false` or settings",
        ),
        (
            json!({"rate": {"per_ms": 5}}),
            "rate",
            "missing field `calls`",
        ),
        (
            json!({"rate": {"calls": 0}}),
            "rate.calls",
            "found 0, expected at least 1",
        ),
        (
            json!({"rate": {"calls": 1, "per_ms": 0}}),
            "rate.per_ms",
            "found 0, expected at least 1",
        ),
        (
            json!({"rate": {"calls": 1, "burst": 0}}),
            "rate.burst",
            "found 0, expected at least 1",
        ),
        (
            json!({"remember": {"results": 0}}),
            "remember.results",
            "found 0, expected at least 1",
        ),
        (
            json!({"remember": {"bytes": 0}}),
            "remember.bytes",
            "found 0, expected at least 1",
        ),
        (
            json!({"remember": {"time_ms": 0}}),
            "remember.time_ms",
            "found 0, expected at least 1",
        ),
        (
            json!({"fallback": "lamps cached"}),
            "fallback",
            "capability `lamps cached` has ` ` at position 6, expected a letter, a digit, `_` or `-`",
        ),
        (
            json!({"fallback": "a".repeat(256)}),
            "fallback",
            &format!(
                "capability `{}…` is 256 bytes long, at most 255 are allowed",
                "a".repeat(80)
            ),
        ),
    ] {
        refuses(json, field, expected);
    }
}

#[test]
fn what_the_upper_one_says_holds() {
    let upper = read(json!({"routing": "by-key", "queue": 0, "breaker": false, "check": false}));
    let mut lower = read(json!({
        "routing": "failover", "concurrency": 8, "queue": 9, "wait_ms": 5, "breaker": true,
        "retry": true, "rate": {"calls": 1}, "remember": {}, "fallback": "b", "check": true,
    }));
    lower.order = vec!["one".to_owned()];
    let both = Policy {
        routing: upper.routing,
        queue: Some(0),
        breaker: Some(Switch::Off),
        check: Some(false),
        ..lower.clone()
    };
    assert_eq!(upper.over(&lower), both);
    assert_eq!(Policy::default().over(&lower), lower);
    assert_eq!(lower.over(&Policy::default()), lower);
    let other = Policy {
        order: vec!["two".to_owned()],
        ..Policy::default()
    };
    assert_eq!(other.over(&lower).order, ["two"]);
}

/// Whole milliseconds, as they are written.
fn time() -> impl Strategy<Value = Duration> {
    (1..u64::MAX).prop_map(Duration::from_millis)
}

fn share() -> impl Strategy<Value = f64> {
    (1..=10_000_u32).prop_map(|share| f64::from(share) / 10_000.0)
}

fn number() -> impl Strategy<Value = u32> {
    1..=u32::MAX
}

fn switch<T: Clone + std::fmt::Debug>(
    settings: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<Switch<T>>> {
    let switch = option::of(settings).prop_map(|on| on.map_or(Switch::Off, Switch::On));
    option::of(switch)
}

fn breaker() -> impl Strategy<Value = Breaker> {
    let parts = (
        share(),
        number(),
        time(),
        time(),
        number(),
        option::of(time()),
    );
    parts.prop_map(|(failures, calls, window, open, probes, slow)| Breaker {
        failures,
        calls,
        window,
        open,
        probes,
        slow,
    })
}

fn retry() -> impl Strategy<Value = Retry> {
    let parts = (2..=u32::MAX, time(), time(), share());
    parts.prop_map(|(attempts, one, other, budget)| Retry {
        attempts,
        backoff: one.min(other),
        backoff_max: one.max(other),
        budget,
    })
}

fn rate() -> impl Strategy<Value = Rate> {
    let parts = (number(), time(), number());
    parts.prop_map(|(calls, per, burst)| Rate { calls, per, burst })
}

fn remember() -> impl Strategy<Value = Remember> {
    let parts = (number(), 1..=u64::MAX, time());
    parts.prop_map(|(results, bytes, time)| Remember {
        results,
        bytes,
        time,
    })
}

/// Every policy that a manifest can hold.
pub(in crate::manifest) fn policy() -> impl Strategy<Value = Policy> {
    let routing = prop::sample::select(Routing::WORDS.map(|(_, routing)| routing).to_vec());
    let limits = (
        option::of(routing),
        option::of(number()),
        option::of(any::<u32>()),
    );
    let fallback = option::of("[A-Za-z0-9_-]{1,9}(\\.[a-z]{1,9}){0,3}");
    let rest = (option::of(remember()), fallback, option::of(any::<bool>()));
    let switches = (switch(breaker()), switch(retry()), switch(rate()));
    (limits, option::of(time()), switches, rest).prop_map(
        |((routing, concurrency, queue), wait, (breaker, retry, rate), rest)| Policy {
            routing,
            order: Vec::new(),
            concurrency,
            queue,
            wait,
            breaker,
            retry,
            rate,
            remember: rest.0,
            fallback: rest.1,
            check: rest.2,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(policy in policy()) {
        let written = serde_json::to_string(&policy).expect("JSON");
        let read: Policy = serde_json::from_str(&written).expect("a policy");
        prop_assert_eq!(read, policy);
    }

    #[test]
    fn over_takes_each_setting_from_the_first_who_says_it(
        one in policy(), two in policy(), three in policy(),
    ) {
        prop_assert_eq!(one.over(&one), one.clone());
        prop_assert_eq!(one.over(&two).over(&three), one.over(&two.over(&three)));
    }
}
