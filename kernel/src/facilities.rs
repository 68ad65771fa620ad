//! What one plugin instance reaches of the kernel: each operation, after its permission.

mod decided;
mod errors;
mod journal;
mod log_budget;
mod publishing;
mod subscriptions;
mod tasks;
mod trial;
mod values;

use std::{
    sync::{Arc, OnceLock},
    task::Context,
    time::Duration,
};

use octa_loader::{
    BoxFuture, Envelope, Host, LogLine, Manifest, NameKind, Outcome, Request, Submitted, call_flag,
    operation,
};
use octa_plugin_api::{Error, ErrorKind, Payload};

use crate::{
    authorize::{Wish, authorize},
    bus::{Bus, Publisher},
    config::Allow,
    dead_letters::DeadLetters,
    journal::Journals,
    pool::Pool,
    services::{Begun, Route, Services},
    state::State,
    storage::Storage,
    time::Clock,
};
use decided::Decided;
use log_budget::{LINES, LogBudget, Verdict, WINDOW};
use subscriptions::{Inbox, Subscriptions};
use tasks::Tasks;
use trial::{Effect, Trial};

/// Everything that plugins can reach, shared by the whole kernel.
#[derive(Debug, Clone)]
pub(crate) struct Commons {
    pub(crate) bus: Bus,
    pub(crate) letters: DeadLetters,
    pub(crate) services: Services,
    pub(crate) state: State,
    pub(crate) storage: Storage,
    pub(crate) journals: Journals,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pool: Pool,
    pub(crate) runtime: tokio::runtime::Handle,
}

/// The host of one instance.
///
/// A generation that is to take over from another begins on trial: until [`release`] what it
/// does is held back, or refused where that cannot be.
///
/// [`release`]: Self::release
pub(crate) struct Facilities {
    commons: Commons,
    manifest: Arc<Manifest>,
    allow: Allow,
    /// Empty while anything is held back: then nothing is published past it.
    publisher: OnceLock<Publisher>,
    subscriptions: Subscriptions,
    tasks: Tasks,
    trial: Trial,
    /// What was granted once is granted for the life of the instance.
    routes: Decided<Arc<Route>>,
    granted: Decided<()>,
    lines: LogBudget,
}

/// What an instance holds here. Unfinished calls and tasks are in the instance's own ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Holdings {
    /// Subscriptions made while it runs.
    pub(crate) subscriptions: usize,
    /// Events that are sent once it has taken over.
    pub(crate) events: usize,
    /// Tasks that begin once it has taken over.
    pub(crate) tasks: usize,
}

impl Facilities {
    /// For an instance that takes over from nobody.
    pub(crate) fn new(commons: Commons, manifest: Arc<Manifest>, allow: Allow) -> Arc<Self> {
        let this = Self::of(commons, manifest, allow, Trial::none());
        this.commons.journals.speak_through(this.publisher());
        Arc::new(this)
    }

    /// For an instance that is to take over from another, or to be dropped as if it had never
    /// been.
    pub(crate) fn on_trial(commons: Commons, manifest: Arc<Manifest>, allow: Allow) -> Arc<Self> {
        Arc::new(Self::of(commons, manifest, allow, Trial::new()))
    }

    fn of(commons: Commons, manifest: Arc<Manifest>, allow: Allow, trial: Trial) -> Self {
        Self {
            commons,
            manifest,
            allow,
            publisher: OnceLock::new(),
            subscriptions: Subscriptions::default(),
            tasks: Tasks::default(),
            trial,
            routes: Decided::default(),
            granted: Decided::default(),
            lines: LogBudget::default(),
        }
    }

    /// Ends the trial well: what was held back is had, in the order it was asked for, and before
    /// all that is asked for meanwhile.
    ///
    /// Before calls and events are let in, since they may do what a trial refuses. From the
    /// predecessor it takes over the sequence of its events, and for each subscription the queue
    /// of one to the same pattern, so that no event is lost there or seen twice; the
    /// predecessor's has ended then.
    pub(crate) fn release(&self, predecessor: Option<&Self>) {
        let publisher = predecessor.map_or_else(
            || self.commons.bus.publisher(&self.manifest.name),
            |predecessor| predecessor.publisher().clone(),
        );
        if !self.trial.end() {
            return;
        }
        self.commons.journals.speak_through(&publisher);
        let mut waiting = Vec::new();
        let done = || drop(self.publisher.set(publisher.clone()));
        while let Some(effect) = self.trial.next(done) {
            match effect {
                Effect::Publish(event) => {
                    waiting.extend(self.publish_now(&publisher, &event));
                }
                Effect::Subscribe(inbox) => self.open(&inbox, predecessor),
                Effect::Spawn(task) => self.begin(task),
            }
        }
        self.see_through(waiting);
    }

