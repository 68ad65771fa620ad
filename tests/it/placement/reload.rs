//! Reload: state that is handed over, builds that are refused, and the way back.

use std::net::{Ipv4Addr, TcpStream};

use octa_kernel::{Kernel, PluginError, Reloaded, RollbackOptions};
use serde_json::json;

use super::stage::{Stage, Topic};
use crate::{
    fixtures,
    home::{read, until},
    reload::free_port,
};

/// The plugin that is reloaded.
const COUNTER: &str = "counter";

/// Puts a build in place and reloads.
async fn reload(stage: &mut Stage, plugin: &'static str, build: &str) {
    stage
        .running
        .home
        .put(plugin, &read(&fixtures::library(build)));
    let reload = async |kernel: &Kernel| kernel.reload_plugin(plugin).await;
    replace(stage, &format!("reload with {build}"), reload).await;
}

async fn replace(
    stage: &mut Stage,
    what: &str,
    how: impl AsyncFn(&Kernel) -> Result<Reloaded, PluginError>,
) {
    let replaced = how(&stage.running.kernel).await;
    let told = match replaced {
        Ok(done) => format!(
            "{:?} from {} (generation {}) to {} (generation {}), state {:?}",
            done.kind,
            done.from.version,
            done.from.number,
            done.to.version,
            done.to.number,
            done.state
                .map(|state| (state.source, state.from, state.to, state.bytes)),
        ),
        Err(error) => stage.running.told(&error.0),
    };
    stage.note(&format!("{what} → {told}"));
}

/// Counts some, and writes the count down.
async fn count(stage: &mut Stage) {
    let before = ticks(stage).await;
    stage.call("counter.add", json!(3)).await;
    stage.publish("counter.tick", json!(null)).await;
    let is_counted = async || ticks(stage).await > before;
    while !is_counted().await {
        tokio::task::yield_now().await;
    }
    stage.call("counter.get", json!(null)).await;
}

async fn ticks(stage: &Stage) -> u64 {
    let counted = stage.running.call("counter.get", json!(null)).await;
    counted.expect("it counts")["counts"]["ticks"]
        .as_u64()
        .unwrap_or_default()
}

#[test]
fn handover() {
    let topic = Topic {
        others: &[("counter", "reload-a")],
        ..Topic::of("reload")
    };
    topic.check(async |stage| {
        count(stage).await;
        for build in [
            "reload-fails-in-start",
            "reload-panics-in-start",
            "reload-panics-in-create",
            "reload-panics-in-restore",
            "reload-panics-in-health",
            "reload-unwell",
            "reload-acts-in-start",
            "reload-asks-more",
        ] {
            reload(stage, COUNTER, build).await;
            count(stage).await;
        }
        reload(stage, COUNTER, "reload-b").await;
        count(stage).await;
        for build in ["reload-a", "reload-unmigrated"] {
            reload(stage, COUNTER, build).await;
            count(stage).await;
        }
        let back = async |restore_saved| {
            async move |kernel: &Kernel| {
                let options = RollbackOptions { restore_saved };
                kernel.rollback_plugin(COUNTER, options).await
            }
        };
        replace(stage, "go back", back(false).await).await;
        replace(stage, "go back to what was saved", back(true).await).await;
        count(stage).await;
        reload(stage, COUNTER, "reload-panics-in-save").await;
        reload(stage, COUNTER, "reload-b").await;
        count(stage).await;
        until(|| stage.running.plugin(COUNTER).retired.is_empty()).await;
        stage.note("no generation is left");
    });
}

#[test]
fn without_state() {
    let topic = Topic {
        others: &[("twin", "reload-twin-a")],
        ..Topic::of("reload-overlap")
    };
    topic.check(async |stage| {
        let mut pongs = stage.listen("twin.pong").await;
        for build in ["reload-twin-b", "reload-twin-a", "reload-twin-b"] {
            stage.call("twin.who", json!(null)).await;
            stage.publish("twin.ping", json!(1)).await;
            stage.hear(&mut pongs).await;
            reload(stage, "twin", build).await;
        }
        stage.call("twin.who", json!(null)).await;
        until(|| stage.running.plugin("twin").retired.is_empty()).await;
        stage.note("no generation is left");
    });
}

#[test]
fn one_after_the_other() {
    let port = free_port();
    // In the kernel's process there is no sandbox.
    let more = format!("sandbox = {{ network = true }}\nconfig = {{ port = {port} }}\n");
    let topic = Topic {
        others: &[("port", "reload-port-a")],
        more: &more,
        ..Topic::of("reload-exclusive")
    };
    topic.check(async |stage| {
        for build in ["reload-port-b", "reload-port-fails", "reload-port-a"] {
            stage.call("port.who", json!(null)).await;
            reload(stage, "port", build).await;
            let taken = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
            stage.note(&format!("it listens: {taken}"));
        }
        stage.call("port.who", json!(null)).await;
    });
}
