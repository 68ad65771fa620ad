//! What follows when a plugin breaks down: it is started again after a while, as its policy and
//! its budget of restarts allow, or is left alone until somebody decides.
//!
//! Who notices a breakdown sends [`Event::Broke`]; opening and starting are the job of `actions`.

mod blame;
mod breakdown;
mod budget;

use std::{collections::VecDeque, time::Duration};

pub(crate) use breakdown::{Breakdown, CallUnderWay, Death, Stuck};

use super::{
    Core, Event, Manager,
    live::{Leaving, Live},
    record::{Doing, Record, Wanted},
};
use crate::{
    config::{Restart, RestartPolicy},
    fate::Casualty,
    lifecycle::State,
    reload::nanos,
    status::{Blame, FAULTS_MAX, Fault, FaultKind, Problem, RestartStatus},
};
use blame::Suspect;
use budget::{Budget, backoff};

/// What is known of a plugin's breakdowns.
#[derive(Debug, Default)]
pub(super) struct Supervision {
    budget: Budget,
    /// The restart that is to come.
    due: Option<Due>,
    /// Counts restarts that were to come: a timer of an earlier one means nothing.
    tickets: u64,
    /// How often it was started again by itself.
    total: u64,
    /// It broke down and comes back, perhaps: its queues and some of its calls wait for it.
    is_returning: bool,
    /// What broke down and was not seen to yet: which generations, and how.
    broken: Vec<(u64, Breakdown)>,
    suspect: Suspect,
    /// The newest first, each with its generation.
    faults: VecDeque<(u64, Fault)>,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    ticket: u64,
    /// By the wall clock.
    at: Duration,
}

/// What a failure says of the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gravity {
    /// It may go better.
    Failure,
    /// It was none: a process has ended by itself, and well.
    End,
    /// It was the fault of an event that is given up.
    Forgiven,
    /// It would go the same way until the file or the configuration is another one.
    Hopeless,
    /// It holds a thread, and would hold another one.
    Stuck,
}

/// What is done about a failure.
enum Verdict {
    /// It is started again after this time, for the so many-th time of so many.
    Restart(Duration, Option<(u32, u32)>),
    /// It stays as it is.
    Stay,
    /// It is left alone until somebody decides.
    Quarantine,
}

impl Supervision {
    /// What is left of it for another content of the same plugin.
    pub(super) fn of_successor(self) -> Self {
        Self {
            budget: Budget::default(),
            due: None,
            broken: Vec::new(),
            ..self
        }
    }

    /// When it is started again, in nanoseconds since 1970.
    pub(super) fn due(&self) -> Option<u64> {
        self.due.map(|due| nanos(due.at))
    }

    /// Somebody wants it to be tried anew.
    pub(super) fn forgive(&mut self) {
        self.budget = Budget::default();
        self.due = None;
    }

    /// It is tried now, not later.
    pub(super) fn hurry(&mut self) {
        self.due = None;
    }

    pub(super) fn status(&self, restart: &Restart) -> RestartStatus {
        RestartStatus {
            policy: restart.policy.as_str(),
            budget: restart.budget,
            spent: self.budget.spent(),
            next: self.due(),
            total: self.total,
        }
    }

    pub(super) fn faults(&self) -> Vec<Fault> {
        self.faults.iter().map(|(_, fault)| fault.clone()).collect()
    }

    fn note(&mut self, number: u64, fault: Fault) {
        self.faults.push_front((number, fault));
        self.faults.truncate(FAULTS_MAX);
    }

    /// Adds to a failed start, which is known, that it was the end of a process.
    fn explain(&mut self, number: u64, breakdown: &Breakdown) {
        if let Some((of, fault)) = self.faults.front_mut()
            && *of == number
            && fault.last_lines.is_empty()
        {
            fault.kind = breakdown.kind();
            fault.last_lines = breakdown.last_lines().to_vec();
        }
    }

