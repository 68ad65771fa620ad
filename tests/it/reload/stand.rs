//! Where a reload takes place: a kernel with the counter under a steady load, whose file is
//! replaced by other builds.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use octa_kernel::{GenerationStatus, Reloaded, lifecycle::State, time::VirtualClock};
use serde_json::{Value, json};

use super::load::{Calls, Load};
use crate::{
    fixtures,
    home::{Home, Running, read, until},
};

/// The plugin that all the builds are of.
pub(super) const COUNTER: &str = "counter";

/// A kernel that does not watch its plugin directory.
pub(super) const UNWATCHED: &str = "[kernel]\nwatch = false\n";

/// The counter under load.
pub(super) struct Stand {
    pub(super) running: Running,
    pub(super) load: Load,
}

impl Stand {
    /// The counter, of this build, in a kernel that is told when to reload.
    pub(super) async fn of(build: &str) -> Self {
        Self::over(Home::with(&[]).config(UNWATCHED), build).await
    }

    /// The counter, of this build, in a home.
    pub(super) async fn over(home: Home, build: &str) -> Self {
        put(&home, build);
        let running = home.start().await;
        Self::under(running, Calls::Waiting).await
    }

    /// The counter, of this build, where time stands still unless the clock is told to go on.
    pub(super) async fn timeless(build: &str, toml: &str) -> (Self, VirtualClock) {
        let clock = VirtualClock::default();
        let home = Home::with(&[]).config(&format!("{UNWATCHED}{toml}"));
        put(&home, build);
        let kernel = home.builder().clock(clock.clone()).build();
        let kernel = kernel.expect("a kernel");
        kernel.start().await.expect("the plugin directory is there");
        let running = Running { kernel, home };
        (Self::under(running, Calls::AtOnce).await, clock)
    }

    async fn under(running: Running, calls: Calls) -> Self {
        running.check(COUNTER, State::Started, &[]);
        let load = Load::begin(&running.kernel, calls);
        load.goes_on(10).await;
        Self { running, load }
    }

    /// Puts another build in the place of the counter's file.
    pub(super) fn put(&self, build: &str) -> PathBuf {
        put(&self.running.home, build)
    }

    /// Reloads the counter; an error is told as `kind: message (hint: …)`.
    pub(super) async fn reload(&self) -> Result<Reloaded, String> {
        let reloaded = self.running.kernel.reload_plugin(COUNTER).await;
        reloaded.map_err(|error| self.running.told(&error.0))
    }

    /// Puts a build in place and reloads, which must succeed.
    pub(super) async fn succeed(&self, build: &str) -> Reloaded {
        self.put(build);
        self.reload().await.expect(build)
    }

    /// Checks that a reload is refused and that the generation that serves is still this one.
    pub(super) async fn check_refused(&self, expect: &str) {
        let before = self.generation();
        let told = self.reload().await.expect_err("it is refused");
        assert_eq!(told, expect);
        assert_eq!(self.generation(), before, "the generation has changed");
        self.load.goes_on(20).await;
        self.running.check(COUNTER, State::Started, &[]);
    }

    /// The generation that serves.
    pub(super) fn generation(&self) -> GenerationStatus {
        let status = self.running.plugin(COUNTER);
        status.generation.expect("it serves")
    }

    /// Waits until this build serves.
    pub(super) async fn served_by(&self, build: &str) {
        served_by(&self.running, build).await;
    }

    /// Ends the load: nothing failed, and the counter, of this build, has counted all of it once.
    pub(super) async fn end(self, build: &str) {
        let Self { running, load } = self;
        let tally = load.end().await;
        assert_eq!(tally.failed, [""; 0], "calls and events failed");
        until(|| {
            let status = running.plugin(COUNTER);
            status.subscriptions.iter().all(|tick| tick.queued == 0)
        })
        .await;
        // Of what is queued no more, the last may still be under way.
        let counted = loop {
            let counted = running.call("counter.get", Value::Null).await;
            let counted = counted.expect("it answers");
            if counted["counts"]["ticks"].as_u64() >= Some(tally.ticks) {
                break counted;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(counted, json!({ "by": build, "counts": tally.counts() }));
        running.end().await;
    }
}

/// Writes a build as the counter's file, by a rename over what is there.
pub(super) fn put(home: &Home, build: &str) -> PathBuf {
    put_bytes(home, &read(&fixtures::library(build)))
}

/// Writes bytes as the counter's file, by a rename over what is there.
pub(super) fn put_bytes(home: &Home, bytes: &[u8]) -> PathBuf {
    let beside = home.root().join("counter.new");
    fs::write(&beside, bytes).expect("a plugin file");
    let private = fs::Permissions::from_mode(0o644);
    fs::set_permissions(&beside, private).expect("permissions");
    let path = home.plugins().join("counter.so");
    fs::rename(beside, &path).expect("one file system");
    path
}

/// Waits until the counter of this build serves.
pub(super) async fn served_by(running: &Running, build: &str) {
    loop {
        let counted = running.call("counter.get", Value::Null).await;
        if counted.is_ok_and(|counted| counted["by"] == build) {
            return;
        }
        // Only the kernel can tell; others may use the thread meanwhile.
        tokio::task::yield_now().await;
    }
}
