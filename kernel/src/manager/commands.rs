//! What can be wanted of the manager, and how it is answered.

use tokio::sync::oneshot;

use super::{
    Command, Goal, Manager, Waiting,
    facts::By,
    record::{Record, Wanted},
};
use crate::{lifecycle::State, plan::Plan, status::Problem};

impl Manager {
    pub(super) async fn command(&mut self, command: Command) {
        match command {
            Command::StartAll(reply) => match self.start_all().await {
                Ok(()) => self.waiting.push(Waiting::All(reply)),
                Err(error) => drop(reply.send(Err(error))),
            },
            Command::StopAll(reply) => {
                self.is_running = false;
                self.watcher = None;
                self.want_all(Wanted::Unloaded);
                self.waiting.push(Waiting::Stop(reply));
            }
            Command::One(goal, name, reply) => self.command_one(goal, name, reply).await,
            Command::Reload(name, reply) => self.reload(&name, reply).await,
            Command::PlanReload(name, reply) => {
                let plan = self.plan_reload(&name).await;
                drop(reply.send(plan));
            }
            Command::Rollback(name, options, reply) => self.roll_back(&name, options, reply).await,
            Command::PlanRollback(name, options, reply) => {
                let plan = self.plan_rollback(&name, options).await;
                drop(reply.send(plan));
            }
            Command::Apply(config, reply) => {
                let applied = self.apply(*config);
                self.waiting.push(Waiting::Applied(applied, reply));
            }
        }
    }

    async fn start_all(&mut self) -> Result<(), super::ScanError> {
        // Before the directory is listed: what changes from now on is told.
        self.watch();
        let scanned = self.scan().await;
        if scanned.is_err() {
            if !self.is_running {
                self.watcher = None;
            }
            return scanned;
        }
        if !std::mem::replace(&mut self.is_running, true) {
            self.tell_strays();
        }
        self.want_all(Wanted::Started);
        Ok(())
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
        if matches!(goal, Goal::Load | Goal::Start) {
            record.forgive();
        }
        let wanted = match goal {
            // Started, it is loaded already.
            Goal::Load if record.state == State::Started => Wanted::Started,
            Goal::Load => Wanted::Loaded,
            Goal::Start => Wanted::Started,
            Goal::Stop => Wanted::Stopped,
            Goal::Unload => Wanted::Unloaded,
        };
        record.want(wanted, By::Request);
        self.waiting.push(Waiting::One(goal, name, reply));
    }

    pub(super) fn unknown(&self, name: &str) -> Problem {
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
            if wanted != Wanted::Started || record.settled.enabled {
                record.want(wanted, By::Kernel);
            }
        }
    }

    /// Whether a plugin is where it was to be brought.
    pub(super) fn reached(&self, goal: Goal, name: &str) -> Result<(), Problem> {
        let Some(record) = self.records.get(name) else {
            return Ok(());
        };
        let reached = match goal {
            Goal::Load => record.live.is_some(),
            Goal::Start => record.state == State::Started,
            Goal::Stop | Goal::Unload => record.state != State::Started,
        };
        if reached {
            return Ok(());
        }
        let problem = record.problems.first().cloned();
        Err(problem.unwrap_or_else(|| self.waits(name, record)))
    }

    /// Why a plugin that has no problem of its own is not started.
    fn waits(&self, name: &str, record: &Record) -> Problem {
        let plan = Plan::new(self.records.values().map(Record::member));
        let others = plan.starts_after(name);
        let is_away = |other: &&str| self.records[*other].state != State::Started;
        let (message, hint) = match others.into_iter().find(is_away) {
            Some(other) => (
                format!(
                    "plugin `{name}` waits for `{other}`, which is `{}`",
                    self.records[other].state
                ),
                Some(format!("`octa why {name}` shows the whole of it")),
            ),
            None => (format!("plugin `{name}` is `{}`", record.state), None),
        };
        Problem::new("failed", message, hint)
    }
}
