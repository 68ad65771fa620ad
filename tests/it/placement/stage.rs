//! Where a topic is played: a kernel whose time stands still, with the plugin `conformer` and its
//! companion, which is the same plugin under another name.

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use octa_kernel::{
    CallOptions, Error, Payload, PluginStatus, bus::Subscription, lifecycle::State,
    time::VirtualClock,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::transcript::Transcript;
use crate::{
    fixtures, forge,
    home::{Home, Running, data, read, run, until},
    logs,
};

/// Where a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    Inside,
    Child,
}

/// Where the two run.
#[derive(Debug, Clone, Copy)]
struct Places {
    conformer: Place,
    companion: Place,
}

/// What is played, and the configuration for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Topic<'a> {
    /// What it is called.
    pub(super) name: &'a str,
    /// The section of the conformer.
    pub(super) config: &'a str,
    /// What it is granted, beside the companion's namespace.
    pub(super) allow: &'a str,
    /// Other plugins and the builds of them, which run where the conformer does.
    pub(super) others: &'a [(&'a str, &'a str)],
    /// More of the configuration.
    pub(super) more: &'a str,
}

/// A topic that is played.
pub(super) struct Stage {
    pub(super) running: Running,
    pub(super) clock: VirtualClock,
    /// Whether the conformer lives in the kernel's process.
    pub(super) is_inside: bool,
    transcript: Transcript,
    mark: String,
    /// How many calls were made.
    calls: u128,
}

/// A call under way.
pub(super) type Calling = JoinHandle<Result<Value, Error>>;

/// The plugin that is looked at.
pub(super) const CONFORMER: &str = "conformer";

/// The same under another name.
const COMPANION: &str = "companion";
/// The longest that an event waits here until it is tried again.
const PAUSE_MAX: Duration = Duration::from_millis(250);

impl<'a> Topic<'a> {
    pub(super) const fn of(name: &'a str) -> Self {
        Self {
            name,
            config: "",
            allow: "",
            others: &[],
            more: "",
        }
    }

    /// Plays it with both plugins in the same place, in each.
    #[track_caller]
    pub(super) fn check(self, script: impl AsyncFn(&mut Stage)) {
        for place in Place::ALL {
            let places = Places {
                conformer: place,
                companion: place,
            };
            self.play(places, &script);
        }
    }

    /// Plays it with each plugin in each place: what goes between the two matters.
    #[track_caller]
    pub(super) fn check_between(self, script: impl AsyncFn(&mut Stage)) {
        for conformer in Place::ALL {
            for companion in Place::ALL {
                let places = Places {
                    conformer,
                    companion,
                };
                self.play(places, &script);
            }
        }
    }

    #[track_caller]
    fn play(self, places: Places, script: &impl AsyncFn(&mut Stage)) {
        let mut transcript = Transcript::default();
        run(async {
            let mut stage = Stage::set(self, places).await;
            script(&mut stage).await;
            stage.running.end().await;
            transcript = stage.transcript;
        });
        let inside = [places.conformer, places.companion] == [Place::Inside; 2];
        transcript.check(self.name, &places.to_string(), inside);
    }

    fn toml(self, places: Places) -> String {
        let section = |plugin: &str, other: &str, place: Place, allow: &str, config: &str| {
            format!(
                "[plugins.{plugin}]\n{}\n\
                 restart = {{ policy = \"never\" }}\n\
                 [plugins.{plugin}.allow]\ncall = [\"{other}.**\"]\npublish = [\"{other}.**\"]\n\
                 provide = [\"shared.**\"]\n\
                 storage = [\"{other}\"]\nstate = [\"{other}\"]\n{allow}\n\
                 [plugins.{plugin}.config]\n{config}\n",
                place.toml(),
            )
        };
        let conformer = places.conformer;
        let mut toml = "[kernel]\nwatch = false\nstop_deadline = \"2s\"\n".to_owned();
        toml += &section(CONFORMER, COMPANION, conformer, self.allow, self.config);
        toml += &section(COMPANION, CONFORMER, places.companion, "", "");
        for (other, _) in self.others {
            toml += &format!("[plugins.{other}]\n{}\n", conformer.toml());
        }
        toml + self.more
    }
}

impl Place {
    /// The first is the model for the others.
    const ALL: [Self; 2] = [Self::Inside, Self::Child];

    fn toml(self) -> &'static str {
        match self {
            Self::Inside => "",
            Self::Child => "placement = \"process\"",
        }
    }
}

