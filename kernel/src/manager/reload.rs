//! A reload as a transaction: the new generation is brought up beside the old one, proven, and
//! switched to; whatever fails before the switch, the old one goes on.

use std::{sync::Arc, time::Duration};

use octa_loader::{ContentHash, Snapshot};

use super::{
    Core, Recorded,
    live::{Doors, Leaving, Live},
    make::{Ingredients, Numbered},
    replace::nothing,
    retire::Ending,
};
use crate::{
    bus::Publisher,
    reload::{ReloadKind, Reloaded, StateCarried, StateSource, nanos},
    services::Probation,
    status::Problem,
};

/// The way out where code that blocks keeps a state from being saved.
const MARK_BLOCKING: &str = "let such code wait at an `await`, or end it before the reload";

/// Everything a reload needs, so that it goes on beside the manager's loop.
pub(super) struct Transaction {
    pub(super) core: Arc<Core>,
    pub(super) old: Arc<Live>,
    pub(super) new: Ingredients,
    pub(super) kind: ReloadKind,
    pub(super) state: Handover,
    pub(super) number: u64,
    pub(super) doors: Doors,
    pub(super) publisher: Publisher,
    pub(super) probation: Option<Arc<Probation>>,
    /// When it began, by the monotonic clock.
    pub(super) began: Duration,
    /// Why the old one has to go, if it does.
    pub(super) because: Option<Problem>,
}

/// What state the new generation goes on with.
#[derive(Debug, Clone)]
pub(super) enum Handover {
    /// None.
    Nothing,
    /// What the old one saves.
    Current,
    /// What was saved before; what came later is lost.
    Saved(Snapshot),
    /// What the old one saves if that can be had and read, else what was saved before.
    CurrentOr(Option<Snapshot>),
}

/// How a reload ended.
pub(crate) enum Conclusion {
    /// The new generation serves.
    Switched {
        new: Arc<Live>,
        report: Reloaded,
        /// Why the old one had to go, if it had.
        because: Option<Problem>,
        probation: Option<Arc<Probation>>,
        /// Ready when a restart would find it.
        recorded: Recorded,
    },
    /// The old generation serves as before.
    Stayed {
        /// The version of the one that does not.
        version: String,
        /// Its content.
        hash: Option<ContentHash>,
        problem: Problem,
        /// Ready when a restart would know of it.
        recorded: Recorded,
    },
    /// The new one could not take over, and the old one not be started again.
    Lost(Problem),
}

/// Why a new generation does not take over.
struct Failure {
    problem: Problem,
    /// Whether the new one is to blame, and would fail again.
    is_its_own: bool,
    /// Whether it came after the point where an exclusive old one is stopped.
    is_after_stop: bool,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        // A full disk and the like say nothing of a build.
        let is_its_own = !matches!(&*problem.kind, "unavailable" | "internal");
        Self {
            problem,
            is_its_own,
            is_after_stop: true,
        }
    }
}

/// What the old generation is to blame for.
fn of_old(problem: Problem) -> Failure {
    Failure {
        problem,
        is_its_own: false,
        is_after_stop: false,
    }
}

/// A new generation that is ready to take over.
struct Ready {
    new: Arc<Live>,
    carried: Option<StateCarried>,
    /// What the old one saved, for a way back.
    saved: Option<Snapshot>,
    /// Since when calls and events wait, by the monotonic clock.
    paused_at: Option<Duration>,
}

impl Transaction {
    /// Goes through with it.
    pub(super) async fn run(self) -> Conclusion {
        let numbered = Numbered {
            number: self.number,
            on_trial: true,
        };
        let made = self.core.make(self.new.clone(), numbered).await;
        let ready = match (made, self.kind) {
            (Err(problem), _) => Err(problem.into()),
            (Ok(new), ReloadKind::Overlap) => self.overlap(new).await,
            (Ok(new), _) => match self.hand_over(new).await {
                Ok(ready) => Ok(ready),
                Err(failure) => match self.go_back(failure.is_after_stop).await {
                    Ok(()) => Err(failure),
                    Err(second) => return Conclusion::Lost(both(failure.problem, &second)),
                },
            },
        };
        match ready {
            Ok(ready) => self.switch(ready),
            Err(failure) => self.refuse(failure),
        }
    }

