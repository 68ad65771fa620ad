//! What follows when a plugin breaks down: it is started again after a while, as its policy and
//! its budget of restarts allow, or is left alone until somebody decides.
//!
//! Who notices a breakdown sends [`Event::Broke`]; opening and starting are the job of `actions`.

mod blame;
mod breakdown;
mod budget;
mod history;
mod told;

use std::time::Duration;

pub(crate) use breakdown::{Breakdown, CallUnderWay, Death, Stuck};
pub(crate) use told::COMING_BACK;

use super::{
    Core, Event, Manager,
    live::{Leaving, Live},
    record::{Doing, Record, Wanted},
};
use crate::{
    config::Restart,
    fate::Casualty,
    lifecycle::State,
    reload::nanos,
    status::{Blame, Fault, FaultKind, Problem},
};
use budget::Budget;
use history::{Due, Verdict};
pub(super) use history::{Gravity, Supervision};

/// How long the calls of a process that has died may be on their way to those who made them.
const SETTLING: Duration = Duration::from_secs(1);

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
        let now = self.core.commons.clock.wall();
        let (problem, gravity) =
            (record.supervision).note_breakdown((name, number), breakdown, casualties, now);
        self.supervise(name, problem, gravity);
        self.begin(name, Doing::Closing);
    }

    /// A plugin could not be opened or started, and nothing else takes its place.
    pub(super) fn failed_to_start(&mut self, name: &str, problem: Problem, gravity: Gravity) {
        let Some(record) = self.records.get_mut(name) else {
            return;
        };
        let (number, supervision) = (record.generations, &mut record.supervision);
        let fault = Fault {
            time: nanos(self.core.commons.clock.wall()),
            kind: FaultKind::of(&problem),
            what: problem.message.clone(),
            blamed: Blame::Plugin,
            last_lines: Vec::new(),
        };
        supervision.note(number, fault);
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
                let problems = vec![problem, told::coming_back(wait, counted)];
                self.schedule(name, wait);
                self.enter(name, State::Failed, problems);
            }
            Verdict::Stay => {
                self.give_up(name);
                self.enter(name, State::Failed, vec![problem]);
            }
            Verdict::Quarantine => {
                let spent = match gravity {
                    Gravity::Stuck => told::left_alone(name, &problem),
                    _ => told::spent(name, &problem, supervision.budget.failures(now)),
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
            Breakdown::Unfit(_) => return self.finish(live, leaving).await,
            Breakdown::Died(_) => {
                let timer = self.commons.clock.sleep(SETTLING);
                tokio::select! {
                    () = leaving.gone(&live.instance) => return,
                    // Somebody does not look for the answer of a call.
                    () = timer => {}
                }
            }
            Breakdown::Stuck(_) => {}
        }
        self.interrupt(&live.instance).await;
        leaving.cut_off();
    }
}

#[cfg(test)]
mod tests;
