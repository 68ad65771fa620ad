//! What is asked of the kernel as a whole and of single plugins; the manager does it.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{Kernel, PluginError};
use crate::{
    config::Config,
    manager::{Command, Event, Goal, ScanError},
    reload::{Applied, ReloadPlan, Reloaded, RollbackOptions},
    status::Problem,
};

/// How long a storage may take to close: longer than any that answers at all.
const CLOSED_WITHIN: Duration = Duration::from_secs(20);

impl Kernel {
    /// Looks for plugins and starts all that may run; ready when every one has come to rest.
    ///
    /// A plugin that cannot run is not an error here: [`plugins`](Self::plugins) and
    /// [`rejected`](Self::rejected) tell why.
    ///
    /// # Errors
    ///
    /// If the plugin directory cannot be read.
    pub async fn start(&self) -> Result<(), ScanError> {
        let started = self.ask(Command::StartAll).await;
        started.ok_or(ScanError::Stopped)??;
        // From now on there is who listens. After an error there may be nobody, and what is told
        // then is gone.
        self.commons().journals.open();
        Ok(())
    }

    /// Stops all plugins, dependents first, and closes the storage. A storage that does not answer
    /// is waited for in bounded time only, and the log says what is given up.
    pub async fn stop(&self) {
        let commons = self.commons();
        // While all listen: what is recorded from now on is told by the next kernel, as is what
        // a storage that does not answer holds up. This takes some seconds at most.
        commons.journals.close().await;
        // Not behind the dead letters of before: nothing is replayed by this.
        self.ask_at_once(Command::StopAll).await;
        commons.bus.close();
        commons.state.close();
        // Some seconds at most, too.
        commons.letters.close().await;
        if let Some(standby) = &self.0.running.standby {
            standby.stop().await;
        }
        tokio::select! {
            closed = commons.storage.close() => {
                if let Err(error) = closed {
                    log::error!("the storage did not close well: {error}");
                }
            }
            () = commons.clock.sleep(CLOSED_WITHIN) => log::error!(
                "the storage is not closed within {CLOSED_WITHIN:?}, and is not waited for: \
                 what it was answering is given up"
            ),
        }
    }

    /// Loads a plugin, without starting it.
    ///
    /// # Errors
    ///
    /// Why it could not be loaded.
    pub async fn load_plugin(&self, name: &str) -> Result<(), PluginError> {
        self.bring(Goal::Load, name).await
    }

    /// Starts a plugin, loading it first if need be; a failed one is tried again.
    ///
    /// Events of the journal do not begin to flow by this, but by [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// Why it is not started.
    pub async fn start_plugin(&self, name: &str) -> Result<(), PluginError> {
        self.bring(Goal::Start, name).await
    }

    /// Stops a plugin, and before it those that depend on it, which wait for it from then on.
    ///
    /// # Errors
    ///
    /// If there is no such plugin.
    pub async fn stop_plugin(&self, name: &str) -> Result<(), PluginError> {
        self.bring(Goal::Stop, name).await
    }

    /// Stops a plugin and destroys its instance.
    ///
    /// # Errors
    ///
    /// If there is no such plugin.
    pub async fn unload_plugin(&self, name: &str) -> Result<(), PluginError> {
        self.bring(Goal::Unload, name).await
    }

    /// Replaces a started plugin by what its file holds now, also if that is the same: the new
    /// generation is brought up beside the old one, proven, and switched to. If anything fails,
    /// the old one never stopped serving.
    ///
    /// # Errors
    ///
    /// Why the old generation goes on serving.
    pub async fn reload_plugin(&self, name: &str) -> Result<Reloaded, PluginError> {
        self.replace(name, Command::Reload).await
    }

    /// What a reload would do and whom it would touch.
    ///
    /// # Errors
    ///
    /// If there is no such plugin, it is not started, or its file is none that could run here.
    pub async fn plan_reload(&self, name: &str) -> Result<ReloadPlan, PluginError> {
        self.replace(name, Command::PlanReload).await
    }

    /// Replaces a started plugin by the content that served before, from the kernel's own copy.
    ///
    /// # Errors
    ///
    /// Why the present generation goes on serving: there is none before it, or it cannot read the
    /// state of the present one.
    pub async fn rollback_plugin(
        &self,
        name: &str,
        options: RollbackOptions,
    ) -> Result<Reloaded, PluginError> {
        self.replace(name, |name, reply| Command::Rollback(name, options, reply))
            .await
    }

    /// What a rollback would do, and what it would lose.
    ///
    /// # Errors
    ///
    /// If there is no such plugin, it is not started, or nothing served before it.
    pub async fn plan_rollback(
        &self,
        name: &str,
        options: RollbackOptions,
    ) -> Result<ReloadPlan, PluginError> {
        self.replace(name, |name, reply| {
            Command::PlanRollback(name, options, reply)
        })
        .await
    }

    /// Goes on with another configuration: plugins whose section has changed are reloaded, started
    /// or stopped. The rest of `[kernel]` holds from now on; `[storage]` needs a restart.
    pub async fn apply(&self, config: Config) -> Applied {
        let applied = self.ask(|reply| Command::Apply(Box::new(config), reply));
        applied.await.unwrap_or_default()
    }

    async fn replace<T>(
        &self,
        name: &str,
        command: impl FnOnce(String, oneshot::Sender<Result<T, Problem>>) -> Command,
    ) -> Result<T, PluginError> {
        let replaced = self.ask(|reply| command(name.to_owned(), reply)).await;
        let stopped = || Err(Problem::new("unavailable", "the kernel has stopped", None));
        replaced.unwrap_or_else(stopped).map_err(PluginError)
    }

    async fn bring(&self, goal: Goal, name: &str) -> Result<(), PluginError> {
        let name = name.to_owned();
        let reached = self.ask(|reply| Command::One(goal, name, reply)).await;
        let stopped = || Err(Problem::new("unavailable", "the kernel has stopped", None));
        reached.unwrap_or_else(stopped).map_err(PluginError)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        // Dead letters of before come first: what plugins do may add some.
        self.commons().letters.known().await;
        self.ask_at_once(command).await
    }

    async fn ask_at_once<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let asked = self.0.running.events.send(Event::Command(command(reply)));
        asked.ok()?;
        answer.await.ok()
    }
}

#[cfg(test)]
mod tests;
