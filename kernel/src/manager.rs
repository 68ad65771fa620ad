//! Decides what should run and makes it so: one loop that owns all records, one closed set of
//! events that drive it. Calls and events never pass through it.

mod actions;
mod changes;
mod commands;
mod facts;
mod live;
mod make;
mod preview;
mod reconcile;
mod record;
mod reload;
mod remember;
mod replace;
mod retire;
mod scan;
mod strays;
mod supervise;
mod vet;
mod workers;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
};

use arc_swap::ArcSwap;
use octa_loader::{Change, FileRules, Opener, Store, Watcher};
use octa_plugin_api::Payload;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::{
    builder::Stage,
    bus::Publisher,
    config::{Config, Restart, Secrets},
    facilities::Commons,
    fate::Casualty,
    lifecycle::State,
    linked::Linked,
    reload::{Applied, ReloadPlan, Reloaded, RetiredStatus, RollbackOptions},
    spare::Spare,
    status::{Problem, RejectedFile},
    watchdog::Watchdog,
};
use live::Live;
use record::Record;
pub(crate) use record::{Doing, Seen};
use reload::Conclusion;
pub use scan::ScanError;
pub(crate) use supervise::{Breakdown, COMING_BACK, Stuck};
pub(crate) use workers::Workers;

/// What plugins are made and run with.
pub(crate) struct Core {
    pub(crate) commons: Commons,
    pub(crate) spare: Spare,
    pub(crate) config: ArcSwap<Config>,
    pub(crate) secrets: Box<dyn Secrets + Send + Sync>,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) linked: Vec<Linked>,
    pub(crate) rules: FileRules,
    pub(crate) opener: Opener,
    pub(crate) workers: Workers,
    /// Whose turn it is of those that may have ended the last process.
    pub(crate) suspects: Arc<tokio::sync::Mutex<()>>,
    pub(crate) stage: Option<Stage>,
    pub(crate) store: Option<Arc<Store>>,
    pub(crate) log_level: log::LevelFilter,
    pub(crate) events: mpsc::UnboundedSender<Event>,
    /// What is to be recorded in the store, one after the other.
    pub(crate) records: mpsc::UnboundedSender<Job>,
    /// Generations that have ended and of which nothing was told yet, and what is not recorded.
    pub(crate) endings: AtomicUsize,
    pub(crate) watchdog: Watchdog,
}

/// Work for a thread to spare.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// Ready when something is recorded in the store, or there was nothing to record.
pub(crate) type Recorded = oneshot::Receiver<()>;

/// Everything that drives the manager.
pub(crate) enum Event {
    /// Somebody wants something.
    Command(Command),
    /// Files of the plugin directory have changed.
    Changed(Change),
    /// A file was incomplete, which takes its time.
    LookAgain(PathBuf),
    /// A library was opened and an instance made, or not.
    Opened(String, Result<Arc<Live>, Problem>),
    /// An instance's start ended.
    Started(String, Result<(), Problem>),
    /// A reload ended.
    Reloaded(String, Box<Conclusion>),
    /// The first seconds of a generation are over, well or not.
    Proven(String, u64, Result<(), Problem>),
    /// What serves broke down: which generation, and how.
    Broke(String, u64, Breakdown),
    /// That has nothing in hand any more; which events it had.
    Fell(String, u64, Box<Breakdown>, Vec<Casualty>),
    /// The time of a restart has come, if it is still this one that is to come.
    Again(String, u64),
    /// A generation has served for long enough to have its failures forgotten.
    Healthy(String, u64),
    /// An instance was stopped.
    Stopped(String),
    /// An instance was destroyed, or is kept.
    Closed(String),
    /// A generation was unmapped, or is kept.
    Ended(String, u64, Option<RetiredStatus>),
    /// Something was brought to its end that somebody may wait for.
    Done,
}

impl Event {
    /// Whether a step that the manager began has ended as steps do.
    fn ends_a_step(&self) -> bool {
        matches!(
            self,
            Self::Opened(..)
                | Self::Started(..)
                | Self::Stopped(_)
                | Self::Closed(_)
                | Self::Ended(..)
                | Self::Proven(..)
                | Self::Healthy(..)
                | Self::Done
        )
    }
}

