//! What changes while plugins run: files of the plugin directory, and the configuration.

use std::{path::PathBuf, sync::Arc, time::Duration};

use octa_loader::{Change, Inspection, WatchOptions, Watcher};

use super::{
    Event, Manager,
    facts::By,
    record::{Record, Settled, Source, Wanted},
    replace::{Successor, Wish, nothing},
    scan::{Rejection, accept},
    strays::strays,
};
use crate::{
    config::{Config, PluginConfig, Removed},
    lifecycle::State,
    reload::Applied,
    status::Problem,
};

/// How long a file may be incomplete before that is told: it may be being written.
const INCOMPLETE: Duration = Duration::from_secs(2);

impl Manager {
    /// Begins to be told of changes in the plugin directory, if it is to be.
    pub(super) fn watch(&mut self) {
        let Some(directory) = &self.core.directory else {
            return;
        };
        if self.watcher.is_some() || !self.core.config.load().kernel.watch {
            return;
        }
        let events = self.core.events.clone();
        let tell = move |change| drop(events.send(Event::Changed(change)));
        match Watcher::new(Some(directory), &[], WatchOptions::default(), tell) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) => log::error!("`{}` is not watched: {error}", directory.display()),
        }
    }

    /// Takes up what has settled in the plugin directory.
    pub(super) async fn changed(&mut self, change: Change) {
        if !self.is_running {
            return;
        }
        for path in change.removed {
            self.file_removed(&path);
        }
        for path in change.changed {
            self.look_at(path, true).await;
        }
    }

    /// Looks at a file again that was incomplete: nothing has changed in it since, or that would
    /// have been told.
    pub(super) async fn look_again(&mut self, path: PathBuf) {
        if self.is_running && path.exists() {
            self.look_at(path, false).await;
        }
    }

    async fn look_at(&mut self, path: PathBuf, may_be_written: bool) {
        let (core, looked_at) = (self.core.clone(), path.clone());
        let looked = self.core.spare.run(move || accept(&looked_at, &core));
        match looked.await {
            Ok(Ok(found)) => self.file_changed(found),
            Ok(Err(Rejection::Incomplete(problem))) if may_be_written => {
                log::debug!("{}", problem.message);
                let core = self.core.clone();
                self.core.commons.runtime.spawn(async move {
                    core.commons.clock.sleep(INCOMPLETE).await;
                    drop(core.events.send(Event::LookAgain(path)));
                });
            }
            Ok(Err(rejection)) => self.file_rejected(path, rejection.into_problem()),
            Err(_lost) => {}
        }
    }

    fn file_changed(&mut self, found: Inspection) {
        self.rejected.retain(|it| it.path != found.path);
        let name = found.manifest.name.clone();
        let Some(record) = self.records.get_mut(&name) else {
            return self.arrive(found, None);
        };
        let is_other = |file: &PathBuf| *file != found.path && file.exists();
        if let Some(file) = record.file.clone().filter(is_other) {
            return self.conflict(&file, found);
        }
        record.file = Some(found.path.clone());
        if std::mem::take(&mut record.is_removed) && record.settled.enabled {
            // It was on its way out only because its file was gone.
            record.want(Wanted::Started, By::Directory);
        }
        let is_serving = record.state == State::Started && record.busy.is_none();
        if is_serving && record.source.hash() == Some(found.hash) {
            record.waiting.clear();
            record.pending = None;
            return;
        }
        record.arrived = Some(Box::new(found));
    }

    fn file_rejected(&mut self, path: PathBuf, problem: Problem) {
        let serving = self.records.iter().find(|(_, record)| {
            record.file.as_ref() == Some(&path) && record.state == State::Started
        });
        match serving.map(|(name, _)| name.clone()) {
            Some(name) => self.stay(&name, "of the new file", problem, (None, nothing())),
            None => self.reject_now(path, problem),
        }
    }

    fn file_removed(&mut self, path: &PathBuf) {
        self.rejected.retain(|it| it.path != *path);
        let removed = self.core.config.load().kernel.removed;
        let record = (self.records.values_mut()).find(|record| record.file.as_ref() == Some(path));
        let Some(record) = record else {
            return;
        };
        let name = record.manifest.name.clone();
        match removed {
            Removed::Keep if record.live.is_some() => {
                log::warn!(
                    "the file of plugin `{name}` is gone; it goes on from the kernel's copy"
                );
            }
            _ => {
                log::info!("the file of plugin `{name}` is gone: it is unloaded");
                record.arrived = None;
                record.pending = None;
                record.is_removed = true;
                record.want(Wanted::Unloaded, By::Directory);
            }
        }
    }

    /// Takes up what has arrived for plugins that nothing is being done with.
    pub(super) async fn take_up_arrivals(&mut self) {
        let idle = |record: &Record| record.arrived.is_some() && record.busy.is_none();
        let names: Vec<String> = self
            .records
            .iter()
            .filter(|(_, record)| idle(record))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let Some(record) = self.records.get_mut(&name) else {
                continue;
            };
            let is_started = record.state == State::Started;
            if record.live.is_some() && (!is_started || record.wanted != Wanted::Started) {
                // Closed first: see `reconcile`.
                continue;
            }
            let Some(found) = record.arrived.take() else {
                continue;
            };
            if !is_started {
                let file = record.file.clone();
                self.arrive(*found, file);
            } else if record.source.hash() != Some(found.hash) {
                let successor = self.successor(*found);
                self.replace(&name, successor, None);
            }
        }
    }

    /// Forgets plugins whose file is gone and that are unloaded.
    pub(super) fn remove_gone(&mut self) {
        let is_gone =
            |record: &Record| record.is_removed && record.live.is_none() && record.busy.is_none();
        for (name, record) in &self.records {
            if is_gone(record) {
                self.numbers.insert(name.clone(), record.generations);
            }
        }
        self.records.retain(|_, record| !is_gone(record));
    }

    /// Goes on with another configuration.
    pub(super) fn apply(&mut self, config: Config) -> Applied {
        let before = self.core.config.load_full();
        let mut applied = Applied::default();
        applied.problems.extend(needs_restart(&before, &config));
        let changed = |name: &String| before.plugin(name) != config.plugin(name);
        let changed: Vec<String> = self
            .records
            .keys()
            .filter(|n| changed(n))
            .cloned()
            .collect();
        let config = Arc::new(config);
        self.core.config.store(config.clone());
        self.core.commons.services.configure(&config);
        if self.is_running {
            applied.problems.extend(self.strays());
        }
        for name in changed {
            if differ_in_restart_alone(&before.plugin(&name), &config.plugin(&name)) {
                self.reconsider(&name);
            } else {
                self.settle_again(&name);
            }
            applied.plugins.push(name);
        }
        applied
    }

    /// What the configuration says to no effect, with the plugins that there are now.
    fn strays(&self) -> Vec<Problem> {
        let plugins = self.records.values().map(|record| &*record.manifest);
        strays(&self.core.config.load(), plugins)
    }

    /// Writes that into the log.
    pub(super) fn tell_strays(&self) {
        for problem in self.strays() {
            log::warn!("{}", super::with_hint(&problem));
        }
    }

    /// Tries a plugin again that failed, now that it may be.
    fn reconsider(&mut self, name: &str) {
        if let Some(record) = self.records.get_mut(name)
            && record.has_failed()
            && record.wanted == Wanted::Started
        {
            record.forgive();
        }
    }

    /// Takes a plugin where its configuration, which has changed, wants it.
    fn settle_again(&mut self, name: &str) {
        let Some(record) = self.records.get(name) else {
            return;
        };
        let settled = self.settle(&record.manifest);
        let serves = record.state == State::Started && record.busy.is_none();
        if serves && settled.enabled && settled.held.is_empty() {
            let successor = self.with_other_settings(record, settled);
            return self.replace(name, successor, None);
        }
        let is_running = self.is_running;
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let was_enabled = record.settled.enabled;
        if was_enabled && !settled.enabled {
            record.want(Wanted::Unloaded, By::Configuration);
        } else if !was_enabled && settled.enabled && is_running {
            record.want(Wanted::Started, By::Configuration);
        }
        record.settled = settled;
        if record.has_failed() && record.wanted == Wanted::Started {
            // With another configuration, it is tried again.
            record.forgive();
        }
        if record.busy.is_some() {
            record.is_unsettled = true;
        } else if record.live.is_some()
            && record.arrived.is_none()
            && let Source::File(found) = &record.source
        {
            // Made anew, with these settings, when it is started.
            record.arrived = Some(found.clone());
        }
    }

    /// Settles those again whose configuration changed while something was being done with them.
    pub(super) fn settle_unsettled(&mut self) {
        let mut names = Vec::new();
        for (name, record) in &mut self.records {
            if record.busy.is_none() && std::mem::take(&mut record.is_unsettled) {
                names.push(name.clone());
            }
        }
        for name in names {
            self.settle_again(&name);
        }
    }

    /// What runs, or a newer build that was waiting for this, with other settings.
    fn with_other_settings(&self, record: &Record, settled: Settled) -> Successor {
        let waiting = record.pending.clone().map(|found| self.successor(*found));
        let ready = waiting.filter(|it| self.in_the_way(&record.manifest.name, it).is_empty());
        ready.unwrap_or_else(|| Successor {
            source: record.source.clone(),
            manifest: record.manifest.clone(),
            settled,
            state: Wish::Present,
            because: None,
        })
    }

    /// How a change of the configuration ended.
    pub(super) fn applied(&self, mut applied: Applied) -> Applied {
        applied.plugins.retain(|name| {
            let Some(record) = self.records.get(name) else {
                return true;
            };
            applied.problems.extend(record.waiting.iter().cloned());
            applied.problems.extend(record.problems.iter().cloned());
            record.waiting.is_empty() && record.problems.is_empty()
        });
        applied
    }
}

/// Whether what runs has not to be made anew.
fn differ_in_restart_alone(before: &PluginConfig, after: &PluginConfig) -> bool {
    let restart = after.restart.clone();
    PluginConfig {
        restart,
        ..before.clone()
    } == *after
}

/// What of a configuration holds only from the next start on.
fn needs_restart(before: &Config, after: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut check = |what: &str, is_same: bool| {
        if !is_same {
            let message = format!("`{what}` has changed, which holds from the next start on");
            problems.push(Problem::new(
                "unsupported",
                message,
                Some("restart the kernel".to_owned()),
            ));
        }
    };
    check("storage", before.storage == after.storage);
    check("state", before.state == after.state);
    let (before, after) = (&before.kernel, &after.kernel);
    check(
        "kernel.call_deadline",
        before.call_deadline == after.call_deadline,
    );
    check("kernel.watch", before.watch == after.watch);
    problems
}
