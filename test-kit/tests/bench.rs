//! The kit over a plugin that uses each of its parts.

use std::time::{Duration, UNIX_EPOCH};

use octa_plugin_api::{Context, Error, ErrorKind, Result, Schema, Tentacle, block_on, tentacle};
use octa_test_kit::{Builder, TestKernel, json};
use serde::Deserialize;

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    fails: bool,
}

struct Clock;

#[tentacle(
    name = "clock",
    publishes = "clock.tick",
    calls = "bell.ring",
    storage = "clock",
    state = "clock"
)]
impl Tentacle for Clock {
    type Config = Settings;

    fn create(settings: Settings) -> Result<Self> {
        match settings.fails {
            true => Err(Error::msg("as configured").with_hint("configure it otherwise")),
            false => Ok(Self),
        }
    }

    async fn start(&self, ctx: &Context) -> Result<()> {
        ctx.storage()
            .update("starts", |starts: &mut u32| *starts += 1)
            .await?;
        ctx.spawn(|ctx| async move {
            for round in 0.. {
                ctx.sleep(Duration::from_secs(7)).await;
                let _ = ctx.publish("clock.tick", &round).await;
            }
        })?;
        Ok(())
    }

    #[capability("clock.now")]
    fn now(&self, ctx: &Context) -> u64 {
        let since = ctx.now().duration_since(UNIX_EPOCH);
        since.unwrap_or_default().as_secs()
    }

    #[capability("clock.ring")]
    async fn ring(&self, ctx: &Context, times: u32) -> Result<u32> {
        let rung = ctx.call("bell.ring", &times).await?;
        ctx.state().set("rung", &rung).await?;
        Ok(rung)
    }
}

fn builder() -> Builder {
    TestKernel::plugin::<Clock>()
        .allow("call", "bell.ring")
        .provide("bell.ring", |times: u32| match times {
            0 => Err(Error::new(ErrorKind::Conflict, "nothing to ring")),
            times => Ok(times),
        })
}

/// What the kernel or the plugin says to a start that fails.
fn refusal(builder: Builder) -> String {
    format!("{:?}", builder.start().expect_err("it does not start"))
}

#[test]
fn time_goes_on_when_told() -> Result<()> {
    let bench = builder().start()?;
    let mut ticks = bench.subscribe("clock.*")?;
    let before: u64 = bench.call("clock.now", &())?;
    for round in 0..3 {
        bench.tick(Duration::from_secs(7))?;
        let tick = ticks.recv::<u64>()?;
        assert_eq!(
            (tick.topic.as_str(), tick.source.as_str()),
            ("clock.tick", "clock")
        );
        assert_eq!(tick.data, round);
    }
    assert!(!ticks.has_more());
    bench.advance(Duration::from_secs(2));
    assert_eq!(bench.call::<u64>("clock.now", &())?, before + 23);
    bench.stop();
    Ok(())
}

#[test]
fn stand_ins_answer_values_and_errors() -> Result<()> {
    let bench = builder().start()?;
    assert_eq!(bench.call::<u32>("clock.ring", &3)?, 3);
    assert_eq!(bench.state::<u32>("clock", "rung")?, Some(3));
    assert_eq!(bench.state::<u32>("clock", "lost")?, None);
    let error = bench
        .call::<u32>("clock.ring", &0)
        .expect_err("nothing to ring");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    bench.stop();
    Ok(())
}

#[test]
fn storage_outlives_a_restart() -> Result<()> {
    let bench = builder().start()?;
    bench.restart("clock")?;
    assert_eq!(bench.storage::<u32>("clock", "starts")?, Some(2));
    let kernel = bench.kernel().clone();
    bench.stop();
    assert!(block_on(kernel.storage().get("clock", "starts")).is_err());
    Ok(())
}

#[test]
fn what_production_refuses_is_refused() {
    let check = |builder: Builder, expected: &[&str]| {
        let refusal = refusal(builder);
        assert!(
            expected.iter().all(|part| refusal.contains(part)),
            "{refusal}"
        );
    };
    let silent = TestKernel::plugin::<Clock>().provide("bell.ring", |times: u32| Ok(times));
    check(silent, &["plugin `clock` is blocked", "`bell.ring`"]);
    let fail = |config| builder().config(config);
    check(
        fail(json!({ "fail": true })),
        &["config.fail`", "did you mean `fails`?"],
    );
    check(fail(json!({ "fails": 1 })), &["config.fails` is `1`"]);
    check(fail(json!({ "fails": null })), &["TOML has no null"]);
    check(
        fail(json!({ "fails": true })),
        &["as configured", "configure it otherwise"],
    );
    check(
        builder().allow("cal", "x"),
        &["allow.cal`", "did you mean `call`?"],
    );
    check(
        builder().plugin::<Clock>(),
        &["plugin `clock` is added twice"],
    );
}