/// What can be wanted of the manager; each is answered when everything has come to rest.
pub(crate) enum Command {
    /// Look for plugins and start all that may.
    StartAll(oneshot::Sender<Result<(), ScanError>>),
    /// Stop and destroy all.
    StopAll(oneshot::Sender<()>),
    /// Bring one plugin somewhere.
    One(Goal, String, oneshot::Sender<Result<(), Problem>>),
    /// Replace a started plugin by what its file holds.
    Reload(String, Waiter),
    /// Say what that would do.
    PlanReload(String, oneshot::Sender<Result<ReloadPlan, Problem>>),
    /// Replace a started plugin by what served before.
    Rollback(String, RollbackOptions, Waiter),
    /// Say what that would do.
    PlanRollback(
        String,
        RollbackOptions,
        oneshot::Sender<Result<ReloadPlan, Problem>>,
    ),
    /// Go on with another configuration.
    Apply(Box<Config>, oneshot::Sender<Applied>),
}

/// Who waits for a reload.
pub(crate) type Waiter = oneshot::Sender<Result<Reloaded, Problem>>;

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
    /// Generations that have ended and are still mapped, by plugin.
    retired: Vec<(String, RetiredStatus)>,
    /// How many generations there were of plugins whose files are gone.
    numbers: BTreeMap<String, u64>,
    /// Who is told when everything has come to rest.
    waiting: Vec<Waiting>,
    /// While the plugins are to run.
    watcher: Option<Watcher>,
    is_running: bool,
    publisher: Publisher,
    view: Arc<ArcSwap<View>>,
    /// What is told once the view shows it.
    outbox: Vec<Told>,
}

/// Something to be told.
enum Told {
    /// An event on this topic.
    Event(String, Payload),
    /// The answer to who asked for a reload, once what follows from it is recorded.
    Answer(Waiter, Result<Reloaded, Problem>, Recorded),
}

enum Waiting {
    All(oneshot::Sender<Result<(), ScanError>>),
    Stop(oneshot::Sender<()>),
    One(Goal, String, oneshot::Sender<Result<(), Problem>>),
    Applied(Applied, oneshot::Sender<Applied>),
}