    /// Nobody waits: there is nothing to hand over.
    async fn overlap(&self, new: Arc<Live>) -> Result<Ready, Failure> {
        if let Err(problem) = self.prove(&new).await {
            self.discard(new).await;
            return Err(problem.into());
        }
        Ok(Ready {
            new,
            carried: None,
            saved: None,
            paused_at: None,
        })
    }

    /// Starts the new generation, still on trial, and asks how it does.
    async fn prove(&self, new: &Live) -> Result<(), Problem> {
        self.core.start(new).await?;
        let proven = self.core.probe(new).await;
        if proven.is_err()
            && let Err(problem) = self.core.stop(new).await
        {
            log::warn!("{}", problem.message);
        }
        proven
    }

    /// Calls and events wait while the old generation hands its state over, and, if it owns what
    /// only one can have, is stopped.
    async fn hand_over(&self, new: Arc<Live>) -> Result<Ready, Failure> {
        let paused_at = self.core.commons.clock.monotonic();
        self.doors.intake.pause();
        let leaving = self.old.leave();
        self.old.instance.close();
        self.core.drain(&self.old, &leaving).await;
        let brought = self.try_to_bring_over(&new).await;
        let (carried, saved) = match brought {
            Ok(brought) => brought,
            Err(failure) => {
                self.discard(new).await;
                return Err(failure);
            }
        };
        Ok(Ready {
            new,
            carried,
            saved,
            paused_at: Some(paused_at),
        })
    }

    /// Brings a new generation that failed to its end.
    async fn discard(&self, new: Arc<Live>) {
        let core = self.core.clone();
        if self.kind == ReloadKind::Exclusive {
            // Before the old one starts again: what only one can have is to be free.
            return core.discard(&new).await;
        }
        let ending = Ending::begin(&core);
        self.core.commons.runtime.spawn(async move {
            core.discard(&new).await;
            drop(ending);
        });
    }

    async fn try_to_bring_over(
        &self,
        new: &Arc<Live>,
    ) -> Result<(Option<StateCarried>, Option<Snapshot>), Failure> {
        self.expect_drained().map_err(of_old)?;
        self.freeze().await.map_err(of_old)?;
        let saved = self.save().await.map_err(of_old)?;
        if self.kind == ReloadKind::Exclusive
            && let Err(problem) = self.core.stop(&self.old).await
        {
            log::warn!(
                "plugin `{}` was stopped: {}",
                self.old.name(),
                problem.message
            );
        }
        let carried = self.restore(new, saved.as_ref()).await?;
        self.prove(new).await?;
        let of_old = saved.filter(|(source, _)| *source == StateSource::Current);
        Ok((carried, of_old.map(|(_, snapshot)| snapshot)))
    }

    fn expect_drained(&self) -> Result<(), Problem> {
        let in_flight = self.old.instance.in_flight();
        if in_flight == 0 {
            return Ok(());
        }
        let message = format!(
            "{in_flight} calls or events of plugin `{}` block their threads, so its state cannot be saved",
            self.old.name(),
        );
        Err(Problem::new(
            "deadline",
            message,
            Some(MARK_BLOCKING.to_owned()),
        ))
    }

    /// The tasks of the old generation stand still from now on: what they did after the save
    /// would be lost.
    async fn freeze(&self) -> Result<(), Problem> {
        let limit = self.core.stop_deadline();
        self.old.facilities.freeze();
        let frozen = async {
            self.old.facilities.frozen().await;
            self.old.instance.freeze().await
        };
        tokio::select! {
            frozen = frozen => frozen.map_err(|error| Problem::from(&error)),
            () = self.core.commons.clock.sleep(limit) => {
                let message = format!(
                    "a task of plugin `{}` blocks its thread for more than {limit:?}, so its state cannot be saved",
                    self.old.name(),
                );
                Err(Problem::new("deadline", message, Some(MARK_BLOCKING.to_owned())))
            }
        }
    }

    async fn save(&self) -> Result<Option<(StateSource, Snapshot)>, Problem> {
        let current = |snapshot| Some((StateSource::Current, snapshot));
        match &self.state {
            Handover::Nothing => Ok(None),
            Handover::Saved(snapshot) => Ok(Some((StateSource::Saved, snapshot.clone()))),
            Handover::Current => self.core.save(&self.old).await.map(current),
            Handover::CurrentOr(other) => match self.core.save(&self.old).await {
                Ok(snapshot) => Ok(current(snapshot)),
                Err(problem) => {
                    log::warn!("{}", problem.message);
                    Ok(other.clone().map(|other| (StateSource::Saved, other)))
                }
            },
        }
    }

