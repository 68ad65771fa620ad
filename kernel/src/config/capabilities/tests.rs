//! What may be said of capabilities and pipelines, and what is told of each mistake.

use std::time::Duration;

use super::*;
use crate::Config;

fn parse(toml: &str) -> Result<Config, String> {
    Config::parse(toml, "octa.toml").map_err(|error| {
        let hint = error.hint().map(|hint| format!("\n{hint}"));
        format!("{error}{}", hint.unwrap_or_default())
    })
}

/// The policy of one capability.
fn policy(toml: &str) -> Policy {
    let text = format!("[capabilities.\"lamps.on\"]\n{toml}");
    let mut config = parse(&text).expect("a configuration");
    config.capabilities.remove("lamps.on").expect("the policy")
}

/// Checks what is told of one key of a capability, which stands in line 2.
#[track_caller]
fn refuses(toml: &str, column: usize, expected: &str) {
    let text = format!("[capabilities.\"lamps.on\"]\n{toml}");
    let told = parse(&text).expect_err("no configuration");
    let expected = format!("octa.toml:2:{column}: `capabilities.\"lamps.on\".{expected}");
    assert_eq!(told, expected, "{toml}");
}

#[test]
fn everything_is_read() {
    let full = "routing = \"failover\"\n\
         order = [\"lamps\", \"spare-lamps\"]\n\
         concurrency = 8\n\
         queue = 32\n\
         wait = \"2s\"\n\
         breaker = { failures = 0.25, calls = 3, window = \"1m\", open = \"1s\", probes = 2, slow = \"200ms\" }\n\
         retry = { attempts = 5, backoff = \"5ms\", backoff_max = \"6ms\", budget = 1 }\n\
         rate = { calls = 100, per = \"1m\", burst = 20 }\n\
         remember = { results = 7, bytes = \"1KiB\", time = \"1h\" }\n\
         fallback = \"lamps.cached\"\n\
         check = true\n";
    let milliseconds = Duration::from_millis;
    let expected = Policy {
        routing: Some(Routing::Failover),
        order: vec!["lamps".to_owned(), "spare-lamps".to_owned()],
        concurrency: Some(8),
        queue: Some(32),
        wait: Some(milliseconds(2_000)),
        breaker: Some(Switch::On(Breaker {
            failures: 0.25,
            calls: 3,
            window: milliseconds(60_000),
            open: milliseconds(1_000),
            probes: 2,
            slow: Some(milliseconds(200)),
        })),
        retry: Some(Switch::On(Retry {
            attempts: 5,
            backoff: milliseconds(5),
            backoff_max: milliseconds(6),
            budget: 1.0,
        })),
        rate: Some(Switch::On(Rate {
            calls: 100,
            per: milliseconds(60_000),
            burst: 20,
        })),
        remember: Some(Remember {
            results: 7,
            bytes: 1_024,
            time: milliseconds(3_600_000),
        }),
        fallback: Some("lamps.cached".to_owned()),
        check: Some(true),
    };
    assert_eq!(policy(full), expected);
    // As a manifest would say it: both sides have the same words and the same defaults.
    let read: Policy =
        serde_json::from_value(serde_json::to_value(&expected).expect("JSON")).expect("a policy");
    assert_eq!(read, expected);
}

#[test]
fn what_is_left_out_is_not_asked_for_or_has_its_default() {
    assert!(policy("").is_empty());
    let on = policy("breaker = true\nretry = {}\nrate = { calls = 7 }\nremember = {}");
    assert_eq!(on.breaker, Some(Switch::On(Breaker::default())));
    assert_eq!(on.retry, Some(Switch::On(Retry::default())));
    let rate = Rate {
        calls: 7,
        per: Rate::PER,
        burst: 7,
    };
    assert_eq!(on.rate, Some(Switch::On(rate)));
    assert_eq!(on.remember, Some(Remember::default()));
    let off = policy("breaker = false\nretry = false\nrate = false");
    assert_eq!(off.breaker, Some(Switch::Off));
    assert_eq!(off.retry, Some(Switch::Off));
    assert_eq!(off.rate, Some(Switch::Off));
    let Some(Switch::On(retry)) = policy("retry = { backoff = \"1m\" }").retry else {
        panic!("retries are on");
    };
    assert_eq!(retry.backoff_max, Duration::from_secs(60));
}

