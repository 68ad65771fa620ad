//! Publishes how busy this machine is: `sysmon.cpu`, `sysmon.memory`, `sysmon.disk` and
//! `sysmon.network`. Measuring is the job of `meter`; what follows from the figures is up to
//! whoever listens.

mod meter;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use octa_plugin_api::{Context, Error, ErrorKind, Result, Schema, Tentacle, log, tentacle};
use serde::Deserialize;

use meter::{Meter, Reading};

/// Shorter intervals give no figures for processors.
const SHORTEST: u64 = 200;

/// The plugin's section of the configuration.
#[derive(Debug, Deserialize, Schema)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// The time between two measurements, in milliseconds; at least 200.
    interval_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { interval_ms: 1000 }
    }
}

/// The plugin.
#[derive(Debug)]
struct Sysmon {
    interval: Duration,
    latest: Arc<Mutex<Reading>>,
}

/// Publishes this machine's processor, memory, disk and network figures.
#[tentacle(publishes = "sysmon.*")]
impl Tentacle for Sysmon {
    type Config = Settings;

    fn create(settings: Settings) -> Result<Self> {
        let interval = settings.interval_ms;
        if interval < SHORTEST {
            let message = format!("`interval_ms` is {interval}, expected at least {SHORTEST}");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Ok(Self {
            interval: Duration::from_millis(interval),
            latest: Arc::default(),
        })
    }

    /// The first figures are there when the plugin is, those of processors and network after the
    /// first interval: they are measured over time.
    async fn start(&self, ctx: &Context) -> Result<()> {
        let mut meter = Meter::new()?;
        *lock(&self.latest) = meter.read(Duration::ZERO);
        let (interval, latest) = (self.interval, self.latest.clone());
        ctx.spawn(move |ctx| async move {
            loop {
                let before = ctx.monotonic();
                ctx.sleep(interval).await;
                let reading = meter.read(ctx.monotonic().saturating_sub(before));
                *lock(&latest) = reading.clone();
                if let Err(error) = publish(&ctx, &reading).await {
                    log::warn!("the figures were not published: {error}");
                }
            }
        })?;
        Ok(())
    }

    /// Answers the latest figures, without measuring anew.
    #[capability("sysmon.read", idempotent)]
    fn read(&self) -> Reading {
        lock(&self.latest).clone()
    }
}

async fn publish(ctx: &Context, reading: &Reading) -> Result<()> {
    ctx.publish("sysmon.cpu", &reading.cpu).await?;
    ctx.publish("sysmon.memory", &reading.memory).await?;
    ctx.publish("sysmon.disk", &reading.disk).await?;
    ctx.publish("sysmon.network", &reading.network).await?;
    Ok(())
}

fn lock(latest: &Mutex<Reading>) -> std::sync::MutexGuard<'_, Reading> {
    latest.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use meter::{Cpu, Disk, Memory, Network};
    use octa_test_kit::{TestKernel, json};

    #[test]
    fn publishes_each_interval() -> Result<()> {
        let bench = TestKernel::plugin::<Sysmon>()
            .config(json!({ "interval_ms": 3141 }))
            .start()?;
        let mut events = bench.subscribe("sysmon.*")?;
        for _ in 0..2 {
            bench.tick(Duration::from_millis(3141))?;
            let cpu: Cpu = events.recv()?.data;
            assert!((0.0..=100.0).contains(&cpu.percent) && !cpu.cores.is_empty());
            let memory: Memory = events.recv()?.data;
            assert!(memory.total > memory.used && memory.used > 0 && memory.percent > 0.0);
            let disk: Disk = events.recv()?.data;
            assert!((0.0..=100.0).contains(&disk.percent));
            events.recv::<Network>()?;
        }
        bench.stop();
        Ok(())
    }

    #[test]
    fn has_figures_from_the_start() -> Result<()> {
        let bench = TestKernel::plugin::<Sysmon>().start()?;
        let reading: Reading = bench.call("sysmon.read", &())?;
        assert!(reading.memory.total > 0);
        bench.stop();
        Ok(())
    }

    #[test]
    fn refuses_intervals_without_figures() {
        let bench = TestKernel::plugin::<Sysmon>().config(json!({ "interval_ms": 10 }));
        let error = bench.start().expect_err("10 ms").to_string();
        assert!(
            error.contains("`interval_ms` is 10, expected at least 200"),
            "{error}"
        );
    }
}
