//! Where a scenario takes place: a plugin directory, a data directory and a kernel over them.

use std::{
    fs,
    future::Future,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use octa_kernel::{
    Builder, Config, Kernel, PluginStatus, Problem,
    bus::{Event, Subscription},
    lifecycle::State,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{fixtures, logs};

/// The longest that a scenario may take, unless it says so; none comes near.
const PATIENCE: Duration = Duration::from_secs(60);

/// The well-behaved plugin that is in every home and must run on.
pub(crate) const NEIGHBOUR: &str = "neighbour";

/// Runs a scenario. What all need is built before, since that takes its time.
pub(crate) fn run(scenario: impl Future<Output = ()>) {
    run_within(PATIENCE, scenario);
}

/// Runs a scenario that may take as long.
pub(crate) fn run_within(patience: Duration, scenario: impl Future<Output = ()>) {
    logs::install();
    fixtures::library(NEIGHBOUR);
    fixtures::worker();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let outcome = runtime
        .expect("a runtime")
        .block_on(async { tokio::time::timeout(patience, scenario).await });
    if outcome.is_err() {
        panic!("the scenario hangs; the log ends with:\n{}", logs::end());
    }
    logs::check_threads();
}

/// Waits until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// The directories of one scenario.
pub(crate) struct Home {
    directory: TempDir,
    config: String,
}

impl Home {
    /// A home with these fixtures, and the neighbour.
    pub(crate) fn with(fixtures: &[&str]) -> Self {
        let home = Self::empty();
        for fixture in fixtures.iter().chain([&NEIGHBOUR]) {
            home.put(fixture, &read(&fixtures::library(fixture)));
        }
        home
    }

    /// A home without plugins.
    pub(crate) fn empty() -> Self {
        let directory = tempfile::tempdir_in(fixtures::scratch()).expect("a directory");
        let home = Self {
            directory,
            config: String::new(),
        };
        fs::create_dir(home.plugins()).expect("a plugin directory");
        home
    }

    /// The directory that holds all others.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The plugin directory.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.directory.path().join("plugins")
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Writes a plugin file.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.plugins().join(format!("{name}.so"));
        fs::write(&path, bytes).expect("a plugin file");
        // Whatever the umask: others must not write to it.
        let private = fs::Permissions::from_mode(0o644);
        fs::set_permissions(&path, private).expect("permissions");
        path
    }

    /// The same home with this `octa.toml`.
    pub(crate) fn config(mut self, toml: &str) -> Self {
        self.config = toml.to_owned();
        self
    }

    /// What its `octa.toml` says.
    pub(crate) fn toml(&self) -> &str {
        &self.config
    }

    /// A kernel to be, over this home.
    pub(crate) fn builder(&self) -> Builder {
        let config = Config::parse(&self.config, "octa.toml").expect("a configuration");
        Kernel::builder()
            .plugins(self.plugins())
            .data(self.data())
            .worker(fixtures::worker())
            .config(config)
    }

    /// A kernel that has started all it can.
    pub(crate) async fn start(self) -> Running {
        let running = self.build();
        running
            .kernel
            .start()
            .await
            .expect("the plugin directory is there");
        running
    }

    /// A kernel that has not looked for plugins yet.
    pub(crate) fn build(self) -> Running {
        let kernel = self.builder().build().expect("a kernel");
        Running { kernel, home: self }
    }

    /// What the scenario's own directory is called in a text.
    pub(crate) fn anonymous(&self, text: &str) -> String {
        text.replace(&self.directory.path().display().to_string(), "HOME")
    }
}

/// A kernel in its home.
pub(crate) struct Running {
    pub(crate) kernel: Kernel,
    pub(crate) home: Home,
}

impl Running {
    /// Calls a capability; an error is its kind, message and hint.
    pub(crate) async fn call(&self, capability: &str, input: Value) -> Result<Value, String> {
        let answer = self.kernel.call::<Value>(capability, &input).await;
        answer.map_err(|error| format!("{:?}", error.0))
    }

    /// Calls on a task of its own, which nothing but the call wakes.
    pub(crate) fn call_aside(
        &self,
        capability: &'static str,
        input: Value,
    ) -> JoinHandle<Result<Value, String>> {
        let kernel = self.kernel.clone();
        tokio::spawn(async move {
            let answer = kernel.call::<Value>(capability, &input).await;
            answer.map_err(|error| format!("{:?}", error.0))
        })
    }

    /// What the event said that a notice of a dead letter tells of.
    pub(crate) async fn said(&self, notice: &Value) -> String {
        let number = notice["letter"].as_u64().expect("a number");
        let letter = self.kernel.dead_letter(number).await.expect("it is kept");
        String::from_utf8_lossy(&letter.event.payload).into_owned()
    }

    /// The status of a plugin.
    pub(crate) fn plugin(&self, name: &str) -> PluginStatus {
        let mut plugins = self.kernel.plugins().into_iter();
        plugins
            .find(|plugin| plugin.name == name)
            .expect("the plugin is known")
    }

    pub(crate) fn state(&self, name: &str) -> State {
        self.plugin(name).state
    }

    /// Checks where a plugin stands and why: `kind: message (hint: …)`, a line each.
    #[track_caller]
    pub(crate) fn check(&self, name: &str, state: State, problems: &[&str]) {
        let plugin = self.plugin(name);
        let found: Vec<_> = plugin.problems.iter().map(|p| self.told(p)).collect();
        assert_eq!(
            (plugin.state, found),
            (state, problems.iter().map(|&p| p.to_owned()).collect())
        );
    }

    /// Checks which files were rejected and why: `kind: message (hint: …)`, a line each.
    #[track_caller]
    pub(crate) fn check_rejected(&self, problems: &[&str]) {
        let rejected = self.kernel.rejected();
        let found: Vec<_> = rejected
            .iter()
            .map(|file| self.told(&file.problem))
            .collect();
        assert_eq!(found, problems);
    }

    /// A problem as `kind: message (hint: …)`.
    pub(crate) fn told(&self, problem: &Problem) -> String {
        let Problem {
            kind,
            message,
            hint,
            ..
        } = problem;
        let hint = hint.as_ref().map(|hint| format!(" (hint: {hint})"));
        self.home
            .anonymous(&format!("{kind}: {message}{}", hint.unwrap_or_default()))
    }

    /// Subscribes to a pattern.
    pub(crate) async fn subscribe(&self, pattern: &str) -> Subscription {
        self.kernel.subscribe(pattern).await.expect("a pattern")
    }

    pub(crate) async fn publish(&self, topic: &str, data: Value) {
        self.kernel.publish(topic, &data).await.expect("a topic");
    }

    /// Checks that the neighbour runs on: it answers calls and handles events.
    pub(crate) async fn check_neighbour(&self) {
        let echoed = self.call("neighbour.echo", "still here".into()).await;
        assert_eq!(echoed, Ok("still here".into()));
        let mut pongs = self.subscribe("neighbour.pong").await;
        self.publish("neighbour.ping", 7.into()).await;
        assert_eq!(next(&mut pongs).await, 7);
    }

    /// Ends the scenario: the neighbour still runs, and everything stops.
    pub(crate) async fn end(self) {
        self.check_neighbour().await;
        self.kernel.stop().await;
        assert_eq!(self.state(NEIGHBOUR), State::Unloaded);
    }
}

/// The data of the next event.
pub(crate) async fn next(events: &mut Subscription) -> Value {
    data(&events.recv().await.expect("the bus is open"))
}

/// The data of an event.
pub(crate) fn data(event: &Arc<Event>) -> Value {
    serde_json::from_slice(&event.payload).expect("an event in JSON")
}

/// The bytes of a file.
pub(crate) fn read(path: &Path) -> Vec<u8> {
    fs::read(path).expect("a built fixture")
}
