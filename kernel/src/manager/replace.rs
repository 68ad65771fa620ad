//! Replaces the generation that serves: what is decided before a reload, and what follows from
//! how it ended. The steps in between are the job of `reload`.

use std::sync::Arc;

use octa_loader::{Inspection, Manifest, ReloadMode, Snapshot};
use serde_json::json;
use tokio::sync::oneshot;

use super::{
    Core, Event, Manager, Recorded, Waiter,
    live::Live,
    make::Ingredients,
    record::{Doing, Settled, Source},
    reload::{Conclusion, Handover, Transaction},
    supervise::{Breakdown, Gravity},
    with_hint,
};
use crate::{
    lifecycle::State,
    plan::{Member, Plan, Standing},
    reload::{ReloadKind, Reloaded, RollbackOptions},
    services::Probation,
    status::Problem,
};

/// What is to serve instead of the present generation.
pub(super) struct Successor {
    pub(super) source: Source,
    pub(super) manifest: Arc<Manifest>,
    pub(super) settled: Settled,
    /// What it may go on with if it cannot have the present state.
    pub(super) state: Wish,
    /// Why the present one has to go, if that is known: what it is refused for from now on.
    pub(super) because: Option<Problem>,
}

/// What is wished of the state.
pub(super) enum Wish {
    /// The present one, or none where there is none.
    Present,
    /// That which was saved when this code was replaced.
    Saved(Snapshot),
    /// The present one if it can be had, else the saved one.
    PresentOr(Option<Snapshot>),
}

impl Manager {
    /// Replaces a plugin by what its file holds.
    pub(super) async fn reload(&mut self, name: &str, waiter: Waiter) {
        match self.in_file(name).await {
            Ok(successor) => self.replace(name, successor, Some(waiter)),
            Err(problem) => self.answer(Some(waiter), Err(problem), nothing()),
        }
    }

    /// Replaces a plugin by what served before.
    pub(super) async fn roll_back(&mut self, name: &str, options: RollbackOptions, waiter: Waiter) {
        match self.served_before(name, options).await {
            Ok(successor) => self.replace(name, successor, Some(waiter)),
            Err(problem) => self.answer(Some(waiter), Err(problem), nothing()),
        }
    }

    /// What a plugin's file holds now.
    pub(super) async fn in_file(&mut self, name: &str) -> Result<Successor, Problem> {
        let record = self.records.get(name).ok_or_else(|| self.unknown(name))?;
        let Some(file) = record.file.clone() else {
            let message = format!("plugin `{name}` is part of the program, and has no file");
            return Err(Problem::new("unsupported", message, None));
        };
        let inspection = self.inspect(file).await?;
        if inspection.manifest.name != name {
            let message = format!(
                "file `{}` holds plugin `{}` now, not `{name}`",
                inspection.path.display(),
                inspection.manifest.name
            );
            return Err(Problem::new("rejected", message, None));
        }
        Ok(self.successor(inspection))
    }

    pub(super) fn successor(&self, inspection: Inspection) -> Successor {
        let manifest = Arc::new(inspection.manifest.clone());
        Successor {
            settled: self.settle(&manifest),
            source: Source::File(Box::new(inspection)),
            manifest,
            state: Wish::Present,
            because: None,
        }
    }

    /// What served before the present generation.
    pub(super) async fn served_before(
        &mut self,
        name: &str,
        options: RollbackOptions,
    ) -> Result<Successor, Problem> {
        if !self.records.contains_key(name) {
            return Err(self.unknown(name));
        }
        let (inspection, saved) = self.core.what_served_before(name).await?;
        let mut successor = self.successor(inspection);
        successor.because = Some(Problem::new("refused", "it was rolled back", None));
        if options.restore_saved {
            let nothing = || {
                let message = format!("no state of plugin `{name}` was saved at its last switch");
                let hint = "roll back without `--restore-saved`".to_owned();
                Problem::new("not-found", message, Some(hint))
            };
            successor.state = Wish::Saved(saved.ok_or_else(nothing)?);
        }
        Ok(successor)
    }