    /// Ends the subscriptions that the instance made while it ran and the tasks that stand
    /// still, and a trial badly: what was held back is dropped, and whatever it asks for from
    /// now on is refused.
    ///
    /// Drops of the plugin's run on the pool, which it may block.
    pub(crate) fn close(&self) {
        let held = self.trial.fail();
        self.subscriptions.clear(false);
        self.tasks.end();
        if !held.is_empty() {
            self.commons.pool.spawn(async move { drop(held) });
        }
    }

    /// The same for good: whatever is asked for late leaves nothing behind.
    pub(crate) fn end(&self) {
        self.close();
        self.subscriptions.clear(true);
    }

    /// What the instance holds here.
    pub(crate) fn holdings(&self) -> Holdings {
        let (events, tasks) = self.trial.count();
        Holdings {
            subscriptions: self.subscriptions.count(),
            events,
            tasks,
        }
    }

    /// Lets no task of the instance go on; see [`frozen`](Self::frozen).
    pub(crate) fn freeze(&self) {
        self.tasks.freeze();
    }

    /// Waits until no task is under way, after [`freeze`](Self::freeze). One that blocks its
    /// thread may keep it waiting for ever.
    pub(crate) async fn frozen(&self) {
        self.tasks.frozen().await;
    }

    /// Lets the tasks of the instance go on.
    pub(crate) fn thaw(&self) {
        self.tasks.thaw();
    }

    fn may(&self, wish: Wish<'_>) -> Result<(), Error> {
        let (reach, target) = wish.parts();
        self.granted.get_or(reach.key(), target, || {
            authorize(&self.manifest, &self.allow, wish)
                .map(drop)
                .map_err(errors::denied)
        })
    }

    /// The same for a namespace; of one that nobody can have, that is said.
    fn may_have(&self, wish: Wish<'_>) -> Result<(), Error> {
        self.may(wish).map_err(|denied| {
            let malformed = NameKind::Namespace.check(wish.parts().1).err();
            malformed.map_or(denied, |e| errors::namespace(&self.manifest.name, e))
        })
    }

    fn answer(&self, request: &Request<'_>, cx: &mut Context<'_>) -> Result<Submitted, Error> {
        match request.operation {
            operation::PUBLISH => self.publish(request),
            operation::CALL => self.call(request, cx),
            operation::SUBSCRIBE => self.subscribe(request),
            operation::UNSUBSCRIBE => Ok(ready(self.subscriptions.end(request.number))),
            operation::NEXT_EVENT => self.subscriptions.next(request.number),
            operation::STATE_GET..=operation::STATE_SET_FOR => {
                self.may_have(Wish::State(request.target))?;
                self.may_write_now(request)?;
                values::state(&self.commons.state, &self.manifest, request)
            }
            operation::STORAGE_GET..=operation::STORAGE_CHANGES => {
                self.may_have(Wish::Storage(request.target))?;
                self.may_write_now(request)?;
                values::storage(&self.commons.storage, &self.manifest, request)
            }
            operation::JOURNAL_RECORD..=operation::JOURNAL_TRIM => self.journal(request),
            operation::SLEEP => Ok(self.sleep(request.number)),
            operation::NOW => Ok(ready(number(self.commons.clock.wall()))),
            operation::MONOTONIC => Ok(ready(number(self.commons.clock.monotonic()))),
            unknown => {
                let message = format!("this kernel does not know the operation {unknown:#06x}");
                let error = Error::new(ErrorKind::Unsupported, message);
                Err(error.with_hint("the plugin is newer than the kernel: update the kernel"))
            }
        }
    }

    fn call(&self, request: &Request<'_>, cx: &mut Context<'_>) -> Result<Submitted, Error> {
        let name = request.target;
        let route = self.routes.get_or("call", name, || {
            authorize(&self.manifest, &self.allow, Wish::Call(name)).map_err(errors::denied)?;
            self.commons.services.find(name)
        })?;
        if self.trial.is_on() {
            self.may_call_now(&route)?;
        }
        let envelope = Envelope {
            caller: &self.manifest.name,
            attempt: 0,
            ..request.envelope
        };
        let services = &self.commons.services;
        let (correlation, payload) = (envelope.correlation, &request.payload);
        let may_retry = request.flags & call_flag::NO_RETRIES == 0;
        let begun = services.begin(&route, &envelope, correlation, payload, may_retry, cx);
        Ok(match begun {
            Begun::Ready(outcome) => ready(outcome),
            Begun::Pending(call) => Submitted::Waiting(Box::pin(call)),
        })
    }

    /// A trial does what can be done twice, and nothing else that others would notice.
    #[cold]
    fn may_call_now(&self, route: &Arc<Route>) -> Result<(), Error> {
        if self.commons.services.is_harmless(route) {
            return Ok(());
        }
        let what = format!("call `{}`, which nobody declares idempotent", route.name());
        Err(errors::too_early(&self.manifest.name, &what))
    }

