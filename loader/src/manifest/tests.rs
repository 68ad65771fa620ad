//! What a manifest may hold, and what is told when it holds something else.

use std::error::Error;

use octa_plugin_api::{export, tentacle};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::policy::{Breaker, Rate, Remember, Retry, Routing, Switch};

use super::*;

fn minimal() -> Value {
    json!({
        "manifest": "1.1",
        "name": "echo",
        "version": "0.1.0",
        "abi": {"major": 1, "minor": 0, "fingerprint": "00ff00ff00ff00ff"},
        "compiler": "rustc 1.95.0",
        "panic": "unwind",
        "target": "x86_64-unknown-linux-gnu",
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut json = minimal();
    let (parent, field) = path.rsplit_once('/').expect("a JSON pointer");
    let parent = json.pointer_mut(parent).expect("the parent exists");
    parent[field] = value;
    json
}

fn read(json: &Value) -> Result<Manifest, ManifestError> {
    Manifest::from_json(json.to_string().as_bytes())
}

/// The error and its causes, as the face prints them.
fn told(error: &ManifestError) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told = format!("{told}: {error}");
        cause = error.source();
    }
    told
}

/// Checks the beginning of the message; what follows is a position that serde_json adds.
fn refuses(json: &Value, expected: &str) {
    let error = read(json).expect_err("the manifest is wrong");
    let told = told(&error);
    assert!(told.starts_with(expected), "`{told}` for `{json}`");
    assert!(error.hint().is_some(), "a hint for `{told}`");
}

#[test]
fn absent_fields_have_defaults() {
    let mut json = minimal();
    json["capabilities"] = json!([{"name": "echo.say"}]);
    json["subscriptions"] = json!([{"pattern": "clock.**"}]);
    json["needs"] = json!([{"plugin": "clock"}]);
    let manifest = read(&json).expect("a manifest");
    assert_eq!(manifest.capabilities[0].input, Value::Bool(true));
    assert_eq!(manifest.subscriptions[0].capacity, 1024);
    assert_eq!(manifest.subscriptions[0].overflow, Overflow::DropOldest);
    assert_eq!(manifest.subscriptions[0].concurrency, 1);
    assert_eq!(manifest.needs[0].version, VersionReq::STAR);
    assert_eq!(manifest.permissions, Permissions::default());
    assert_eq!(manifest.placement, Placement::Any);
    assert_eq!(manifest.abi.fingerprint, Fingerprint(0x00ff_00ff_00ff_00ff));
}

#[test]
fn what_is_written_is_read_again() {
    let mut json = minimal();
    json["capabilities"] =
        json!([{"name": "echo.say", "input": {"type": "string"}, "deadline_ms": 5}]);
    json["subscriptions"] = json!([
        {"pattern": "clock.*", "overflow": "keep-latest", "retries": 2, "backoff_ms": 7},
    ]);
    json["needs"] = json!([
        {"capability": "clock.now", "version": "^1.2", "optional": true},
        {"plugin": "clock"},
    ]);
    json["permissions"] =
        json!({"publish": ["echo.**"], "subscribe": ["door.*.open"], "storage": ["echo"]});
    json["config"] = json!({"type": "object"});
    json["state_version"] = json!(3);
    json["placement"] = json!("in-process");
    let manifest = read(&json).expect("a manifest");
    let written = serde_json::to_vec(&manifest).expect("JSON");
    assert_eq!(Manifest::from_json(&written).expect("a manifest"), manifest);
}