    /// Begins a reload, unless something stands in its way.
    pub(super) fn replace(&mut self, name: &str, successor: Successor, waiter: Option<Waiter>) {
        if let Some(problem) = self.not_now(name) {
            return self.answer(waiter, Err(problem), nothing());
        }
        if let Some(problem) = self.in_the_way(name, &successor).into_iter().next() {
            self.put_off(name, successor.source);
            let version = successor.manifest.version.to_string();
            return self.stay(name, &version, problem, (waiter, nothing()));
        }
        let (kind, state) = how(&self.manifest_of(name), &successor);
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let Some(old) = record.live.clone() else {
            return;
        };
        record.busy = Some(Doing::Reloading);
        record.asked = waiter;
        record.pending = None;
        // What comes back has nobody to give way to, and the same content only itself.
        let is_new = successor.because.is_none() && old.hash() != successor.source.hash();
        let probation = is_new.then(|| Probation::new(old.instance.name()));
        let transaction = Transaction {
            core: self.core.clone(),
            old,
            new: Ingredients {
                source: successor.source,
                manifest: successor.manifest,
                allow: successor.settled.allow.clone(),
                containment: successor.settled.containment.clone(),
                config: successor.settled.config.clone(),
            },
            kind,
            state,
            number: record.next_number(),
            doors: record.doors.clone(),
            publisher: self.publisher.clone(),
            probation,
            began: self.core.commons.clock.monotonic(),
            because: successor.because,
        };
        let (events, name) = (self.core.events.clone(), name.to_owned());
        self.core.commons.runtime.spawn(async move {
            let conclusion = transaction.run().await;
            drop(events.send(Event::Reloaded(name, Box::new(conclusion))));
        });
    }

    /// Keeps a build for later: what stands in its way may go away.
    fn put_off(&mut self, name: &str, source: Source) {
        if let Some(record) = self.records.get_mut(name)
            && let Source::File(found) = source
            && record.source.hash() != Some(found.hash)
        {
            found.put_aside();
            record.pending = Some(found);
        }
    }

    /// Tries again what was put off.
    pub(super) fn retry_put_off(&mut self) {
        for record in self.records.values_mut() {
            if record.arrived.is_none() && record.busy.is_none() {
                record.arrived = record.pending.take();
            }
        }
    }

    fn manifest_of(&self, name: &str) -> Option<Arc<Manifest>> {
        Some(self.records.get(name)?.manifest.clone())
    }

    /// Why the plugin is in no state to be replaced.
    fn not_now(&self, name: &str) -> Option<Problem> {
        let Some(record) = self.records.get(name) else {
            return Some(self.unknown(name));
        };
        if record.busy.is_some() {
            let message = format!("plugin `{name}` is being started, stopped or reloaded already");
            return Some(Problem::new("conflict", message, None));
        }
        (record.state != State::Started).then(|| {
            let message = format!("plugin `{name}` is `{}`, not started", record.state);
            let hint = format!("`octa start {name}` takes up what its file holds");
            Problem::new("unavailable", message, Some(hint))
        })
    }