    /// Weighs a failure.
    fn judge(&mut self, name: &str, gravity: Gravity, restart: &Restart, now: Duration) -> Verdict {
        let wait = |number| backoff(restart, number, (name, now));
        match (gravity, restart.policy) {
            (Gravity::Hopeless, _) => Verdict::Stay,
            (Gravity::Stuck, _) => Verdict::Quarantine,
            (_, RestartPolicy::Never) | (Gravity::End, RestartPolicy::OnFailure) => Verdict::Stay,
            (Gravity::Forgiven, _) => Verdict::Restart(wait(1), None),
            (Gravity::Failure | Gravity::End, _) => match self.budget.charge(now, restart.budget) {
                Some(number) => Verdict::Restart(wait(number), Some((number, restart.budget))),
                None => Verdict::Quarantine,
            },
        }
    }
}

impl Breakdown {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Died(_) => FaultKind::Ended,
            Self::Stuck(_) => FaultKind::Stuck,
            Self::Unfit(problem) => FaultKind::of(problem),
        }
    }

    fn last_lines(&self) -> &[String] {
        match self {
            Self::Died(death) => &death.last_lines,
            Self::Stuck(stuck) => &stuck.last_lines,
            Self::Unfit(_) => &[],
        }
    }
}

impl Record {
    /// It has failed, and is started again by itself.
    pub(super) fn is_coming_back(&self) -> bool {
        self.supervision.due.is_some() && self.wanted == Wanted::Started
    }
}

impl Manager {
    /// A generation broke down: that is seen to when nothing else is being done with its plugin.
    pub(super) fn broke(&mut self, name: &str, number: u64, breakdown: Breakdown) {
        if let Some(record) = self.records.get_mut(name) {
            record.supervision.broken.push((number, breakdown));
        }
    }

    /// Sees to what broke down of plugins that nothing is being done with.
    pub(super) fn see_to_breakdowns(&mut self) {
        let mut fallen = Vec::new();
        for (name, record) in &mut self.records {
            if record.busy.is_some() {
                continue;
            }
            for (number, breakdown) in std::mem::take(&mut record.supervision.broken) {
                let live = record.live.as_ref();
                let is_there = live.is_some_and(|live| live.number == number);
                if is_there && !record.has_failed() {
                    fallen.push((name.clone(), breakdown));
                } else {
                    record.supervision.explain(number, &breakdown);
                }
            }
        }
        for (name, breakdown) in fallen {
            self.fall(&name, breakdown);
        }
    }

