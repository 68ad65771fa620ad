//! Decides what should run and makes it so: one loop that owns all records, one closed set of
//! events that drive it. Calls and events never pass through it.

mod actions;
mod reconcile;
mod record;
mod scan;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use octa_loader::{FileRules, Opener};
use octa_plugin_api::Payload;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::{
    builder::Stage,
    bus::Publisher,
    config::{Config, Secrets},
    facilities::Commons,
    lifecycle::State,
    linked::Linked,
    spare::Spare,
    status::{Problem, RejectedFile},
};
use actions::{Opened, Stopped};
pub(crate) use record::Seen;
use record::{Record, Wanted};
pub use scan::ScanError;

/// What plugins are made and run with.
pub(crate) struct Core {
    pub(crate) commons: Commons,
    pub(crate) spare: Spare,
    pub(crate) config: Config,
    pub(crate) secrets: Box<dyn Secrets + Send + Sync>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) linked: Vec<Linked>,
    pub(crate) rules: FileRules,
    pub(crate) opener: Opener,
    pub(crate) stage: Option<Stage>,
    pub(crate) log_level: log::LevelFilter,
}

/// Everything that drives the manager.
pub(crate) enum Event {
    /// Somebody wants something.
    Command(Command),
    /// A library was opened and an instance made, or not.
    Opened(String, Box<Result<Opened, Problem>>),
    /// An instance's start ended.
    Started(String, Result<(), Problem>),
    /// An instance was stopped.
    Stopped(String, Stopped),
    /// An instance was destroyed, or is kept.
    Closed(String, Result<(), Problem>),
}

/// What can be wanted of the manager; each is answered when everything has come to rest.
pub(crate) enum Command {
    /// Look for plugins and start all that may.
    StartAll(oneshot::Sender<Result<(), ScanError>>),
    /// Stop and destroy all.
    StopAll(oneshot::Sender<()>),
    /// Bring one plugin somewhere.
    One(Goal, String, oneshot::Sender<Result<(), Problem>>),
}

/// Where a plugin can be brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goal {
    Load,
    Start,
    Stop,
    Unload,
}

/// What is seen from outside.
#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) plugins: Vec<Seen>,
    pub(crate) rejected: Vec<RejectedFile>,
}

pub(crate) struct Manager {
    core: Arc<Core>,
    records: BTreeMap<String, Record>,
    rejected: Vec<RejectedFile>,
    /// Who is told when everything has come to rest.
    waiting: Vec<Waiting>,
    events: mpsc::UnboundedSender<Event>,
    publisher: Publisher,
    view: Arc<ArcSwap<View>>,
}

enum Waiting {
    All(oneshot::Sender<Result<(), ScanError>>),
    Stop(oneshot::Sender<()>),
    One(Goal, String, oneshot::Sender<Result<(), Problem>>),
}