    /// What keeps a reload from being tried at all.
    pub(super) fn in_the_way(&self, name: &str, successor: &Successor) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.not_now(name).into_iter().collect();
        // A way back is worth one more.
        problems.extend(self.too_many_kept().filter(|_| successor.because.is_none()));
        problems.extend(successor.settled.held.iter().cloned());
        let manifest = self.manifest_of(name);
        problems.extend(manifest.and_then(|manifest| unreadable(&manifest, successor)));
        problems.extend(self.left_alone(name, &successor.manifest));
        problems
    }

    fn too_many_kept(&self) -> Option<Problem> {
        let limit = self.core.config.load().kernel.kept_generations;
        let (last_name, last) = self.retired.last()?;
        if self.retired.len() < limit {
            return None;
        }
        let message = format!(
            "generations that have ended are still mapped: {}, and no more than {limit} may be; \
             the last is generation {} of plugin `{last_name}`: {}",
            self.retired.len(),
            last.generation.number,
            last.causes.join(", "),
        );
        let hint = "end the cause (`octa list` shows each), raise `kept_generations` in `[kernel]`, \
                    or restart the kernel";
        Some(Problem::new("too-large", message, Some(hint.to_owned())))
    }

    /// What the new build lacks that it, or running plugins, need.
    fn left_alone(&self, name: &str, manifest: &Manifest) -> Vec<Problem> {
        let members = |changed: Option<&Manifest>| {
            let changed = changed.cloned();
            Plan::new(self.records.values().map(|record| match &changed {
                Some(manifest) if record.manifest.name == name => {
                    Member::new(manifest, Standing::Ready)
                }
                _ => record.member(),
            }))
        };
        let (before, after) = (members(None), members(Some(manifest)));
        let mut problems = Vec::new();
        for (other, record) in &self.records {
            if record.state != State::Started || !before.blockers(other).is_empty() {
                continue;
            }
            for blocker in after.blockers(other) {
                let problem = Problem::new("blocked", blocker.to_string(), blocker.hint());
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
        problems
    }

    /// The present generation goes on: says why.
    pub(super) fn stay(
        &mut self,
        name: &str,
        version: &str,
        problem: Problem,
        (waiter, recorded): (Option<Waiter>, Recorded),
    ) {
        let is_told = waiter.is_some();
        self.answer(waiter, Err(problem.clone()), recorded);
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let Some(live) = &record.live else {
            return;
        };
        let serving = live.status();
        if record.waiting.first() == Some(&problem) {
            // Told already.
            return;
        }
        if !is_told {
            log::error!(
                "plugin `{name}` {} goes on, version {version} does not take over: {}",
                serving.version,
                with_hint(&problem)
            );
        }
        record.waiting = vec![problem.clone()];
        let event =
            json!({ "plugin": name, "serving": serving, "version": version, "problem": problem });
        self.publish("kernel.plugin.reload_failed", &event);
    }

    pub(super) async fn reloaded(&mut self, name: &str, conclusion: Conclusion) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = None;
        let waiter = record.asked.take();
        match conclusion {
            Conclusion::Switched {
                new,
                report,
                because,
                probation,
                recorded,
            } => {
                record.source = new.source.clone();
                record.manifest = new.manifest.clone();
                record.settled.allow = new.allow.clone();
                record.settled.containment = new.containment.clone();
                record.settled.config = new.config.clone();
                record.settled.held = Vec::new();
                record.waiting = because.iter().cloned().collect();
                if let Some(probation) = probation {
                    self.core.watch_over(&new, probation);
                }
                record.live = Some(new);
                record.pending = None;
                self.switched(name, report, because, (waiter, recorded));
                self.retry_put_off();
            }
            Conclusion::Stayed {
                version,
                hash,
                problem,
                recorded,
            } => {
                // The watcher may have seen the same file.
                let is_same = |found: &mut Box<Inspection>| Some(found.hash) == hash;
                drop(record.arrived.take_if(is_same));
                self.stay(name, &version, problem, (waiter, recorded));
            }
            Conclusion::Lost(problem) => {
                self.core.commons.services.unregister(name);
                self.failed_to_start(name, problem.clone(), Gravity::Failure);
                self.answer(waiter, Err(problem), nothing());
            }
        }
    }

    fn switched(
        &mut self,
        name: &str,
        report: Reloaded,
        because: Option<Problem>,
        (waiter, recorded): (Option<Waiter>, Recorded),
    ) {
        log::info!(
            "plugin `{name}` {} (generation {}) → {} (generation {})",
            report.from.version,
            report.from.number,
            report.to.version,
            report.to.number,
        );
        let topic = match because {
            Some(_) => "kernel.plugin.rolled_back",
            None => "kernel.plugin.reloaded",
        };
        self.publish(
            topic,
            &json!({ "plugin": name, "reload": report, "problem": because }),
        );
        self.answer(waiter, Ok(report), recorded);
    }

    /// The first seconds of a generation are over.
    pub(super) fn proven(&mut self, name: &str, number: u64, result: Result<(), Problem>) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        match (result, &record.live) {
            (Ok(()), Some(live)) if live.number == number && record.state == State::Started => {
                live.end_probation(&self.core, &record.doors);
            }
            (Ok(()), _) => {}
            (Err(problem), _) => record.condemned = Some((number, problem)),
        }
    }

    /// Replaces generations that failed in their first seconds and that nothing else is being
    /// done with.
    pub(super) async fn replace_condemned(&mut self) {
        let idle = self.records.iter_mut();
        let idle = idle.filter(|(_, record)| record.busy.is_none());
        let condemned: Vec<_> = idle
            .filter_map(|(name, record)| {
                let (number, problem) = record.condemned.take()?;
                let live = record.live.as_ref()?;
                let serves = live.number == number && record.state == State::Started;
                serves.then(|| (name.clone(), problem))
            })
            .collect();
        for (name, problem) in condemned {
            self.give_way(&name, problem).await;
        }
    }

    /// A generation failed in its first seconds: the one before comes back.
    async fn give_way(&mut self, name: &str, problem: Problem) {
        let (inspection, saved) = match self.core.what_served_before(name).await {
            Ok(before) => before,
            Err(other) => {
                let message = format!(
                    "{}; and there is no way back: {}",
                    problem.message, other.message
                );
                let problem = Problem { message, ..problem };
                return self.fall(name, Breakdown::Unfit(problem));
            }
        };
        let mut successor = self.successor(inspection);
        successor.state = Wish::PresentOr(saved);
        successor.because = Some(problem);
        self.replace(name, successor, None);
    }
}