    /// Takes a generation that broke down out of service.
    pub(super) fn fall(&mut self, name: &str, breakdown: Breakdown) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let Some(live) = record.live.clone() else {
            return;
        };
        record.busy = Some(Doing::Falling);
        record.supervision.is_returning = true;
        record.doors.intake.expect();
        self.core.commons.services.unregister(name);
        let leaving = live.leave();
        live.instance.close();
        let (core, name) = (self.core.clone(), name.to_owned());
        self.core.commons.runtime.spawn(async move {
            core.let_fall(&live, &leaving, &breakdown).await;
            let casualties = live.fate.take_casualties();
            let fell = Event::Fell(name, live.number, Box::new(breakdown), casualties);
            drop(core.events.send(fell));
        });
    }

    /// A generation that broke down handles nothing any more.
    pub(super) fn fell(
        &mut self,
        name: &str,
        number: u64,
        breakdown: &Breakdown,
        casualties: &[Casualty],
    ) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.busy = None;
        let supervision = &mut record.supervision;
        let (problem, gravity, blamed) = match breakdown {
            Breakdown::Died(death) => {
                let blamed = supervision.suspect.blame(death, casualties);
                let gravity = match &blamed {
                    Blame::Event { times, .. } => {
                        // This one is not counted in the first place.
                        supervision.budget.refund(times.saturating_sub(1));
                        Gravity::Forgiven
                    }
                    _ if death.is_failure => Gravity::Failure,
                    _ => Gravity::End,
                };
                (died(name, death, &blamed), gravity, blamed)
            }
            Breakdown::Stuck(stuck) => {
                let message = format!("plugin `{name}`: {}", stuck.what);
                let problem = Problem::new("deadline", message, None);
                (problem, Gravity::Stuck, Blame::Plugin)
            }
            Breakdown::Unfit(problem) => (problem.clone(), Gravity::Failure, Blame::Plugin),
        };
        let fault = Fault {
            time: nanos(self.core.commons.clock.wall()),
            kind: breakdown.kind(),
            what: problem.message.clone(),
            blamed,
            last_lines: breakdown.last_lines().to_vec(),
        };
        supervision.note(number, fault);
        self.supervise(name, problem, gravity);
        self.begin(name, Doing::Closing);
    }

    /// A plugin could not be opened or started, and nothing else takes its place.
    pub(super) fn failed_to_start(&mut self, name: &str, problem: Problem, gravity: Gravity) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let (number, supervision) = (record.generations, &mut record.supervision);
        supervision.note(
            number,
            Fault {
                time: nanos(self.core.commons.clock.wall()),
                kind: FaultKind::of(&problem),
                what: problem.message.clone(),
                blamed: Blame::Plugin,
                last_lines: Vec::new(),
            },
        );
        self.supervise(name, problem, gravity);
    }

    /// Decides what becomes of a plugin that failed.
    fn supervise(&mut self, name: &str, problem: Problem, gravity: Gravity) {
        let now = self.core.commons.clock.monotonic();
        let restart = self.restart_of(name);
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let supervision = &mut record.supervision;
        let verdict = match record.wanted {
            Wanted::Started => supervision.judge(name, gravity, &restart, now),
            _ => Verdict::Stay,
        };
        match verdict {
            Verdict::Restart(wait, counted) => {
                let problems = vec![problem, coming_back(wait, counted)];
                self.schedule(name, wait);
                self.enter(name, State::Failed, problems);
            }
            Verdict::Stay => {
                self.give_up(name);
                self.enter(name, State::Failed, vec![problem]);
            }
            Verdict::Quarantine => {
                let spent = match gravity {
                    Gravity::Stuck => stuck(name, problem.clone()),
                    _ => spent(name, &problem, supervision.budget.failures(now)),
                };
                self.give_up(name);
                self.enter(name, State::Failed, vec![problem]);
                self.enter(name, State::Quarantined, vec![spent]);
            }
        }
    }

    fn schedule(&mut self, name: &str, wait: Duration) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let clock = self.core.commons.clock.clone();
        let supervision = &mut record.supervision;
        supervision.tickets += 1;
        supervision.is_returning = true;
        let ticket = supervision.tickets;
        let at = clock.wall().saturating_add(wait);
        supervision.due = Some(Due { ticket, at });
        let (events, name) = (self.core.events.clone(), name.to_owned());
        let timer = clock.sleep(wait);
        self.core.commons.runtime.spawn(async move {
            timer.await;
            drop(events.send(Event::Again(name, ticket)));
        });
    }

    /// A plugin that failed is started again.
    pub(super) fn again(&mut self, name: &str, ticket: u64) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let supervision = &mut record.supervision;
        if supervision
            .due
            .take_if(|due| due.ticket == ticket)
            .is_some()
        {
            supervision.total += 1;
            // Not failed any more, as far as what is to be done with it goes.
            record.problems.clear();
        }
    }

    /// Nobody waits any more for plugins that failed and are not wanted to come back.
    pub(super) fn give_up_unwanted(&mut self) {
        let unwanted = self.records.iter_mut().filter_map(|(name, record)| {
            let is_unwanted = record.supervision.is_returning
                && record.wanted != Wanted::Started
                && record.busy.is_none();
            is_unwanted.then(|| name.clone())
        });
        for name in unwanted.collect::<Vec<_>>() {
            self.give_up(&name);
            if let Some(record) = self.records.get_mut(&name) {
                record
                    .problems
                    .retain(|problem| problem.kind != COMING_BACK);
            }
        }
    }

    /// A plugin does not come back by itself: nothing waits for it any more.
    pub(super) fn give_up(&mut self, name: &str) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        record.supervision.due = None;
        if std::mem::take(&mut record.supervision.is_returning) {
            record.doors.close(&self.publisher);
            // In this order: who is told looks for those that offer it.
            record.doors.intake.expect_no_more();
            self.core.commons.services.unregister(name);
        }
    }

    /// A plugin serves: after a while its failures are forgotten.
    pub(super) fn recovered(&mut self, name: &str, number: u64) {
        let healthy = self.restart_of(name).healthy;
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        if std::mem::take(&mut record.supervision.is_returning) {
            record.doors.intake.expect_no_more();
        }
        if record.supervision.budget == Budget::default() {
            return;
        }
        let (events, name) = (self.core.events.clone(), name.to_owned());
        let timer = self.core.commons.clock.sleep(healthy);
        self.core.commons.runtime.spawn(async move {
            timer.await;
            drop(events.send(Event::Healthy(name, number)));
        });
    }

    /// A generation has served for long enough.
    pub(super) fn healthy(&mut self, name: &str, number: u64) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let is_it = record
            .live
            .as_ref()
            .is_some_and(|live| live.number == number);
        if is_it && record.state == State::Started {
            record.supervision.budget = Budget::default();
            log::info!("plugin `{name}` has been well for a while: its failures are forgotten");
        }
    }

    fn restart_of(&self, name: &str) -> Restart {
        let config = self.core.config.load();
        let plugin = config.plugins.get(name);
        plugin.map(|it| it.restart.clone()).unwrap_or_default()
    }
}

