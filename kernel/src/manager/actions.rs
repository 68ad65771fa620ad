//! What is done with a plugin, step by step: opening, starting, stopping, closing. Everything
//! that runs author's code runs on a thread to spare, and is waited for no longer than its
//! deadline.

use std::{sync::Arc, time::Duration};

use octa_loader::{CreateOptions, Instance};
use octa_plugin_api::{Error, Payload, block_on};

use super::{
    Core, Event, Manager,
    record::{Doing, Source, Wanted},
};
use crate::{
    bus::SubscriptionOptions, config::Allow, deliveries::Deliveries, facilities::Facilities,
    lifecycle::State, services::Health, status::Problem,
};

/// How long a poll of a plugin may go on after it should have ended.
const PATIENCE: Duration = Duration::from_millis(100);

/// What opening gives.
pub(crate) struct Opened {
    /// Taken out by who still waits for it.
    instance: Option<Instance>,
    facilities: Arc<Facilities>,
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(late) = self.instance.take() {
            // Nobody waited so long. This is still the thread to spare, which may block.
            self.facilities.close();
            late.destroy();
        }
    }
}

/// What stopping gives.
pub(crate) struct Stopped {
    /// What went wrong; the plugin is stopped all the same.
    problem: Option<Problem>,
}

impl Manager {
    pub(super) fn begin(&mut self, name: &str, doing: Doing) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = Some(doing);
        let (core, events, name) = (self.core.clone(), self.events.clone(), name.to_owned());
        let runtime = core.commons.runtime.clone();
        match (doing, record.instance.clone()) {
            (Doing::Opening, _) => {
                let made_from = Ingredients {
                    source: record.source.clone(),
                    manifest: record.manifest.clone(),
                    allow: record.allow.clone(),
                    config: record.config.clone(),
                };
                runtime.spawn(async move {
                    let result = core.open(made_from).await;
                    drop(events.send(Event::Opened(name, Box::new(result))));
                });
            }
            (Doing::Starting, Some(instance)) => {
                runtime.spawn(async move {
                    let result = core.start(instance).await;
                    drop(events.send(Event::Started(name, result)));
                });
            }
            (Doing::Stopping, Some(instance)) => {
                self.close_intake(&name);
                runtime.spawn(async move {
                    let stopped = core.stop(instance).await;
                    drop(events.send(Event::Stopped(name, stopped)));
                });
            }
            (Doing::Closing, Some(instance)) => {
                runtime.spawn(async move {
                    let result = core.close(instance).await;
                    drop(events.send(Event::Closed(name, result)));
                });
            }
            (_, None) => record.busy = None,
        }
    }

    pub(super) fn opened(&mut self, name: &str, result: Result<Opened, Problem>) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = None;
        match result {
            Ok(mut opened) => {
                record.instance = opened.instance.take();
                record.facilities = Some(opened.facilities.clone());
                self.enter(name, State::Loaded, Vec::new());
            }
            Err(problem) => self.enter(name, State::Failed, vec![problem]),
        }
    }

    pub(super) fn started(&mut self, name: &str, result: Result<(), Problem>) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = None;
        if let Err(problem) = result {
            return self.enter(name, State::Failed, vec![problem]);
        }
        self.open_intake(name);
        self.enter(name, State::Started, Vec::new());
    }

    pub(super) fn stopped(&mut self, name: &str, stopped: Stopped) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = None;
        if let Some(facilities) = &record.facilities {
            facilities.close();
        }
        if let Some(problem) = stopped.problem {
            log::warn!("plugin `{name}` was stopped: {}", problem.message);
        }
        self.enter(name, State::Stopped, Vec::new());
    }

    pub(super) fn closed(&mut self, name: &str, result: Result<(), Problem>) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = None;
        record.instance = None;
        if let Some(facilities) = record.facilities.take() {
            facilities.close();
        }
        if let Err(problem) = result {
            log::warn!("plugin `{name}` stays in memory: {}", problem.message);
        }
        if record.wanted == Wanted::Unloaded {
            self.enter(name, State::Unloaded, Vec::new());
        }
    }

    /// Lets calls and events in.
    fn open_intake(&mut self, name: &str) {
        let core = self.core.clone();
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let Some(instance) = record.instance.clone() else {
            return;
        };
        let manifest = record.manifest.clone();
        instance.open();
        for (handler, declared) in (0..).zip(&manifest.subscriptions) {
            let options = SubscriptionOptions::new(name, declared.pattern.clone())
                .capacity(declared.capacity as usize)
                .overflow(declared.overflow);
            let subscription = core.commons.bus.subscribe(options);
            record.subscriptions.push(subscription.handle());
            let deliveries = Deliveries {
                instance: instance.clone(),
                handler,
                declared: declared.clone(),
                publisher: self.publisher.clone(),
                spare: core.spare.clone(),
            };
            deliveries.begin(subscription, &core.commons.pool);
        }
        let health = Arc::new(Health::default());
        let followed = health
            .clone()
            .follow(instance.clone(), core.commons.clock.clone());
        record.following = Some(core.commons.pool.start(followed));
        core.commons
            .services
            .register(&instance, &manifest, &health);
        record.health = Some(health);
    }

    /// Lets no more calls and events in.
    fn close_intake(&mut self, name: &str) {
        self.core.commons.services.unregister(name);
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        if let Some(instance) = &record.instance {
            instance.close();
        }
        record.following = None;
        for subscription in record.subscriptions.drain(..) {
            subscription.close();
        }
    }
}

