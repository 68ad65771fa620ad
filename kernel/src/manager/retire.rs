//! The end of a generation: its instance is destroyed and its library unmapped, as soon as it can
//! be shown that nothing of it runs or will run any more.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use octa_loader::{Generation, Instance, Unload};

use super::{
    Core, Event,
    live::{Leaving, Live},
    make::Ingredients,
};
use crate::reload::{GenerationStatus, RetiredStatus, nanos};

/// How long it is tried before it is told that a generation stays mapped for now: threads and
/// destructors often end a moment later.
const QUICK: Duration = Duration::from_millis(250);
/// How often it is tried after that.
const SLOW: Duration = Duration::from_secs(1);

/// A generation that has ended, or that will unless it is [forgotten](Self::forget): dropping it
/// brings it to its end in the background.
pub(super) struct Ended {
    core: Arc<Core>,
    name: String,
    status: GenerationStatus,
    generation: Arc<Generation>,
    pub(super) instance: Option<Instance>,
    is_armed: bool,
}

impl Ended {
    /// A generation that has no instance yet.
    pub(super) fn new(
        core: Arc<Core>,
        number: u64,
        from: &Ingredients,
        generation: Arc<Generation>,
    ) -> Self {
        let status = GenerationStatus {
            number,
            version: from.manifest.version.to_string(),
            hash: from.source.hash().map(|hash| hash.to_string()),
            since: nanos(core.commons.clock.wall()),
        };
        Self {
            name: from.manifest.name.clone(),
            core,
            status,
            generation,
            instance: None,
            is_armed: true,
        }
    }

    pub(super) fn of(core: &Arc<Core>, live: &Live) -> Self {
        Self {
            core: core.clone(),
            name: live.name().to_owned(),
            status: GenerationStatus {
                since: nanos(core.commons.clock.wall()),
                ..live.status()
            },
            generation: live.instance.generation().clone(),
            instance: Some(live.instance.clone()),
            is_armed: true,
        }
    }

    pub(super) fn generation(&self) -> &Arc<Generation> {
        &self.generation
    }

    /// How it is told of while this keeps it.
    pub(super) fn kept(&self, cause: String) -> RetiredStatus {
        RetiredStatus {
            generation: self.status.clone(),
            causes: vec![cause],
            is_final: false,
        }
    }

    /// It goes on.
    pub(super) fn forget(mut self) {
        self.is_armed = false;
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if !std::mem::take(&mut self.is_armed) {
            return;
        }
        let remains = Remains {
            core: self.core.clone(),
            name: std::mem::take(&mut self.name),
            status: self.status.clone(),
            generation: self.generation.clone(),
            instance: self.instance.take(),
        };
        let ending = Ending::begin(&self.core);
        self.core.commons.runtime.spawn(remains.bury(ending));
    }
}

/// Counts an end that nothing was told of yet.
pub(super) struct Ending(Arc<Core>);

impl Ending {
    pub(super) fn begin(core: &Arc<Core>) -> Self {
        core.endings.fetch_add(1, Ordering::SeqCst);
        Self(core.clone())
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.endings.fetch_sub(1, Ordering::SeqCst);
        // Who waits for the last one looks at the count when something happens.
        drop(self.0.events.send(Event::Done));
    }
}

/// What is left of a generation.
struct Remains {
    core: Arc<Core>,
    name: String,
    status: GenerationStatus,
    generation: Arc<Generation>,
    /// Until it is destroyed.
    instance: Option<Instance>,
}

impl Remains {
    /// Tries until the library is unmapped, or never can be.
    async fn bury(mut self, ending: Ending) {
        let mut ending = Some(ending);
        let mut told = None;
        let (mut waited, mut pause) = (Duration::ZERO, Duration::from_millis(1));
        loop {
            let end = self.try_to_end().await;
            let is_over = end.as_ref().is_none_or(|kept| kept.is_final);
            if (is_over || waited >= QUICK) && told.as_ref() != Some(&end) {
                // Before it is told: who hears of it looks at the count.
                drop(ending.take());
                let event = Event::Ended(self.name.clone(), self.status.number, end.clone());
                drop(self.core.events.send(event));
                told = Some(end);
            }
            if is_over {
                return;
            }
            self.core.nudge();
            tokio::time::sleep(pause).await;
            waited += pause;
            pause = if waited < QUICK { pause * 2 } else { SLOW };
        }
    }

