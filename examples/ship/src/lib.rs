//! A plugin that is built apart from the kernel and dropped into its plugin directory.

use octa_plugin_api::{Context, Result, Schema, tentacle};
use serde::{Deserialize, Serialize};
use sysinfo::System;

/// How long, and how often that was asked.
#[derive(Serialize, Deserialize, Schema)]
struct Uptime {
    seconds: u64,
    asked: u64,
}

#[derive(Default)]
struct Clock;

/// Tells how long this machine has been running.
#[tentacle(storage = "uptime", publishes = "uptime.asked")]
impl Clock {
    /// Answers, and counts how often it did.
    #[capability("uptime.read")]
    async fn read(&self, ctx: &Context) -> Result<Uptime> {
        let asked = ctx
            .storage()
            .update("asked", |asked: &mut u64| *asked += 1)
            .await?;
        let seconds = System::uptime();
        let uptime = Uptime { seconds, asked };
        ctx.publish("uptime.asked", &uptime).await?;
        Ok(uptime)
    }
}