#[test]
fn what_is_not_json_is_told_with_its_position() {
    for (json, expected) in [
        (
            "",
            "the manifest is not JSON: EOF while parsing a value at line 1 column 0",
        ),
        (
            "{\"manifest\": }",
            "the manifest is not JSON: expected value at line 1 column 14",
        ),
        (
            "{\"manifest\": \"1.0\"",
            "the manifest is not JSON: EOF while parsing an object at line 1 column 18",
        ),
        (
            "\u{1}",
            "the manifest is not JSON: expected value at line 1 column 1",
        ),
        ("[\"1.0\"]", "the manifest is not a JSON object"),
        ("3", "the manifest is not a JSON object"),
    ] {
        let error = Manifest::from_json(json.as_bytes()).expect_err("no manifest");
        assert_eq!(told(&error), expected, "for `{json}`");
    }
    let mut json = minimal().to_string().into_bytes();
    json.extend_from_slice(b" x");
    let error = Manifest::from_json(&json).expect_err("no manifest");
    assert!(told(&error).contains("trailing characters"), "{error}");
    json.truncate(json.len() - 2);
    json[2] = 0xff;
    let error = Manifest::from_json(&json).expect_err("no manifest");
    assert!(matches!(error, ManifestError::NotJson(_)), "{error}");
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!("{{\"manifest\": {}", "[".repeat(500_000));
    let error = Manifest::from_json(deep.as_bytes()).expect_err("no manifest");
    assert!(matches!(
        error,
        ManifestError::Field { .. } | ManifestError::NotJson(_)
    ));
    let large = vec![b' '; MANIFEST_BYTES_MAX + 1];
    let error = Manifest::from_json(&large).expect_err("too large");
    assert!(matches!(error, ManifestError::TooLarge { .. }));
}

#[test]
fn another_format_is_refused_before_anything_else() {
    let mut json = with("/manifest", json!("2.0"));
    json["name"] = json!(7);
    refuses(&json, "the manifest has format `2.0`, expected `1.x`");
    refuses(
        &with("/manifest", json!("one")),
        "field `manifest` of the manifest is not as its format demands: \
         found `one`, expected a format version such as `1.1`",
    );
    refuses(&with("/manifest", json!("+1.0")), "field `manifest`");
}

#[test]
fn unknown_fields_are_errors_unless_the_format_is_newer() {
    let mut json = with("/abi/patch", json!(1));
    json["licence"] = json!("MIT");
    refuses(
        &json,
        "fields `abi.patch`, `licence` are unknown to manifest format `1.1`",
    );
    refuses(
        &with("/subscriptions", json!([{"pattern": "a", "capcity": 3}])),
        "field `subscriptions[0].capcity` is unknown to manifest format `1.1`",
    );
    refuses(
        &with("/needs", json!([{"plugin": "a", "since": 3}])),
        "field `needs[0].since` is unknown",
    );
    json["manifest"] = json!("1.2");
    read(&json).expect("a newer minor version may know more");
}

#[test]
fn an_unknown_field_of_a_policy_is_named() {
    let capability = |policy: Value| json!([{"name": "a.b", "policy": policy}]);
    for (policy, field) in [
        (json!({"braker": true}), "braker"),
        (json!({"wait": 5}), "wait"),
        (json!({"breaker": {"window": 5}}), "breaker.window"),
        (json!({"retry": {"jitter": 1}}), "retry.jitter"),
        (json!({"rate": {"calls": 1, "for": 1}}), "rate.for"),
        (json!({"remember": {"age": 1}}), "remember.age"),
    ] {
        let mut json = with("/capabilities", capability(policy));
        refuses(
            &json,
            &format!("field `capabilities[0].policy.{field}` is unknown to manifest format `1.1`"),
        );
        json["manifest"] = json!("1.2");
        read(&json).expect("a newer minor version may know more");
    }
}

#[test]
fn an_older_minor_version_is_read() {
    let mut json = with("/capabilities", json!([{"name": "a.b", "deadline_ms": 5}]));
    json["manifest"] = json!("1.0");
    let manifest = read(&json).expect("a manifest");
    assert!(manifest.capabilities[0].policy.is_empty());
}