impl Core {
    /// Waits until a generation that broke down has nothing in hand.
    async fn let_fall(&self, live: &Live, leaving: &Leaving, breakdown: &Breakdown) {
        match breakdown {
            Breakdown::Died(_) => self.drain(live, leaving).await,
            Breakdown::Unfit(_) => self.finish(live, leaving).await,
            Breakdown::Stuck(_) => {
                self.interrupt(&live.instance).await;
                leaving.cut_off();
            }
        }
    }
}

/// The kind of the problem that tells of a restart to come.
pub(crate) const COMING_BACK: &str = "restart";

fn coming_back(wait: Duration, counted: Option<(u32, u32)>) -> Problem {
    let share = counted.map(|(number, budget)| format!(" ({number} of {budget})"));
    let message = format!("restarted in {}{}", rough(wait), share.unwrap_or_default());
    Problem::new(COMING_BACK, message, None)
}

fn died(name: &str, death: &Death, blamed: &Blame) -> Problem {
    let over = match (blamed, &*death.calls) {
        (Blame::Event { id, topic, times }, _) => format!(
            " while it handled event {id} on `{topic}`, {times} times now: the event is given up"
        ),
        (_, []) => String::new(),
        (_, [call]) => format!(
            " during a call of `{}` by `{}`",
            call.capability, call.caller
        ),
        (_, calls) => format!(" during {} calls", calls.len()),
    };
    let message = format!("plugin `{name}` {}{over}", death.cause);
    Problem::new("interrupted", message, None)
}

fn way_out(name: &str) -> Option<String> {
    Some(format!(
        "`octa start {name}` tries it again, and so does another file"
    ))
}

fn spent(name: &str, last: &Problem, (failures, within): (u32, Duration)) -> Problem {
    let message = format!(
        "plugin `{name}` failed {failures} times within {}, the last time with: {}",
        rough(within),
        last.message
    );
    Problem::new("quarantined", message, way_out(name))
}

fn stuck(name: &str, problem: Problem) -> Problem {
    Problem {
        kind: "quarantined".to_owned(),
        hint: way_out(name),
        ..problem
    }
}

/// A time that is not more exact than it is worth.
fn rough(time: Duration) -> String {
    let is_long = time >= Duration::from_secs(10);
    let time = if is_long {
        Duration::from_secs(time.as_secs())
    } else {
        Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    };
    format!("{time:?}")
}

#[cfg(test)]
mod tests;