    /// What keeps it; nothing once it is gone.
    async fn try_to_end(&mut self) -> Option<RetiredStatus> {
        let what = format!("`drop` of plugin `{}`", self.name);
        if let Some(instance) = self.instance.clone() {
            let destroyed = self
                .core
                .within(self.core.stop_deadline(), &what, move || instance.destroy())
                .await;
            match destroyed {
                Ok(true) => self.instance = None,
                Ok(false) => return Some(self.kept(vec!["its code is still running".to_owned()])),
                Err(problem) => return Some(self.kept_for_good(vec![problem.message])),
            }
        }
        let generation = self.generation.clone();
        let unloading = format!("unloading plugin `{}`", self.name);
        let core = self.core.clone();
        let unloaded = self
            .core
            .within(self.core.stop_deadline(), &unloading, move || {
                // Libraries that were refused may have become free meanwhile.
                drop(core.opener.unload_refused());
                generation.retire();
                generation.unload()
            })
            .await;
        match unloaded {
            Ok(Unload::Unmapped) => {
                self.core.remove_copy(&self.generation);
                None
            }
            Ok(Unload::Kept(causes)) => {
                let texts = causes.iter().map(ToString::to_string).collect();
                let is_final = causes.iter().any(octa_loader::KeptCause::is_final);
                Some(RetiredStatus {
                    is_final,
                    ..self.kept(texts)
                })
            }
            Err(problem) => Some(self.kept_for_good(vec![problem.message])),
        }
    }

    fn kept(&self, causes: Vec<String>) -> RetiredStatus {
        RetiredStatus {
            generation: self.status.clone(),
            causes,
            is_final: false,
        }
    }

    fn kept_for_good(&self, causes: Vec<String>) -> RetiredStatus {
        RetiredStatus {
            is_final: true,
            ..self.kept(causes)
        }
    }
}

impl Core {
    /// Stops a generation that no longer serves, when it has handled what it began.
    pub(super) async fn finish(&self, live: &Live, leaving: &Leaving) {
        self.drain(live, leaving).await;
        if let Err(problem) = self.stop(live).await {
            log::warn!("plugin `{}` was stopped: {}", live.name(), problem.message);
        }
    }

    /// Destroys the instance of a generation that is stopped, or was never started, and brings
    /// it to its end in the background. What keeps the instance is told there.
    pub(super) async fn discard(self: &Arc<Self>, live: &Live) {
        live.facilities.end();
        let mut ended = Ended::of(self, live);
        let instance = live.instance.clone();
        quiet(&instance).await;
        let what = format!("`drop` of plugin `{}`", live.name());
        let destroying = self.within(self.stop_deadline(), &what, move || instance.destroy());
        if let Ok(true) = destroying.await {
            ended.instance = None;
        }
    }

    /// Removes the private copy of a library that is not mapped any more.
    fn remove_copy(&self, generation: &Generation) {
        if let (Some(stage), Some(path)) = (&self.stage, generation.staged_at())
            && let Err(error) = stage.copies.forget(path)
        {
            log::debug!("the copy `{}` stays: {error}", path.display());
        }
    }

    /// Wakes threads of the kernel that sleep: what an ended generation left on them is run by
    /// themselves.
    fn nudge(&self) {
        self.commons.pool.nudge();
        self.spare.nudge();
        for _ in 0..2 * crate::builder::RUNTIME_THREADS {
            self.commons.runtime.spawn(async {
                // Long enough for the next thread to be woken for the next task.
                tokio::task::yield_now().await;
            });
        }
    }
}

/// How long what was interrupted may be on its way out.
const PATIENCE: Duration = Duration::from_millis(100);

/// Waits until no thread is in the instance's code any more, if that is soon. In real time
/// whatever the clock, since it waits for threads.
async fn quiet(instance: &Instance) {
    let quiet = async {
        while instance.is_busy() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // Later is not too late: it is looked for again.
    let _ = tokio::time::timeout(PATIENCE, quiet).await;
}