#[test]
fn wrong_fields_are_named() {
    let field = |path: &str| format!("field `{path}` of the manifest is not as its format demands");
    let bad = [
        (
            "/name",
            json!("Echo"),
            "name",
            "plugin name `Echo` has `E` at position 1, expected a lowercase letter",
        ),
        (
            "/version",
            json!("1"),
            "version",
            "unexpected end of input while parsing major version number",
        ),
        (
            "/abi/fingerprint",
            json!("ff"),
            "abi.fingerprint",
            "found `ff`, expected 16 hexadecimal digits",
        ),
        (
            "/abi/major",
            json!(-1),
            "abi.major",
            "invalid value: integer `-1`, expected u32",
        ),
        (
            "/panic",
            json!("maybe"),
            "panic",
            "unknown variant `maybe`, expected `unwind` or `abort`",
        ),
        (
            "/capabilities",
            json!([{"name": "a"}, {"name": "b..c"}]),
            "capabilities[1].name",
            "capability `b..c` has an empty segment at position 3",
        ),
        (
            "/capabilities",
            json!([{"name": "a"}, {"name": "a"}]),
            "capabilities",
            "found two capabilities named `a`, expected each name once",
        ),
        (
            "/capabilities",
            json!([{}]),
            "capabilities[0]",
            "missing field `name`",
        ),
        (
            "/subscriptions",
            json!([{"pattern": "**.a"}]),
            "subscriptions[0].pattern",
            "pattern `**.a` has `**` at position 1",
        ),
        (
            "/subscriptions",
            json!([{"pattern": "a", "capacity": 0}]),
            "subscriptions[0].capacity",
            "found 0, expected at least 1",
        ),
        (
            "/subscriptions",
            json!([{"pattern": "a", "backoff_ms": 0}]),
            "subscriptions[0].backoff_ms",
            "found 0, expected at least 1",
        ),
        (
            "/subscriptions",
            json!([{"pattern": "a"}, {"pattern": "b", "backoff_ms": 5, "backoff_max_ms": 4}]),
            "subscriptions[1].backoff_max_ms",
            "found 4, expected at least the first wait, 5",
        ),
        (
            "/capabilities",
            json!([{"name": "a", "policy": {"breaker": {"failures": 2}}}]),
            "capabilities[0].policy.breaker.failures",
            "found 2, expected a share above 0 and at most 1",
        ),
        (
            "/capabilities",
            json!([{"name": "a"}, {"name": "b.c", "policy": {"fallback": "b.c"}}]),
            "capabilities[1].policy.fallback",
            "found `b.c` itself, expected another capability",
        ),
        (
            "/capabilities",
            json!([{"name": "a", "policy": {"order": ["lamps"]}}]),
            "capabilities[0].policy.order",
            "found names of plugins, expected none: their order is for the configuration to say",
        ),
        (
            "/capabilities",
            json!([{"name": "a", "policy": {"retry": {"backoff_ms": 20, "backoff_max_ms": 10}}}]),
            "capabilities[0].policy.retry.backoff_max_ms",
            "found 10, expected at least the first wait, 20",
        ),
        (
            "/needs",
            json!([{"plugin": "a", "capability": "b"}]),
            "needs[0]",
            "found both `capability` and `plugin`",
        ),
        (
            "/needs",
            json!([{"version": "1"}]),
            "needs[0]",
            "found neither `capability` nor `plugin`",
        ),
        (
            "/needs",
            json!([{"plugin": "a", "version": "new"}]),
            "needs[0].version",
            "unexpected character 'n' while parsing major version number",
        ),
        (
            "/permissions",
            json!({"subscribe": ["a.*", "**.b"]}),
            "permissions.subscribe[1]",
            "pattern `**.b` has `**` at position 1, expected it as the last segment only",
        ),
        (
            "/permissions",
            json!({"storage": ["a", "b c"]}),
            "permissions.storage",
            "namespace `b c` has ` ` at position 2",
        ),
    ];
    for (path, value, name, expected) in bad {
        refuses(&with(path, value), &format!("{}: {expected}", field(name)));
    }
    let mut json = minimal();
    json.as_object_mut().expect("an object").remove("abi");
    refuses(
        &json,
        "the manifest is not as its format demands: missing field `abi`",
    );
}