impl Manager {
    /// Starts the loop; it ends with the runtime.
    pub(crate) fn spawn(
        core: Arc<Core>,
        inbox: mpsc::UnboundedReceiver<Event>,
        mut records: mpsc::UnboundedReceiver<Job>,
        view: Arc<ArcSwap<View>>,
    ) {
        let runtime = core.commons.runtime.clone();
        let spare = core.spare.clone();
        runtime.spawn(async move {
            while let Some(job) = records.recv().await {
                // A panic is told by its thread.
                drop(spare.run(job).await);
            }
        });
        let manager = Self {
            publisher: core.commons.bus.publisher("kernel"),
            core,
            records: BTreeMap::new(),
            rejected: Vec::new(),
            retired: Vec::new(),
            numbers: BTreeMap::new(),
            waiting: Vec::new(),
            watcher: None,
            is_running: false,
            view,
            outbox: Vec::new(),
        };
        runtime.spawn(manager.run(inbox));
    }

    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Event>) {
        let mut next = None;
        while let Some(event) = match next.take() {
            Some(event) => Some(event),
            None => inbox.recv().await,
        } {
            self.handle(event).await;
            next = self.handle_steps(&mut inbox).await;
            self.see_to_breakdowns();
            self.settle_unsettled();
            self.replace_condemned().await;
            self.take_up_arrivals().await;
            self.give_up_unwanted();
            self.reconcile();
            self.remove_gone();
            self.show();
            self.tell_all();
            self.answer_if_at_rest();
        }
    }

    /// Handles the ends of steps that have come in meanwhile: what follows is decided for all of
    /// them at once. Answers what came in that is none.
    async fn handle_steps(&mut self, inbox: &mut mpsc::UnboundedReceiver<Event>) -> Option<Event> {
        while let Ok(event) = inbox.try_recv() {
            if !event.ends_a_step() {
                return Some(event);
            }
            self.handle(event).await;
        }
        None
    }

    fn tell_all(&mut self) {
        for told in self.outbox.drain(..) {
            match told {
                Told::Event(topic, payload) => drop(self.publisher.publish(&topic, payload, 0)),
                Told::Answer(waiter, answer, recorded) => {
                    self.core.commons.runtime.spawn(async move {
                        // Its end says enough.
                        let _ = recorded.await;
                        drop(waiter.send(answer));
                    });
                }
            }
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Command(command) => self.command(command).await,
            Event::Changed(change) => self.changed(change).await,
            Event::LookAgain(path) => self.look_again(path).await,
            Event::Opened(name, result) => self.opened(&name, result).await,
            Event::Started(name, result) => self.started(&name, result).await,
            Event::Reloaded(name, conclusion) => self.reloaded(&name, *conclusion).await,
            Event::Proven(name, number, result) => self.proven(&name, number, result),
            Event::Broke(name, number, breakdown) => self.broke(&name, number, breakdown),
            Event::Fell(name, number, breakdown, casualties) => {
                self.fell(&name, number, &breakdown, &casualties);
            }
            Event::Again(name, ticket) => self.again(&name, ticket),
            Event::Healthy(name, number) => self.healthy(&name, number),
            Event::Stopped(name) => self.stopped(&name),
            Event::Closed(name) => self.closed(&name),
            Event::Ended(name, number, kept) => self.ended(name, number, kept),
            Event::Done => {}
        }
    }

    fn answer_if_at_rest(&mut self) {
        if self.records.values().any(|record| record.busy.is_some()) {
            return;
        }
        let is_ending = self.core.endings.load(Ordering::SeqCst) > 0;
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Stop(_) | Waiting::One(Goal::Unload, ..) if is_ending => {
                    self.waiting.push(waiting);
                }
                Waiting::All(reply) => drop(reply.send(Ok(()))),
                Waiting::Stop(reply) => drop(reply.send(())),
                Waiting::One(goal, name, reply) => drop(reply.send(self.reached(goal, &name))),
                Waiting::Applied(applied, reply) => drop(reply.send(self.applied(applied))),
            }
        }
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
        let mut event = json!({
            "plugin": name,
            "version": record.manifest.version.to_string(),
            "from": from,
            "to": to,
            "problems": record.problems,
        });
        if let Some(at) = record.supervision.due() {
            event["restart_at"] = json!(at);
        }
        self.publish(&format!("kernel.plugin.{to}"), &event);
    }

    /// Tells on the bus what happened.
    fn publish(&mut self, topic: &str, event: &Value) {
        let payload = Payload::json(event).unwrap_or_default();
        self.outbox.push(Told::Event(topic.to_owned(), payload));
    }

    /// Answers who asked for a reload, if somebody did.
    fn answer(
        &mut self,
        waiter: Option<Waiter>,
        answer: Result<Reloaded, Problem>,
        recorded: Recorded,
    ) {
        if let Some(waiter) = waiter {
            self.outbox.push(Told::Answer(waiter, answer, recorded));
        }
    }

    /// Takes note of what became of a generation that has ended.
    fn ended(&mut self, name: String, number: u64, kept: Option<RetiredStatus>) {
        let is_it = |(plugin, it): &(String, RetiredStatus)| {
            *plugin == name && it.generation.number == number
        };
        self.retired.retain(|it| !is_it(it));
        let event = json!({ "plugin": name, "generation": number, "kept": kept });
        let Some(kept) = kept else {
            self.retry_put_off();
            log::debug!("generation {number} of plugin `{name}` is unmapped");
            return self.publish("kernel.generation.unmapped", &event);
        };
        let is_linked = kept.generation.hash.is_none();
        if !is_linked {
            log::warn!(
                "generation {number} of plugin `{name}` stays mapped: {}",
                kept.causes.join(", ")
            );
            self.publish("kernel.generation.kept", &event);
            self.retired.push((name, kept));
        }
    }

    fn show(&self) {
        let retired_of = |name: &str| {
            let of = self.retired.iter().filter(|(plugin, _)| plugin == name);
            of.map(|(_, retired)| retired.clone()).collect()
        };
        let config = self.core.config.load();
        let restart = Restart::default();
        let seen = |record: &Record| {
            let name = &record.manifest.name;
            let restart = (config.plugins.get(name)).map_or(&restart, |plugin| &plugin.restart);
            record.seen(retired_of(name), restart, &self.core.watchdog)
        };
        self.view.store(Arc::new(View {
            plugins: self.records.values().map(seen).collect(),
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
        log::error!("plugin `{name}` {version} is {to}: {}", with_hint(problem));
    }
}

/// A problem and its way out on one line.
fn with_hint(problem: &Problem) -> String {
    let hint = problem.hint.as_ref();
    let hint = hint.map(|hint| format!(" (hint: {hint})"));
    format!("{}{}", problem.message, hint.unwrap_or_default())
}