/// What an instance is made from.
struct Ingredients {
    source: Source,
    manifest: Arc<octa_loader::Manifest>,
    allow: Allow,
    config: serde_json::Value,
}

impl Core {
    /// Waits for work on a thread to spare, no longer than `limit`.
    async fn within<T: Send + 'static>(
        &self,
        limit: Duration,
        what: &str,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let timer = self.commons.clock.sleep(limit);
        tokio::select! {
            done = self.spare.run(job) => {
                done.map_err(|_| Problem::new("internal", format!("{what} ended its thread"), None))
            }
            () = timer => {
                let message = format!("{what} did not return within {limit:?}");
                let hint = "raise the deadline in `[kernel]` of the configuration, or find what it waits for";
                Err(Problem::new("deadline", message, Some(hint.to_owned())))
            }
        }
    }

    async fn open(self: &Arc<Self>, made_from: Ingredients) -> Result<Opened, Problem> {
        let core = self.clone();
        let limit = self.config.kernel.start_deadline;
        let name = made_from.manifest.name.clone();
        self.within(limit, &format!("`create` of plugin `{name}`"), move || {
            core.open_now(made_from)
        })
        .await?
    }

    fn open_now(&self, made_from: Ingredients) -> Result<Opened, Problem> {
        let Ingredients {
            source,
            manifest,
            allow,
            config,
        } = made_from;
        let generation = match source {
            Source::Linked(linked) => linked.root().generation(manifest.clone()),
            Source::File(inspection) => {
                let Some(stage) = &self.stage else {
                    return Err(Problem::new(
                        "internal",
                        "there is no data directory to stage in",
                        None,
                    ));
                };
                let staged = stage
                    .copies
                    .stage(&inspection)
                    .map_err(|error| Problem::from_error("rejected", &error, error.hint()))?;
                self.opener
                    .open(&staged, manifest.clone())
                    .map_err(|error| Problem::from_error("rejected", &error, error.hint()))?
            }
        };
        let facilities = Facilities::new(self.commons.clone(), manifest.clone(), allow);
        let config = Payload::json(&config).map_err(|error| Problem::from(&error))?;
        let options = CreateOptions {
            config,
            log_level: self.log_level,
        };
        let instance = Instance::create(&generation, facilities.clone(), &options)
            .map_err(|error| problem_of("create", &manifest.name, &error))?;
        Ok(Opened {
            instance: Some(instance),
            facilities,
        })
    }

    async fn start(&self, instance: Instance) -> Result<(), Problem> {
        let (limit, name) = (self.config.kernel.start_deadline, instance.name().clone());
        let starting = instance.clone();
        let started = self
            .within(limit, &format!("`start` of plugin `{name}`"), move || {
                block_on(starting.start())
            })
            .await;
        let result = started.and_then(|r| r.map_err(|error| problem_of("start", &name, &error)));
        if result.is_err() {
            self.spare_interrupt(&instance).await;
        }
        result
    }

    async fn stop(&self, instance: Instance) -> Stopped {
        let (limit, name) = (self.config.kernel.stop_deadline, instance.name().clone());
        tokio::select! {
            () = instance.drained() => {}
            () = self.commons.clock.sleep(limit) => {
                log::warn!(
                    "plugin `{name}` still handles {} calls or events after {limit:?}: they are interrupted",
                    instance.in_flight(),
                );
                self.spare_interrupt(&instance).await;
            }
        }
        let stopping = instance.clone();
        let stopped = self
            .within(limit, &format!("`stop` of plugin `{name}`"), move || {
                block_on(stopping.stop())
            })
            .await;
        self.spare_interrupt(&instance).await;
        let result = stopped.and_then(|r| r.map_err(|error| problem_of("stop", &name, &error)));
        Stopped {
            problem: result.err(),
        }
    }

    async fn close(&self, instance: Instance) -> Result<(), Problem> {
        let (limit, name) = (self.config.kernel.stop_deadline, instance.name().clone());
        quiet(&instance, limit).await;
        let closed = self
            .within(limit, &format!("`drop` of plugin `{name}`"), move || {
                instance.destroy()
            })
            .await?;
        if closed {
            return Ok(());
        }
        Err(Problem::new(
            "internal",
            "its code is still running, so its instance is kept",
            None,
        ))
    }

    /// Ends what is unfinished; on a thread to spare, since it runs author's drops.
    async fn spare_interrupt(&self, instance: &Instance) {
        let ending = instance.clone();
        let limit = self.config.kernel.stop_deadline;
        let ended = self
            .within(limit, "a drop", move || ending.interrupt(PATIENCE))
            .await;
        if !matches!(ended, Ok(0)) || instance.is_busy() {
            log::warn!(
                "plugin `{}` blocks a thread, which is left to it",
                instance.name()
            );
        }
    }
}

/// Waits until no thread is in the instance's code any more: what was interrupted may be just
/// on its way out. In real time whatever the clock, since it waits for threads.
async fn quiet(instance: &Instance, limit: Duration) {
    let quiet = async {
        while instance.is_busy() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    if tokio::time::timeout(limit, quiet).await.is_err() {
        log::debug!("plugin `{}` is not quiet after {limit:?}", instance.name());
    }
}

fn problem_of(step: &str, plugin: &str, error: &Error) -> Problem {
    let problem = Problem::from(error);
    let message = format!("`{step}` of plugin `{plugin}`: {}", problem.message);
    Problem { message, ..problem }
}