#[test]
fn an_order_asks_for_failover() {
    let order = policy("order = [\"a\"]");
    assert_eq!(order.routing, Some(Routing::Failover));
    for (word, routing) in Routing::WORDS {
        let found = policy(&format!("routing = {word:?}"));
        assert_eq!((found.routing, found.order), (Some(routing), Vec::new()));
    }
    refuses(
        "order = [\"a\"]\nrouting = \"by-key\"",
        9,
        "order` is a list, expected none, as `routing` is `\"by-key\"`",
    );
    refuses(
        "order = []",
        9,
        "order` is a list of 0, expected at least one plugin",
    );
    refuses(
        "order = [\"a\", \"b\", \"a\"]",
        20,
        "order[2]` is `\"a\"`, expected each plugin once",
    );
    refuses(
        "order = [\"a\", \"b.c\"]",
        15,
        "order[1]`: plugin name `b.c` has `.` at position 2, expected a lowercase letter, \
         a digit or `-`\n\
         a plugin name is a lowercase letter, then lowercase letters, digits and `-`, such as \
         `living-room`",
    );
}

#[test]
fn each_mistake_is_told_with_its_place() {
    let whole = "expected a whole number of 1 to 4294967295";
    let share = "expected a share above 0 and at most 1";
    let duration = "expected a duration above zero such as \"250ms\", \"10s\", \"2m\" or \"1h\"";
    for (toml, column, expected) in [
        (
            "routing = \"round-robbin\"",
            11,
            "routing` is `\"round-robbin\"`, expected `\"round-robin\"`, `\"failover\"`, \
             `\"least-in-flight\"` or `\"by-key\"`\n\
             did you mean `round-robin`?"
                .to_owned(),
        ),
        (
            "concurency = 1",
            1,
            "concurency` is an unknown key, expected `routing`, `order`, `concurrency`, `queue`, \
             `wait`, `breaker`, `retry`, `rate`, `remember`, `fallback` or `check`\n\
             did you mean `concurrency`?"
                .to_owned(),
        ),
        (
            "concurrency = 0",
            15,
            format!("concurrency` is `0`, {whole}"),
        ),
        (
            "concurrency = 4294967296",
            15,
            format!("concurrency` is `4294967296`, {whole}"),
        ),
        (
            "queue = -1",
            9,
            "queue` is `-1`, expected a whole number of 0 to 4294967295".to_owned(),
        ),
        ("wait = \"0s\"", 8, format!("wait` is `\"0s\"`, {duration}")),
        (
            "breaker = \"on\"",
            11,
            "breaker` is `\"on\"`, expected `true`, `false` or a table".to_owned(),
        ),
        (
            "breaker = { failures = 0.0 }",
            24,
            format!("breaker.failures` is `0.0`, {share}"),
        ),
        (
            "breaker = { failures = 2 }",
            24,
            format!("breaker.failures` is `2`, {share}"),
        ),
        (
            "breaker = { failures = nan }",
            24,
            format!("breaker.failures` is `nan`, {share}"),
        ),
        (
            "breaker = { calls = 0 }",
            21,
            format!("breaker.calls` is `0`, {whole}"),
        ),
        (
            "breaker = { window = 10 }",
            22,
            format!("breaker.window` is `10`, {duration}"),
        ),
        (
            "breaker = { open = \"0s\" }",
            20,
            format!("breaker.open` is `\"0s\"`, {duration}"),
        ),
        (
            "breaker = { probes = 0 }",
            22,
            format!("breaker.probes` is `0`, {whole}"),
        ),
        (
            "breaker = { slow = \"0ms\" }",
            20,
            format!("breaker.slow` is `\"0ms\"`, {duration}"),
        ),
        (
            "breaker = { prob = 1 }",
            13,
            "breaker.prob` is an unknown key, expected `failures`, `calls`, `window`, `open`, \
             `probes` or `slow`"
                .to_owned(),
        ),
        (
            "retry = { attempts = 1 }",
            22,
            "retry.attempts` is `1`, expected a whole number of 2 to 4294967295".to_owned(),
        ),
        (
            "retry = { backoff = \"2s\", backoff_max = \"1s\" }",
            41,
            "retry.backoff_max` is `\"1s\"`, expected at least as long as `backoff`".to_owned(),
        ),
        (
            "retry = { budget = 1.5 }",
            20,
            format!("retry.budget` is `1.5`, {share}"),
        ),
        (
            "rate = true",
            8,
            "rate` is `true`, expected `false` or a table such as { calls = 100, per = \"1s\" }"
                .to_owned(),
        ),
        (
            "rate = { per = \"1s\" }",
            8,
            "rate` is a table without `calls`, expected `false` or a table such as \
             { calls = 100, per = \"1s\" }"
                .to_owned(),
        ),
        (
            "rate = { calls = 0 }",
            18,
            format!("rate.calls` is `0`, {whole}"),
        ),
        (
            "rate = { calls = 1, per = \"0s\" }",
            27,
            format!("rate.per` is `\"0s\"`, {duration}"),
        ),
        (
            "rate = { calls = 1, burst = 0 }",
            29,
            format!("rate.burst` is `0`, {whole}"),
        ),
        (
            "remember = true",
            12,
            "remember` is `true`, expected a table".to_owned(),
        ),
        (
            "remember = { results = 0 }",
            24,
            format!("remember.results` is `0`, {whole}"),
        ),
        (
            "remember = { bytes = \"0MiB\" }",
            22,
            "remember.bytes` is `\"0MiB\"`, expected an amount above zero such as \"512MiB\""
                .to_owned(),
        ),
        (
            "remember = { time = \"0s\" }",
            21,
            format!("remember.time` is `\"0s\"`, {duration}"),
        ),
        (
            "fallback = \"lamps.on\"",
            12,
            "fallback` is `\"lamps.on\"`, expected another capability than the one that it \
             stands in for"
                .to_owned(),
        ),
        (
            "fallback = \"lamps cached\"",
            12,
            "fallback`: capability `lamps cached` has ` ` at position 6, expected a letter, \
             a digit, `_` or `-`\n\
             a name is segments of letters, digits, `_` and `-` with dots between, such as \
             `device.state_changed`"
                .to_owned(),
        ),
        (
            "check = \"input\"",
            9,
            "check` is `\"input\"`, expected `true` or `false`".to_owned(),
        ),
    ] {
        refuses(toml, column, &expected);
    }
}

