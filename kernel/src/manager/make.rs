//! What is done with one generation, step by step: opening, creating, starting, probing, handing
//! over, stopping. Everything that runs author's code runs on a thread to spare, and is waited
//! for no longer than its deadline.

use std::{sync::Arc, time::Duration};

use octa_loader::{CreateOptions, Generation, Instance, Manifest, Placement, Snapshot};
use octa_plugin_api::{Error, Payload, block_on};

use super::{
    Core, Event,
    live::{Leaving, Live},
    record::Source,
    retire::Ended,
    workers::placement,
};
use crate::{
    config::{Allow, Containment},
    facilities::Facilities,
    status::Problem,
};

/// How long a poll of a plugin may go on after it should have ended.
const PATIENCE: Duration = Duration::from_millis(100);

/// What a generation is made from.
#[derive(Clone)]
pub(super) struct Ingredients {
    pub(super) source: Source,
    pub(super) manifest: Arc<Manifest>,
    pub(super) allow: Allow,
    pub(super) containment: Containment,
    /// Its configuration, as JSON with the secrets in it.
    pub(super) config: serde_json::Value,
}

/// Which generation it is, and whether another one of its plugin serves meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) on_trial: bool,
}

impl Core {
    /// Waits for work on a thread to spare, no longer than `limit`.
    pub(super) async fn within<T: Send + 'static>(
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

    fn start_deadline(&self) -> Duration {
        self.config.load().kernel.start_deadline
    }

    pub(super) fn stop_deadline(&self) -> Duration {
        self.config.load().kernel.stop_deadline
    }

    /// Opens a library and makes an instance. What fails is brought to its end by itself.
    pub(super) async fn make(
        self: &Arc<Self>,
        from: Ingredients,
        numbered: Numbered,
    ) -> Result<Arc<Live>, Problem> {
        let (limit, name) = (self.start_deadline(), from.manifest.name.clone());
        let (core, opened_from) = (self.clone(), from.clone());
        let opening = format!("opening plugin `{name}`");
        let number = numbered.number;
        let placement = placement(&from.manifest, &from.containment);
        let _daring = self.dare(&name, from.source.hash(), placement).await;
        let opened = self.within(limit, &opening, move || {
            let generation = core.open(&opened_from, number)?;
            core.watchdog.know(&generation, number);
            Ok::<_, Problem>(Ended::new(core, number, &opened_from, generation))
        });
        let mut ended: Ended = opened.await??;
        let (core, generation) = (self.clone(), ended.generation().clone());
        let facilities = if numbered.on_trial {
            Facilities::on_trial
        } else {
            Facilities::new
        };
        let facilities = facilities(
            self.commons.clone(),
            from.manifest.clone(),
            from.allow.clone(),
        );
        let (config, host) = (from.config.clone(), facilities.clone());
        let creating = format!("`create` of plugin `{name}`");
        let kept = ended.kept(format!("{creating} has not returned"));
        let created = self.within(limit, &creating, move || {
            let made = core.create(&generation, config, host);
            ended.instance = made.as_ref().ok().cloned();
            (made, ended)
        });
        let (made, ended) = created.await.inspect_err(|_| {
            facilities.end();
            // Until it does, and is brought to its end there.
            drop(
                self.events
                    .send(Event::Ended(name.clone(), number, Some(kept))),
            );
        })?;
        let instance = made.inspect_err(|_| facilities.end())?;
        ended.forget();
        let now = self.commons.clock.wall();
        Ok(Arc::new(Live::new(
            numbered.number,
            now,
            from,
            instance,
            facilities,
        )))
    }

    fn open(self: &Arc<Self>, from: &Ingredients, number: u64) -> Result<Arc<Generation>, Problem> {
        let inspection = match &from.source {
            Source::Linked(linked) => return Ok(linked.root().generation(from.manifest.clone())),
            Source::File(inspection) => inspection,
        };
        let Some(stage) = &self.stage else {
            let message = "there is no data directory to stage in";
            return Err(Problem::new("internal", message, None));
        };
        let staged = stage
            .copies
            .stage(inspection)
            .map_err(|error| Problem::from_error("unavailable", &error, error.hint()))?;
        let kept = self
            .store
            .as_ref()
            .map(|it| it.keep_copy(inspection, &staged));
        kept.transpose()
            .map_err(|error| Problem::from_error("unavailable", &error, error.hint()))?;
        if placement(&from.manifest, &from.containment) == Placement::Process {
            return self.open_apart(from, &staged, number);
        }
        self.vet(from, &staged)?;
        self.opener
            .open(&staged, from.manifest.clone())
            .map_err(|error| Problem::from_error("rejected", &error, error.hint()))
    }