#[derive(Default)]
struct Guarded;

#[tentacle(name = "guarded", subscribes("door.*.open", "window.**"))]
impl Guarded {
    #[capability(
        "guarded.all",
        routing = "by-key",
        concurrency = 8,
        queue = 0,
        wait = "1h",
        breaker(
            failures = 0.25,
            calls = 3,
            window = "1m",
            open = "1s",
            probes = 2,
            slow = "5ms"
        ),
        retry(attempts = 5, backoff = "5ms", backoff_max = "6ms", budget = 1),
        rate(calls = 100, per = "1m", burst = 20),
        remember(results = 7, bytes = "1KiB", time = "1h"),
        fallback = "guarded.usual",
        check
    )]
    fn all(&self) {}

    #[capability("guarded.usual", breaker, retry, rate(calls = 7), remember)]
    fn usual(&self) {}

    #[capability("guarded.plain")]
    fn plain(&self) {}

    #[subscribe("tick", retries = 3, backoff = "100ms", backoff_max = "10s")]
    fn tick(&self) {}
}

#[test]
fn what_the_attribute_says_is_read() {
    let written = export::linked::<Guarded>().manifest;
    let manifest = Manifest::from_json(written.as_bytes()).expect("a manifest");
    assert_eq!(manifest.manifest, FormatVersion::CURRENT);
    let [all, usual, plain] = &manifest.capabilities[..] else {
        panic!("three capabilities");
    };
    let time = Duration::from_millis;
    let expected = Policy {
        routing: Some(Routing::ByKey),
        order: Vec::new(),
        concurrency: Some(8),
        queue: Some(0),
        wait: Some(time(3_600_000)),
        breaker: Some(Switch::On(Breaker {
            failures: 0.25,
            calls: 3,
            window: time(60_000),
            open: time(1_000),
            probes: 2,
            slow: Some(time(5)),
        })),
        retry: Some(Switch::On(Retry {
            attempts: 5,
            backoff: time(5),
            backoff_max: time(6),
            budget: 1.0,
        })),
        rate: Some(Switch::On(Rate {
            calls: 100,
            per: time(60_000),
            burst: 20,
        })),
        remember: Some(Remember {
            results: 7,
            bytes: 1_024,
            time: time(3_600_000),
        }),
        fallback: Some("guarded.usual".to_owned()),
        check: Some(true),
    };
    assert_eq!(all.policy, expected);
    let expected = Policy {
        breaker: Some(Switch::On(Breaker::default())),
        retry: Some(Switch::On(Retry::default())),
        rate: Some(Switch::On(Rate {
            calls: 7,
            per: Rate::PER,
            burst: 7,
        })),
        remember: Some(Remember::default()),
        ..Policy::default()
    };
    assert_eq!(usual.policy, expected);
    assert!(plain.policy.is_empty());
    let asked = &manifest.permissions.subscribe;
    let asked: Vec<_> = asked.iter().map(Pattern::as_str).collect();
    assert_eq!(asked, ["door.*.open", "window.**"]);
    let tick = &manifest.subscriptions[0];
    assert_eq!(
        (tick.backoff, tick.backoff_max),
        (Some(time(100)), Some(time(10_000)))
    );
}

proptest! {
    #[test]
    fn policies_are_read_as_they_are_written(policy in policy::tests::policy()) {
        let mut manifest = read(&with("/capabilities", json!([{"name": "a.b.c.d.e.f"}])))
            .expect("a manifest");
        manifest.capabilities[0].policy = policy;
        let written = serde_json::to_vec(&manifest).expect("JSON");
        prop_assert_eq!(Manifest::from_json(&written).expect("a manifest"), manifest);
    }
}
