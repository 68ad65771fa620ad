//! Rules against events, with a stand-in for the lamps.

use std::time::Duration;

use super::*;
use octa_test_kit::{TestKernel, json};
use serde_json::Value;

/// The plugin with these rules, and a stand-in for the lamps.
fn bench(rules: Value) -> Result<TestKernel> {
    TestKernel::plugin::<Automation>()
        .config(json!({ "rules": rules }))
        .allow("subscribe", "sysmon.**")
        .allow("subscribe", "devices.**")
        .allow("call", "devices.**")
        .provide("devices.turn_on", |lamp: String| match lamp.as_str() {
            "broken" => Err(Error::msg("no bulb")),
            _ => Ok(json!({ "id": lamp })),
        })
        .start()
}

/// A rule that raises an alert of its name.
fn alerting(name: &str, when: Value, cooldown: Option<u64>) -> Value {
    let then = json!([{ "alert": { "message": name } }]);
    let mut rule = json!({ "name": name, "when": when, "then": then });
    if let Some(cooldown) = cooldown {
        rule["cooldown_ms"] = cooldown.into();
    }
    rule
}

fn above(limit: f64, hysteresis: f64) -> Value {
    json!({ "compare": {
        "topic": "sysmon.cpu",
        "pointer": "/percent",
        "is": { "above": limit },
        "hysteresis": hysteresis,
    } })
}

/// Publishes processor loads, one a second, and tells at which of them the rule fired. A second
/// rule fires at each, so that the test knows when the event was handled.
fn fired(when: Value, cooldown: Option<u64>, loads: &[f64]) -> Result<Vec<f64>> {
    let each = alerting("each", above(-1.0, 0.0), Some(0));
    let bench = bench(json!([alerting("busy", when, cooldown), each]))?;
    let mut alerts = bench.subscribe("automation.alert")?;
    let mut fired = Vec::new();
    for load in loads {
        bench.publish("sysmon.cpu", &json!({ "percent": load }))?;
        while alerts.recv::<Value>()?.data["rule"] == "busy" {
            fired.push(*load);
        }
        bench.advance(Duration::from_secs(1));
    }
    bench.stop();
    Ok(fired)
}

#[test]
fn fires_when_it_comes_to_hold() -> Result<()> {
    let loads = [10.0, 90.0, 95.0, 10.0, 90.0];
    assert_eq!(fired(above(80.0, 0.0), None, &loads)?, [90.0, 90.0]);
    Ok(())
}

#[test]
fn hysteresis_keeps_it_from_fluttering() -> Result<()> {
    let loads = [81.0, 79.0, 82.0, 74.0, 83.0];
    assert_eq!(fired(above(80.0, 5.0), None, &loads)?, [81.0, 83.0]);
    Ok(())
}

#[test]
fn a_cooldown_lets_it_fire_again() -> Result<()> {
    let loads = [90.0, 91.0, 92.0, 93.0];
    assert_eq!(fired(above(80.0, 0.0), Some(2000), &loads)?, [90.0, 92.0]);
    Ok(())
}

#[test]
fn conditions_nest() -> Result<()> {
    let lamp_is_on = json!({ "compare": {
        "topic": "devices.state_changed", "pointer": "/on", "is": { "equal": true },
    } });
    let when = json!({ "all": [
        { "any": [above(80.0, 0.0), above(200.0, 0.0)] },
        { "not": { "not": above(50.0, 0.0) } },
        { "any": [{ "not": above(300.0, 0.0) }, lamp_is_on] },
    ] });
    assert_eq!(fired(when, None, &[60.0, 90.0])?, [90.0]);
    let unknown = json!({ "all": [above(80.0, 0.0), { "not": lamp_is_on }] });
    assert_eq!(fired(unknown, None, &[90.0])?, [0.0; 0]);
    Ok(())
}

#[test]
fn calls_and_goes_on_after_an_error() -> Result<()> {
    let call = |lamp: &str| json!({ "call": { "capability": "devices.turn_on", "input": lamp } });
    let alert = json!({ "alert": { "message": "done", "severity": "info" } });
    let then = json!([call("broken"), call("porch"), alert]);
    let bench = bench(json!([{ "name": "night", "when": above(0.0, 0.0), "then": then }]))?;
    let mut alerts = bench.subscribe("automation.alert")?;
    bench.publish("sysmon.cpu", &json!({ "percent": 1.5 }))?;
    let alert: Value = alerts.recv()?.data;
    let expected = json!({
        "rule": "night",
        "severity": "info",
        "message": "done",
        "values": { "sysmon.cpu/percent": 1.5 },
    });
    assert_eq!(alert, expected);
    bench.stop();
    Ok(())
}

#[test]
fn refuses_rules_that_could_never_work() {
    let check = |rule: Value, expected: &str| {
        let error = bench(json!([rule])).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    let when = json!({ "compare": { "topic": "weather.rain", "is": { "above": 1.0 } } });
    check(
        json!({ "name": "wet", "when": when, "then": [] }),
        "rule `wet` looks at `weather.rain`, expected a topic of `sysmon` or `devices`",
    );
    let when = json!({ "compare": {
        "topic": "sysmon.cpu", "pointer": "percent", "is": { "above": 1.0 },
    } });
    check(
        json!({ "name": "lost", "when": when, "then": [] }),
        "rule `lost` looks at `percent` in `sysmon.cpu`, expected `/percent`",
    );
    let call = json!({ "call": { "capability": "rm.all" } });
    check(
        json!({ "name": "bad", "when": above(1.0, 0.0), "then": [call] }),
        "rule `bad` calls `rm.all`",
    );
    check(
        json!({ "name": "odd", "when": { "alll": [] }, "then": [] }),
        "rules[0].when",
    );
}
