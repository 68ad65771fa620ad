//! What the tests break: a plugin whose starts fail as often as it is told, one that needs it, and
//! a kernel over both whose time stands still.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use octa_plugin_api::{
    Context, Error, ErrorKind, Result, Schema, Tentacle, decode, export, tentacle,
};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;

use super::super::{Breakdown, CallUnderWay, Death};
use crate::{
    Config, Kernel, Linked, PluginStatus,
    bus::Subscription,
    lifecycle::State,
    manager::Event,
    time::{Clock as _, VirtualClock},
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is to go wrong with the lamp of each number.
static TROUBLES: Mutex<BTreeMap<u64, Trouble>> = Mutex::new(BTreeMap::new());

/// What is to go wrong with a lamp.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trouble {
    /// How many more starts are to fail.
    pub(super) starts: u32,
    /// Whether it cannot be made at all.
    pub(super) is_refused: bool,
}

#[derive(Deserialize, Schema)]
struct Settings {
    number: u64,
}

struct Lamp(u64);

#[tentacle(name = "lamp")]
impl Tentacle for Lamp {
    type Config = Settings;

    fn create(settings: Settings) -> Result<Self> {
        let troubles = TROUBLES.lock();
        let trouble = troubles.get(&settings.number);
        if trouble.is_some_and(|trouble| trouble.is_refused) {
            return Err(Error::new(ErrorKind::Unsupported, "no socket fits"));
        }
        Ok(Self(settings.number))
    }

    async fn start(&self, _: &Context) -> Result<()> {
        let mut troubles = TROUBLES.lock();
        let trouble = troubles.entry(self.0).or_default();
        if trouble.starts == 0 {
            return Ok(());
        }
        trouble.starts -= 1;
        Err(Error::msg("no current"))
    }

    #[capability("lamp.read", idempotent)]
    fn read(&self) -> Result<u64> {
        Ok(self.0)
    }

    #[subscribe("lamp.ping")]
    fn ping(&self, _: u64) -> Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Switch;

#[tentacle(name = "switch", needs(plugin = "lamp"))]
impl Switch {}

/// A kernel with a lamp and a switch that needs it.
pub(super) struct Bench {
    pub(super) kernel: Kernel,
    pub(super) clock: VirtualClock,
    number: u64,
    moves: Subscription,
}

impl Bench {
    /// One whose lamp has this trouble, and these restarts.
    pub(super) async fn new(trouble: Trouble, restart: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        TROUBLES.lock().insert(number, trouble);
        let clock = VirtualClock::default();
        let linked = [export::linked::<Lamp>(), export::linked::<Switch>()];
        let mut builder = Kernel::builder().clock(clock.clone());
        for plugin in &linked {
            builder = builder.plugin(Linked::new(plugin).expect("a manifest"));
        }
        let builder = builder.config(config(number, restart));
        let kernel = builder.build().expect("a kernel");
        let moves = kernel
            .subscribe("kernel.plugin.*")
            .await
            .expect("a pattern");
        let mut this = Self {
            kernel,
            clock,
            number,
            moves,
        };
        this.kernel.start().await.expect("nothing to look for");
        while this.moves.try_recv().is_some() {}
        this
    }

    pub(super) fn trouble(&self, trouble: Trouble) {
        TROUBLES.lock().insert(self.number, trouble);
    }

    /// Goes on with other restarts.
    pub(super) async fn restart(&self, restart: &str) {
        self.kernel.apply(config(self.number, restart)).await;
    }

    pub(super) fn status(&self, name: &str) -> PluginStatus {
        let mut plugins = self.kernel.plugins().into_iter();
        plugins
            .find(|plugin| plugin.name == name)
            .expect("it is known")
    }

    /// Checks where the lamp stands, and each problem's message.
    #[track_caller]
    pub(super) fn check(&self, state: State, problems: &[&str]) {
        let status = self.status("lamp");
        let found: Vec<_> = status.problems.iter().map(|it| &*it.message).collect();
        assert_eq!((status.state, &*found), (state, problems));
    }

    /// Checks that the switch is ready, and waits for the lamp.
    pub(super) async fn check_waiting(&self) {
        assert_eq!(self.status("switch").state, State::Loaded);
        let waits = self.kernel.start_plugin("switch").await.unwrap_err();
        let expect = "plugin `switch` waits for `lamp`, which is `failed`";
        assert_eq!(waits.to_string(), expect);
    }

    /// How long it is until the lamp is started again.
    pub(super) fn wait(&self) -> Option<Duration> {
        let next = self.status("lamp").restarts.next?;
        Some(Duration::from_nanos(next).saturating_sub(self.clock.wall()))
    }

    /// Goes on to when the lamp is started again; answers how long that was, and what becomes of
    /// it, move by move, up to that state.
    pub(super) async fn pass(&mut self, until: State) -> (Duration, Vec<String>) {
        let wait = self.wait().expect("it is to be started again");
        self.clock.advance(wait);
        (wait, self.moves_to(until).await)
    }

    /// The next moves up to that of the lamp to this state.
    pub(super) async fn moves_to(&mut self, state: State) -> Vec<String> {
        let mut moves = Vec::new();
        let last = format!("lamp {state}");
        while moves.last() != Some(&last) {
            let event = tokio::time::timeout(PATIENCE, self.moves.recv()).await;
            let event = event.expect("it moves").expect("the kernel runs");
            let told: Value = decode(&event.payload).expect("JSON");
            let word = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
            moves.push(format!("{} {}", word("plugin"), word("to")));
        }
        moves
    }

    /// Waits until something holds that no event tells of.
    pub(super) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let holds = async {
            while !holds(self) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, holds)
            .await
            .expect("it comes");
    }

    /// What serves breaks down.
    pub(super) fn breaks(&self, breakdown: Breakdown) {
        let generation = self.status("lamp").generation.expect("it is there");
        let event = Event::Broke("lamp".to_owned(), generation.number, breakdown);
        self.kernel.tell(event);
    }
}

fn config(number: u64, restart: &str) -> Config {
    let text = format!(
        "[plugins.lamp]\nconfig = {{ number = {number} }}\n[plugins.lamp.restart]\n{restart}"
    );
    Config::parse(&text, "octa.toml").expect("a configuration")
}

/// The death of a process with these calls under way.
pub(super) fn death(calls: &[(&str, &str)]) -> Death {
    let call = |(caller, capability): &(&str, &str)| CallUnderWay {
        caller: (*caller).to_owned(),
        capability: (*capability).to_owned(),
    };
    Death {
        cause: "was ended by signal 11 (SIGSEGV)".to_owned(),
        is_failure: true,
        last_lines: vec!["ouch".to_owned()],
        calls: calls.iter().map(call).collect(),
    }
}