#[test]
fn a_bad_name_of_a_capability_is_told() {
    let hint = "a name is segments of letters, digits, `_` and `-` with dots between, such as \
                `device.state_changed`";
    let (long, shown) = ("a".repeat(256), "a".repeat(80));
    for (text, expected) in [
        (
            "[capabilities.\"lamps.*\"]\ncheck = true".to_owned(),
            "octa.toml:1:15: `capabilities.\"lamps.*\"`: capability `lamps.*` has `*` at \
             position 7, expected a letter, a digit, `_` or `-`"
                .to_owned(),
        ),
        (
            format!("[capabilities]\n{long} = {{ check = true }}"),
            format!(
                "octa.toml:2:1: `capabilities.{long}`: capability `{shown}…` is 256 bytes long, \
                 at most 255 are allowed"
            ),
        ),
        (
            "[pipelines]\n\"a..b\" = [\"c\"]".to_owned(),
            "octa.toml:2:1: `pipelines.\"a..b\"`: capability `a..b` has an empty segment at \
             position 3"
                .to_owned(),
        ),
        (
            "[pipelines]\na = [\"b\", \"c d\"]".to_owned(),
            "octa.toml:2:11: `pipelines.a[1]`: capability `c d` has ` ` at position 2, expected \
             a letter, a digit, `_` or `-`"
                .to_owned(),
        ),
    ] {
        assert_eq!(parse(&text).unwrap_err(), format!("{expected}\n{hint}"));
    }
}

#[test]
fn pipelines_are_read() {
    let steps = vec!["\"step\""; 32].join(", ");
    let text =
        format!("[pipelines]\n\"video.translate\" = [\"audio.extract\", \"b\"]\nb = [{steps}]");
    let config = parse(&text).expect("a configuration");
    assert_eq!(config.pipelines["video.translate"], ["audio.extract", "b"]);
    assert_eq!(config.pipelines["b"], vec!["step"; 32]);
}