    fn may_write_now(&self, request: &Request<'_>) -> Result<(), Error> {
        if !self.trial.is_on() {
            return Ok(());
        }
        values::written(request).map_or(Ok(()), |written| {
            let what = format!("write {written}");
            Err(errors::too_early(&self.manifest.name, &what))
        })
    }

    fn subscribe(&self, request: &Request<'_>) -> Result<Submitted, Error> {
        self.may(Wish::Subscribe(request.target))?;
        let plugin = &self.manifest.name;
        let inbox = self
            .subscriptions
            .enter(plugin, request.target, request.number)?;
        let number = inbox.number();
        if self.publisher.get().is_some() {
            self.open(&inbox, None);
        } else {
            match self.trial.hold(Effect::Subscribe(inbox.clone()), plugin) {
                Ok(None) => {}
                Ok(Some(_)) => self.open(&inbox, None),
                Err(error) => {
                    self.subscriptions.end(number);
                    return Err(error);
                }
            }
        }
        Ok(ready(Outcome::ok(number, Payload::empty())))
    }

    fn open(&self, inbox: &Inbox, predecessor: Option<&Self>) {
        if inbox.has_ended() {
            return;
        }
        let inherited = predecessor.and_then(|other| other.subscriptions.give_up(inbox.pattern()));
        inbox.open(inherited, &self.commons.bus, &self.manifest.name);
    }

    /// Tells at the end of a while how many lines were left out in it.
    #[cold]
    fn tell_of_flood(&self) {
        let (lines, clock) = (self.lines.clone(), self.commons.clock.clone());
        let plugin = self.manifest.name.clone();
        self.commons.runtime.spawn(async move {
            clock.sleep(WINDOW).await;
            let left_out = lines.settle(clock.monotonic());
            log::warn!(
                "plugin `{plugin}` writes more than {LINES} lines a second into the log: {left_out} were left out"
            );
        });
    }

    fn begin(&self, task: BoxFuture<()>) {
        self.commons.pool.spawn(self.tasks.enter(task));
    }

    fn publisher(&self) -> &Publisher {
        self.publisher
            .get_or_init(|| self.commons.bus.publisher(&self.manifest.name))
    }

    fn sleep(&self, nanos: u64) -> Submitted {
        let sleep = self.commons.clock.sleep(Duration::from_nanos(nanos));
        Submitted::New(Box::pin(async move {
            sleep.await;
            Outcome::ok(0, Payload::empty())
        }))
    }

    /// The same future, given up when the time of the call is over, or that of a call where there
    /// is none: a handler may publish what only itself makes room for.
    fn within(
        &self,
        limit: Option<Duration>,
        what: &'static str,
        future: impl Future<Output = Outcome> + Send + 'static,
    ) -> BoxFuture<Outcome> {
        let limit = limit.unwrap_or(self.commons.services.default_deadline());
        let timer = self.commons.clock.sleep(limit);
        Box::pin(async move {
            tokio::select! {
                outcome = future => outcome,
                () = timer => {
                    let message = format!("{what} did not get ready within {limit:?}");
                    Error::new(ErrorKind::Deadline, message).into()
                }
            }
        })
    }
}

fn ready(outcome: Outcome) -> Submitted {
    Submitted::Ready(outcome)
}

fn number(time: Duration) -> Outcome {
    Outcome::ok(
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
        Payload::empty(),
    )
}

impl Host for Facilities {
    fn submit(&self, request: &Request<'_>, cx: &mut Context<'_>) -> Submitted {
        self.answer(request, cx)
            .unwrap_or_else(|error| ready(error.into()))
    }

    fn drive(&self, future: BoxFuture<()>) {
        self.commons.pool.spawn(future);
    }

    fn run_task(&self, task: BoxFuture<()>) {
        if self.publisher.get().is_some() {
            return self.begin(task);
        }
        // Dropped if the trial has failed: the instance ends.
        if let Ok(Some(Effect::Spawn(task))) =
            self.trial.hold(Effect::Spawn(task), &self.manifest.name)
        {
            self.begin(task);
        }
    }

    fn log(&self, line: &LogLine<'_>) {
        // The plugin's own modules follow its name, so that a filter can tell plugins apart.
        let target = format!("{}::{}", self.manifest.name, line.target);
        let metadata = log::Metadata::builder()
            .level(line.level)
            .target(&target)
            .build();
        // Lines that nobody wants cost nothing.
        if !log::logger().enabled(&metadata) {
            return;
        }
        match self.lines.take(self.commons.clock.monotonic()) {
            Verdict::Write => {}
            Verdict::LeaveOutAndTell => return self.tell_of_flood(),
            Verdict::LeaveOut => return,
        }
        log::logger().log(
            &log::Record::builder()
                .metadata(metadata)
                .args(format_args!("{}", line.message))
                .file(Some(line.file).filter(|file| !file.is_empty()))
                .line(Some(line.line).filter(|line| *line > 0))
                .build(),
        );
    }
}

#[cfg(test)]
mod tests;