impl Manager {
    /// Starts the loop; it ends with the runtime.
    pub(crate) fn spawn(core: Arc<Core>, view: Arc<ArcSwap<View>>) -> mpsc::UnboundedSender<Event> {
        let (events, inbox) = mpsc::unbounded_channel();
        let publisher = core.commons.bus.publisher("kernel");
        let runtime = core.commons.runtime.clone();
        let sender = events.clone();
        let manager = Self {
            core,
            records: BTreeMap::new(),
            rejected: Vec::new(),
            waiting: Vec::new(),
            events,
            publisher,
            view,
        };
        runtime.spawn(manager.run(inbox));
        sender
    }

    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Event>) {
        while let Some(event) = inbox.recv().await {
            self.handle(event).await;
            self.reconcile();
            self.show();
            self.answer_if_at_rest();
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Command(command) => self.command(command).await,
            Event::Opened(name, result) => self.opened(&name, *result),
            Event::Started(name, result) => self.started(&name, result),
            Event::Stopped(name, stopped) => self.stopped(&name, stopped),
            Event::Closed(name, result) => self.closed(&name, result),
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::StartAll(reply) => match self.scan().await {
                Ok(()) => {
                    self.want_all(Wanted::Started);
                    self.waiting.push(Waiting::All(reply));
                }
                Err(error) => drop(reply.send(Err(error))),
            },
            Command::StopAll(reply) => {
                self.want_all(Wanted::Unloaded);
                self.waiting.push(Waiting::Stop(reply));
            }
            Command::One(goal, name, reply) => self.command_one(goal, name, reply).await,
        }
    }

    async fn command_one(
        &mut self,
        goal: Goal,
        name: String,
        reply: oneshot::Sender<Result<(), Problem>>,
    ) {
        if matches!(goal, Goal::Load | Goal::Start)
            && let Err(error) = self.scan().await
        {
            let problem = Problem::from_error("unavailable", &error, error.hint());
            drop(reply.send(Err(problem)));
            return;
        }
        let Some(record) = self.records.get_mut(&name) else {
            drop(reply.send(Err(self.unknown(&name))));
            return;
        };
        record.want(match goal {
            // Started, it is loaded already.
            Goal::Load if record.state == State::Started => Wanted::Started,
            Goal::Load => Wanted::Loaded,
            Goal::Start => Wanted::Started,
            Goal::Stop => Wanted::Stopped,
            Goal::Unload => Wanted::Unloaded,
        });
        self.waiting.push(Waiting::One(goal, name, reply));
    }

    fn unknown(&self, name: &str) -> Problem {
        let near = crate::nearest::nearest(name, self.records.keys().map(String::as_str));
        let hint = near.map_or_else(
            || "`octa list` shows the plugins there are".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Problem::new(
            "not-found",
            format!("there is no plugin `{name}`"),
            Some(hint),
        )
    }

    fn want_all(&mut self, wanted: Wanted) {
        for record in self.records.values_mut() {
            if wanted != Wanted::Started || record.enabled {
                record.want(wanted);
            }
        }
    }

    fn answer_if_at_rest(&mut self) {
        if self.records.values().any(|record| record.busy.is_some()) {
            return;
        }
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::All(reply) => drop(reply.send(Ok(()))),
                Waiting::Stop(reply) => drop(reply.send(())),
                Waiting::One(goal, name, reply) => drop(reply.send(self.reached(goal, &name))),
            }
        }
    }

    /// Whether a plugin is where it was to be brought.
    fn reached(&self, goal: Goal, name: &str) -> Result<(), Problem> {
        let Some(record) = self.records.get(name) else {
            return Ok(());
        };
        let reached = match goal {
            Goal::Load => record.instance.is_some(),
            Goal::Start => record.state == State::Started,
            Goal::Stop | Goal::Unload => record.state != State::Started,
        };
        if reached {
            return Ok(());
        }
        let problem = record.problems.first().cloned();
        Err(problem.unwrap_or_else(|| {
            Problem::new(
                "failed",
                format!("plugin `{name}` is `{}`", record.state),
                None,
            )
        }))
    }

    /// Moves a plugin into a state and tells it.
    fn enter(&mut self, name: &str, to: State, problems: Vec<Problem>) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let from = record.state;
        let changed = record.problems != problems;
        record.problems = problems;
        if from == to && !changed {
            return;
        }
        if from != to
            && let Err(error) = record.state.enter(to)
        {
            log::error!("plugin `{name}`: {error}");
            return;
        }
        record.since = self.core.commons.clock.wall();
        tell(record, name, from);
        let event = json!({
            "plugin": name,
            "version": record.manifest.version.to_string(),
            "from": from,
            "to": to,
            "problems": record.problems,
        });
        let payload = Payload::json(&event).unwrap_or_default();
        drop(
            self.publisher
                .publish(&format!("kernel.plugin.{to}"), payload, 0),
        );
    }

    fn show(&self) {
        let plugins = self.records.values().map(Record::seen).collect();
        self.view.store(Arc::new(View {
            plugins,
            rejected: self.rejected.clone(),
        }));
    }
}

/// Writes a change of state into the log.
fn tell(record: &Record, name: &str, from: State) {
    let (to, version) = (record.state, &record.manifest.version);
    if record.problems.is_empty() {
        log::info!("plugin `{name}` {version}: {from} → {to}");
    }
    for problem in &record.problems {
        let hint = problem
            .hint
            .as_ref()
            .map(|hint| format!(" (hint: {hint})"))
            .unwrap_or_default();
        log::error!(
            "plugin `{name}` {version} is {to}: {}{hint}",
            problem.message
        );
    }
}