#[test]
fn a_pipeline_has_an_end() {
    let many = vec!["\"b\""; 33].join(", ");
    for (toml, expected) in [
        (
            "a = []".to_owned(),
            "2:5: `pipelines.a` is a list of 0, expected 1 to 32 capabilities",
        ),
        (
            format!("a = [{many}]"),
            "2:5: `pipelines.a` is a list of 33, expected 1 to 32 capabilities",
        ),
        (
            "a = \"b\"".to_owned(),
            "2:5: `pipelines.a` is `\"b\"`, expected a list, each item a capability",
        ),
        (
            "a = [1]".to_owned(),
            "2:6: `pipelines.a[0]` is `1`, expected a capability",
        ),
        (
            "a = [\"b\", \"a\"]".to_owned(),
            "2:11: `pipelines.a[1]` is `\"a\"`, expected a capability that does not lead to `a`",
        ),
        (
            "a = [\"x\", \"b\"]\nb = [\"c\", \"x\"]\nc = [\"a\"]".to_owned(),
            "2:11: `pipelines.a[1]` is `\"b\"`, expected a capability that does not lead to `a`",
        ),
    ] {
        let text = format!("[pipelines]\n{toml}");
        assert_eq!(parse(&text).unwrap_err(), format!("octa.toml:{expected}"));
    }
    let told = parse("[pipelines]\n\"kernel.line\" = [\"b\"]").unwrap_err();
    assert_eq!(
        told,
        "octa.toml:2:17: `pipelines.\"kernel.line\"` is a name of the kernel's own, expected one \
         outside `kernel`"
    );
    parse("[pipelines]\nkernels = [\"b\"]").expect("a configuration");
    // One that is reached on two ways is no circle.
    parse("[pipelines]\na = [\"b\", \"c\"]\nb = [\"c\"]\nc = [\"d\"]").expect("a configuration");
}

#[test]
fn a_fallback_does_not_come_back() {
    let fallbacks = |of: &[(&str, &str)]| {
        let lines = of.iter();
        let lines = lines.map(|(name, other)| format!("{name} = {{ fallback = {other:?} }}\n"));
        format!("[capabilities]\n{}", lines.collect::<String>())
    };
    let round = fallbacks(&[("a", "b"), ("b", "a")]);
    let line = "[pipelines]\np = [\"x\", \"a\"]\n";
    for (toml, expected) in [
        (
            round.clone(),
            "2:18: `capabilities.a.fallback` is `\"b\"`, expected a capability that does not lead \
             to `a`",
        ),
        (
            fallbacks(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")]),
            "3:18: `capabilities.b.fallback` is `\"c\"`, expected a capability that does not lead \
             to `b`",
        ),
        // By way of a pipeline.
        (
            format!("{}{line}", fallbacks(&[("a", "p")])),
            "2:18: `capabilities.a.fallback` is `\"p\"`, expected a capability that does not lead \
             to `a`",
        ),
        // What is wrong by itself is told first.
        (
            format!("{round}c = {{ fallback = \"c\" }}"),
            "4:18: `capabilities.c.fallback` is `\"c\"`, expected another capability than the one \
             that it stands in for",
        ),
    ] {
        assert_eq!(parse(&toml).unwrap_err(), format!("octa.toml:{expected}"));
    }
    // On two ways to one end.
    let two = fallbacks(&[("a", "c"), ("b", "c"), ("c", "d"), ("p", "c")]);
    parse(&format!("{two}{line}")).expect("a configuration");
}

#[test]
fn a_pipeline_has_a_rate_and_a_fallback_and_no_more() {
    let text =
        |policy: &str| format!("[capabilities]\na = {{ {policy} }}\n[pipelines]\na = [\"b\"]");
    let config = parse(&text("rate = { calls = 1 }, fallback = \"c\"")).expect("a configuration");
    assert_eq!(config.capabilities["a"].fallback.as_deref(), Some("c"));
    for (policy, found) in [
        ("routing = \"failover\"", "routing` is `\"failover\"`"),
        ("order = [\"x\"]", "order` is a list"),
        ("concurrency = 1", "concurrency` is `1`"),
        ("queue = 1", "queue` is `1`"),
        ("wait = \"1s\"", "wait` is `\"1s\"`"),
        ("breaker = true", "breaker` is `true`"),
        ("retry = false", "retry` is `false`"),
        ("remember = {}", "remember` is a table"),
        ("check = true", "check` is `true`"),
    ] {
        let told = parse(&text(policy)).unwrap_err();
        let expected = format!(
            "`capabilities.a.{found}, expected only `rate` and `fallback`, as `a` is a pipeline"
        );
        assert!(told.ends_with(&expected), "{told}");
    }
}