    fn create(
        &self,
        generation: &Arc<Generation>,
        config: serde_json::Value,
        host: Arc<Facilities>,
    ) -> Result<Instance, Problem> {
        let options = CreateOptions {
            config: Payload::json(&config).map_err(|error| Problem::from(&error))?,
            log_level: self.log_level,
        };
        Instance::create(generation, host, &options)
            .map_err(|error| problem_of("create", &generation.manifest().name, &error))
    }

    pub(super) async fn start(&self, live: &Live) -> Result<(), Problem> {
        let placement = placement(&live.manifest, &live.containment);
        let _daring = self.dare(live.name(), live.hash(), placement).await;
        let starting = live.instance.clone();
        let started = self
            .run_step(live, "start", self.start_deadline(), move || {
                block_on(starting.start())
            })
            .await;
        match &started {
            Ok(()) => self.acquit(live.hash()),
            Err(_) => self.interrupt(&live.instance).await,
        }
        started
    }

    /// Asks the instance how well it does.
    pub(super) async fn probe(&self, live: &Live) -> Result<(), Problem> {
        let probed = live.instance.clone();
        let health = self.run_step(live, "health", self.start_deadline(), move || {
            block_on(probed.health())
        });
        if health.await? > 0.0 {
            return Ok(());
        }
        let message = format!(
            "plugin `{}` {} does not pass its probe: its health is 0",
            live.name(),
            live.manifest.version
        );
        Err(Problem::new("failed", message, None))
    }

    pub(super) async fn save(&self, live: &Live) -> Result<Snapshot, Problem> {
        let saving = live.instance.clone();
        self.run_step(live, "save", self.stop_deadline(), move || {
            block_on(saving.save())
        })
        .await
    }

    pub(super) async fn restore(&self, live: &Live, snapshot: Snapshot) -> Result<(), Problem> {
        let restoring = live.instance.clone();
        self.run_step(live, "restore", self.start_deadline(), move || {
            block_on(restoring.restore(&snapshot))
        })
        .await
    }

    /// Runs the author's `stop`, and ends what is unfinished then.
    pub(super) async fn stop(&self, live: &Live) -> Result<(), Problem> {
        // It may wait for its tasks.
        self.thaw(live).await;
        let stopping = live.instance.clone();
        let stopped = self
            .run_step(live, "stop", self.stop_deadline(), move || {
                block_on(stopping.stop())
            })
            .await;
        self.interrupt(&live.instance).await;
        stopped
    }

    /// Lets the tasks of a generation go on.
    pub(super) async fn thaw(&self, live: &Live) {
        live.facilities.thaw();
        let thawed = tokio::select! {
            thawed = live.instance.thaw() => thawed.map_err(|error| error.to_string()),
            () = self.commons.clock.sleep(self.stop_deadline()) => Err("its process does not answer".to_owned()),
        };
        if let Err(why) = thawed {
            log::debug!("the tasks of plugin `{}` stand still: {why}", live.name());
        }
    }

    async fn run_step<T: Send + 'static>(
        &self,
        live: &Live,
        step: &str,
        limit: Duration,
        job: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Problem> {
        let what = format!("`{step}` of plugin `{}`", live.name());
        let done = self.within(limit, &what, job).await;
        done.and_then(|r| r.map_err(|error| problem_of(step, live.name(), &error)))
    }

    /// Waits until what a generation handles is handled; after the deadline it is interrupted.
    pub(super) async fn drain(&self, live: &Live, leaving: &Leaving) {
        let limit = self.stop_deadline();
        let timer = self.commons.clock.sleep(limit);
        tokio::select! {
            () = leaving.gone(&live.instance) => return,
            () = timer => {}
        }
        log::warn!(
            "plugin `{}` still handles {} calls or events after {limit:?}: they are interrupted",
            live.name(),
            live.instance.in_flight(),
        );
        self.interrupt(&live.instance).await;
        leaving.cut_off();
    }

    /// Ends what is unfinished; on a thread to spare, since it runs author's drops.
    pub(super) async fn interrupt(&self, instance: &Instance) {
        let ending = instance.clone();
        let ended = self
            .within(self.stop_deadline(), "a drop", move || {
                interrupt_all(&ending)
            })
            .await;
        if !matches!(ended, Ok(0)) {
            log::warn!(
                "plugin `{}` blocks a thread, which is left to it",
                instance.name()
            );
        }
    }
}

/// Ends what is unfinished, and what comes to wait meanwhile: work whose first poll is under way
/// can be ended after that. Answers how much could not be ended.
fn interrupt_all(instance: &Instance) -> usize {
    let mut stuck = instance.interrupt(PATIENCE);
    for _ in 0..PATIENCE.as_millis() {
        if stuck > 0 || !instance.is_busy() {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(1));
        stuck = instance.interrupt(PATIENCE);
    }
    stuck
}

fn problem_of(step: &str, plugin: &str, error: &Error) -> Problem {
    let problem = Problem::from(error);
    let message = format!("`{step}` of plugin `{plugin}`: {}", problem.message);
    Problem { message, ..problem }
}