impl Core {
    /// Tells the manager how a new generation does in its first seconds.
    fn watch_over(self: &Arc<Self>, new: &Live, probation: Arc<Probation>) {
        let (core, name, number) = (self.clone(), new.name().to_owned(), new.number);
        self.commons.runtime.spawn(async move {
            let limit = core.config.load().kernel.probation;
            let result = tokio::select! {
                problem = probation.failed() => Err(problem),
                () = core.commons.clock.sleep(limit) => Ok(()),
            };
            probation.end();
            drop(core.events.send(Event::Proven(name, number, result)));
        });
    }
}

/// There is nothing to be recorded.
pub(super) fn nothing() -> Recorded {
    oneshot::channel().1
}

/// How one takes over from the other.
pub(super) fn how(old: &Option<Arc<Manifest>>, successor: &Successor) -> (ReloadKind, Handover) {
    let new = &successor.manifest;
    let old_version = old.as_ref().and_then(|old| old.state_version);
    let readable = matches!((old_version, new.state_version), (Some(from), Some(to)) if from <= to);
    let state = match (&successor.state, new.state_version) {
        (_, None) => Handover::Nothing,
        (Wish::Saved(saved), Some(_)) => Handover::Saved(saved.clone()),
        (Wish::PresentOr(saved), Some(_)) if readable => Handover::CurrentOr(saved.clone()),
        (Wish::PresentOr(Some(saved)), Some(_)) => Handover::Saved(saved.clone()),
        (Wish::Present, Some(_)) if old_version.is_some() => Handover::Current,
        (Wish::Present | Wish::PresentOr(None), Some(_)) => Handover::Nothing,
    };
    let is_exclusive = |manifest: &Manifest| manifest.reload == ReloadMode::Exclusive;
    let kind = if is_exclusive(new) || old.as_deref().is_some_and(is_exclusive) {
        ReloadKind::Exclusive
    } else if matches!(state, Handover::Nothing) {
        ReloadKind::Overlap
    } else {
        ReloadKind::Handover
    };
    (kind, state)
}

/// State that the successor could not go on with.
fn unreadable(old: &Manifest, successor: &Successor) -> Option<Problem> {
    let new = &successor.manifest;
    let (Some(from), Wish::Present) = (old.state_version, &successor.state) else {
        return None;
    };
    let (message, hint) = match new.state_version {
        Some(to) if from <= to => return None,
        Some(to) => (
            format!(
                "plugin `{}` {} reads state up to version {to}, and what runs has version {from}",
                new.name, new.version
            ),
            "a rollback can restore the state saved at the switch (`--restore-saved`) and lose what came later",
        ),
        None => (
            format!(
                "plugin `{}` {} takes over no state, and what runs has some, of version {from}",
                new.name, new.version
            ),
            "give it a `state_version` and a `restore`, or unload the plugin and start it afresh",
        ),
    };
    Some(Problem::new("conflict", message, Some(hint.to_owned())))
}