impl Stage {
    async fn set(topic: Topic<'_>, places: Places) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let clock = VirtualClock::default();
        let home = Home::with(&[CONFORMER]).config(&topic.toml(places));
        home.put(COMPANION, &companion());
        for (plugin, build) in topic.others {
            home.put(plugin, &read(&fixtures::library(build)));
        }
        let kernel = home.builder().clock(clock.clone()).build();
        let running = Running {
            kernel: kernel.expect("a kernel"),
            home,
        };
        let started = running.kernel.start().await;
        started.expect("the plugin directory is there");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self {
            running,
            clock,
            is_inside: places.conformer == Place::Inside,
            transcript: Transcript::default(),
            mark: format!("<{} {number}>", topic.name),
            calls: 0,
        }
    }

    /// A text that nobody else says.
    pub(super) fn mark(&self) -> String {
        self.mark.clone()
    }

    /// Writes down what was seen.
    pub(super) fn note(&mut self, line: &str) {
        let line = line.replace(&self.mark, "<>").replace(&long(), "<long>");
        self.transcript.note(&self.running.home.anonymous(&line));
    }

    /// Calls a capability.
    pub(super) async fn call(&mut self, capability: &str, input: Value) {
        self.call_as(capability, input, &CallOptions::default())
            .await;
    }

    /// Calls a capability in circumstances of one's own.
    pub(super) async fn call_as(&mut self, capability: &str, input: Value, how: &CallOptions) {
        let answer = self.ask(capability, &input, how).await;
        self.note_answer(capability, &input, &answer);
    }

    /// Has steps done.
    pub(super) async fn steps(&mut self, capability: &str, steps: Value) {
        self.steps_as(capability, steps, &CallOptions::default())
            .await;
    }

    /// Has steps done in circumstances of one's own.
    pub(super) async fn steps_as(&mut self, capability: &str, steps: Value, how: &CallOptions) {
        match self.ask(capability, &steps, how).await {
            Ok(gave) => self.note_steps(capability, &steps, &gave),
            Err(error) => self.note_answer(capability, &steps, &Err(error)),
        }
    }

    async fn ask(
        &mut self,
        capability: &str,
        input: &Value,
        how: &CallOptions,
    ) -> Result<Value, Error> {
        self.calls += 1;
        let how = CallOptions {
            // One that is the same each time.
            correlation_id: self.calls,
            ..how.clone()
        };
        let payload = Payload::json(input)?;
        let answer = self.running.kernel.call_with(capability, &payload, &how);
        answer.await.map_err(|error| error.0)?.parse()
    }

    /// Has steps done in a task.
    pub(super) async fn steps_in_task(&mut self, steps: Value) {
        let mut did = self.running.subscribe("conformer.did").await;
        self.call("conformer.run_in_task", steps.clone()).await;
        let gave = data(&did.recv().await.expect("the bus is open"));
        self.note_steps("a task", &steps, &gave);
    }

    fn note_steps(&mut self, who: &str, steps: &Value, gave: &Value) {
        self.note(who);
        let nothing = Vec::new();
        let [steps, gave] = [steps, gave].map(|list| list.as_array().unwrap_or(&nothing));
        assert_eq!(steps.len(), gave.len(), "steps are missing: {gave:?}");
        for (step, gave) in steps.iter().zip(gave) {
            self.note(&format!("  {step} → {gave}"));
        }
    }

    /// Begins to call a capability.
    pub(super) fn begin(&self, capability: &'static str, input: Value) -> Calling {
        self.begin_as(capability, input, CallOptions::default())
    }

    /// Begins to call a capability in circumstances of one's own.
    pub(super) fn begin_as(
        &self,
        capability: &'static str,
        input: Value,
        how: CallOptions,
    ) -> Calling {
        let kernel = self.running.kernel.clone();
        tokio::spawn(async move {
            let payload = Payload::json(&input)?;
            let answer = kernel.call_with(capability, &payload, &how).await;
            answer.map_err(|error| error.0)?.parse()
        })
    }

    /// Writes down how a call ended that was begun.
    pub(super) async fn ended(&mut self, what: &str, calling: Calling) {
        let answer = calling.await.expect("the call does not panic");
        self.note_answer(what, &json!("…"), &answer);
    }

    fn note_answer(&mut self, what: &str, input: &Value, answer: &Result<Value, Error>) {
        let answer = match answer {
            Ok(answer) => answer.to_string(),
            Err(error) => told(error),
        };
        self.note(&format!("{what} {input} → {answer}"));
    }