    async fn restore(
        &self,
        new: &Live,
        saved: Option<&(StateSource, Snapshot)>,
    ) -> Result<Option<StateCarried>, Problem> {
        let Some((source, snapshot)) = saved else {
            return Ok(None);
        };
        let restored = self.core.restore(new, snapshot.clone()).await;
        let carried = |source, snapshot: &Snapshot| StateCarried {
            source,
            from: snapshot.version,
            to: new.manifest.state_version.unwrap_or(0),
            bytes: snapshot.bytes.len(),
        };
        match (restored, &self.state) {
            (Ok(()), _) => Ok(Some(carried(*source, snapshot))),
            (Err(problem), Handover::CurrentOr(Some(other))) if other != snapshot => {
                log::warn!("{}", problem.message);
                self.core.restore(new, other.clone()).await?;
                Ok(Some(carried(StateSource::Saved, other)))
            }
            (Err(problem), _) => Err(problem),
        }
    }

    /// The new generation serves from here on.
    fn switch(self, ready: Ready) -> Conclusion {
        let (core, new) = (&self.core, &ready.new);
        let from = self.old.status();
        let leaving = self.old.leave();
        let waiting_events = self.doors.waiting();
        new.facilities.release(Some(&self.old.facilities));
        new.takes_over(core);
        new.serve(core, &self.doors, &self.publisher, self.probation.clone());
        self.old.instance.close();
        self.doors.intake.resume();
        let now = core.commons.clock.monotonic();
        let report = Reloaded {
            plugin: new.name().to_owned(),
            kind: self.kind,
            from,
            to: new.status(),
            state: ready.carried,
            waiting_events,
            took: nanos(now.saturating_sub(self.began)),
            paused: (ready.paused_at).map_or(0, |at| nanos(now.saturating_sub(at))),
        };
        self.retire_old(leaving);
        let mut recorded = core.remember(new, ready.saved);
        if let (Some(problem), Some(hash)) = (&self.because, self.old.hash()) {
            recorded = core.refuse(new.name(), hash, &problem.message);
        }
        Conclusion::Switched {
            new: ready.new,
            report,
            because: self.because,
            probation: self.probation,
            recorded,
        }
    }

    /// Brings the old generation to its end, beside everything else.
    fn retire_old(&self, leaving: Leaving) {
        let (core, old) = (self.core.clone(), self.old.clone());
        let is_stopped = self.kind == ReloadKind::Exclusive;
        let is_handed_over = self.kind == ReloadKind::Handover;
        let ending = Ending::begin(&core);
        self.core.commons.runtime.spawn(async move {
            if is_handed_over {
                // Its tasks stand still since it was saved; what they did now, they would do twice.
                core.interrupt(&old.instance).await;
            }
            if !is_stopped {
                core.finish(&old, &leaving).await;
            }
            core.discard(&old).await;
            drop(ending);
        });
    }

    /// The old generation serves on; a content that failed is not tried again by itself.
    fn refuse(self, failure: Failure) -> Conclusion {
        let problem = failure.problem;
        let hash = self.new.source.hash();
        let refused = hash.filter(|_| failure.is_its_own && hash != self.old.hash());
        let name = &self.new.manifest.name;
        let recorded = refused.map(|hash| self.core.refuse(name, hash, &problem.message));
        Conclusion::Stayed {
            version: self.new.manifest.version.to_string(),
            hash,
            problem,
            recorded: recorded.unwrap_or_else(nothing),
        }
    }

    /// The old generation serves again.
    async fn go_back(&self, is_stopped: bool) -> Result<(), Problem> {
        self.core.thaw(&self.old).await;
        let mut started = Ok(());
        if self.kind == ReloadKind::Exclusive && is_stopped {
            started = self.core.start(&self.old).await;
        }
        if started.is_ok() {
            self.old
                .serve(&self.core, &self.doors, &self.publisher, None);
        }
        self.doors.intake.resume();
        started
    }
}

fn both(first: Problem, second: &Problem) -> Problem {
    let message = format!(
        "{}; and the one before could not be started again: {}",
        first.message, second.message
    );
    Problem { message, ..first }
}