    /// Publishes.
    pub(super) async fn publish(&mut self, topic: &str, data: Value) {
        let matched = self.running.kernel.publish(topic, &data).await;
        let matched = matched.map_or_else(|error| told(&error.0), |matched| matched.to_string());
        self.note(&format!("publish {topic} {data} → {matched}"));
    }

    /// Subscribes to a topic.
    pub(super) async fn listen(&self, topic: &str) -> Subscription {
        self.running.subscribe(topic).await
    }

    /// Writes down the next event.
    pub(super) async fn hear(&mut self, events: &mut Subscription) {
        let heard = heard(events).await;
        self.note(&heard);
    }

    /// The same for an event that may be tried again: time goes on to when it is.
    pub(super) async fn hear_tried(&mut self, events: &mut Subscription) {
        let clock = self.clock.clone();
        let time_goes_on = until(|| {
            let pause = clock.until_next().filter(|next| *next <= PAUSE_MAX);
            pause.inspect(|pause| clock.advance(*pause));
            false
        });
        let heard = tokio::select! {
            heard = heard(events) => heard,
            () = time_goes_on => return,
        };
        self.note(&heard);
    }

    /// Writes down so many events that come in any order.
    pub(super) async fn hear_all(&mut self, events: &mut Subscription, count: usize) {
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(heard(events).await);
        }
        all.sort();
        for heard in all {
            self.note(&heard);
        }
    }

    /// Writes down that no more events came.
    pub(super) fn hear_nothing(&mut self, events: &mut Subscription) {
        let heard = events.try_recv();
        self.note(match heard {
            None => "  and nothing else",
            Some(_) => "  and more",
        });
    }

    /// Writes down the lines of the log with the mark in them, once there are so many.
    pub(super) async fn logged(&mut self, count: usize) {
        until(|| logs::lines_with(&self.mark).len() >= count).await;
        for line in logs::lines_with(&self.mark) {
            self.note(&format!("log: {line}"));
        }
    }

    /// Waits until what the conformer was asked is waited for, with time running: a caller looks
    /// for the answer of another process for a moment before it does.
    pub(super) async fn time_runs(&self) {
        until(|| self.status().unfinished > 0).await;
    }

    /// The same for what has so much time at the most.
    pub(super) async fn time_runs_for(&self, time: Duration) {
        until(|| self.clock.until_next().is_some_and(|next| next <= time)).await;
    }

    /// Lets time go on.
    pub(super) fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.note(&format!("{time:?} pass"));
    }

    /// How the conformer is.
    pub(super) fn status(&self) -> PluginStatus {
        self.running.plugin(CONFORMER)
    }

    /// Writes down where the conformer stands, and why.
    pub(super) fn standing(&mut self) {
        let PluginStatus {
            state, problems, ..
        } = self.status();
        self.note(&format!("conformer is {}", label(state)));
        for problem in problems {
            let told = self.running.told(&problem);
            self.note(&format!("  {told}"));
        }
    }

    /// Waits until nothing of the conformer's is unfinished but so much.
    pub(super) async fn unfinished(&mut self, count: usize) {
        until(|| self.status().unfinished == count).await;
        self.note(&format!("{count} unfinished"));
    }
}

/// A text that is not written down.
pub(super) fn long() -> String {
    "long ".repeat(1_000)
}

/// The conformer under another name; each is granted the other's namespace.
pub(crate) fn companion() -> Vec<u8> {
    let aside = "another01";
    let changes = [
        (COMPANION, aside),
        (CONFORMER, COMPANION),
        (aside, CONFORMER),
    ];
    forge::manifest(CONFORMER, &changes)
}

/// All that an error says.
pub(super) fn told(error: &Error) -> String {
    let mut told = format!("{error:?}");
    if let Some(plugin) = error.plugin() {
        told += &format!(" from {plugin}");
    }
    if let Some(details) = error.details() {
        told += &format!(" with {details}");
    }
    told
}

async fn heard(events: &mut Subscription) -> String {
    let event = events.recv().await.expect("the bus is open");
    let mut data = data(&event);
    if let Some(id) = data.get_mut("id") {
        // Counted by the bus, among all that is published.
        id.take();
    }
    format!("  {} from {}: {data}", event.topic, event.source)
}

fn label(state: State) -> String {
    format!("{state:?}").to_lowercase()
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |place| match place {
            Place::Inside => "the kernel's process",
            Place::Child => "a child",
        };
        let [conformer, companion] = [self.conformer, self.companion].map(place);
        write!(
            f,
            "the conformer in {conformer} and its companion in {companion}"
        )
    }
}
