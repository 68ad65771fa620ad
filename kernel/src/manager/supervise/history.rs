//! What is known of one plugin's breakdowns, and how much each weighs.

use std::{collections::VecDeque, time::Duration};

use super::{
    blame::Suspect,
    breakdown::{Breakdown, Death},
    budget::Budget,
    told,
};
use crate::{
    backoff::backoff,
    config::{Restart, RestartPolicy},
    fate::Casualty,
    reload::nanos,
    status::{Blame, FAULTS_MAX, Fault, Problem, RestartStatus},
};

/// What is known of a plugin's breakdowns.
#[derive(Debug, Default)]
pub(in crate::manager) struct Supervision {
    pub(super) budget: Budget,
    /// The restart that is to come.
    pub(super) due: Option<Due>,
    /// Counts restarts that were to come: a timer of an earlier one means nothing.
    pub(super) tickets: u64,
    /// How often it was started again by itself.
    pub(super) total: u64,
    /// It broke down and comes back, perhaps: its queues and some of its calls wait for it.
    pub(super) is_returning: bool,
    /// What broke down and was not seen to yet: which generations, and how.
    pub(super) broken: Vec<(u64, Breakdown)>,
    pub(super) suspect: Suspect,
    /// The newest first, each with its generation.
    faults: VecDeque<(u64, Fault)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) ticket: u64,
    /// By the wall clock.
    pub(super) at: Duration,
}

/// What a failure says of the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::manager) enum Gravity {
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
pub(super) enum Verdict {
    /// It is started again after this time, for the so many-th time of so many.
    Restart(Duration, Option<(u32, u32)>),
    /// It stays as it is.
    Stay,
    /// It is left alone until somebody decides.
    Quarantine,
}

impl Supervision {
    /// What is left of it for another content of the same plugin.
    pub(in crate::manager) fn of_successor(self) -> Self {
        Self {
            budget: Budget::default(),
            due: None,
            broken: Vec::new(),
            ..self
        }
    }

    /// When it is started again, in nanoseconds since 1970.
    pub(in crate::manager) fn due(&self) -> Option<u64> {
        self.due.map(|due| nanos(due.at))
    }

    /// Somebody wants it to be tried anew.
    pub(in crate::manager) fn forgive(&mut self) {
        self.budget = Budget::default();
        self.due = None;
    }

    /// It is tried now, not later.
    pub(in crate::manager) fn hurry(&mut self) {
        self.due = None;
    }

    pub(in crate::manager) fn status(&self, restart: &Restart) -> RestartStatus {
        RestartStatus {
            policy: restart.policy.as_str(),
            budget: restart.budget,
            spent: self.budget.spent(),
            next: self.due(),
            total: self.total,
        }
    }

    pub(in crate::manager) fn faults(&self) -> Vec<Fault> {
        self.faults.iter().map(|(_, fault)| fault.clone()).collect()
    }

    pub(super) fn note(&mut self, number: u64, fault: Fault) {
        self.faults.push_front((number, fault));
        self.faults.truncate(FAULTS_MAX);
    }

    /// Takes note of a breakdown: what is told of it, and what it says of the next start.
    pub(super) fn note_breakdown(
        &mut self,
        (name, number): (&str, u64),
        breakdown: &Breakdown,
        casualties: &[Casualty],
        now: Duration,
    ) -> (Problem, Gravity) {
        let (problem, gravity, blamed) = match breakdown {
            Breakdown::Died(death) => {
                let blamed = self.suspect.blame(death, casualties);
                let gravity = self.gravity_of(death, &blamed);
                (told::died(name, death, &blamed), gravity, blamed)
            }
            Breakdown::Stuck(stuck) => (told::stuck(name, stuck), Gravity::Stuck, Blame::Plugin),
            Breakdown::Unfit(problem) => (problem.clone(), Gravity::Failure, Blame::Plugin),
        };
        let fault = Fault {
            time: nanos(now),
            kind: breakdown.kind(),
            what: problem.message.clone(),
            blamed,
            last_lines: breakdown.last_lines().to_vec(),
        };
        self.note(number, fault);
        (problem, gravity)
    }

    fn gravity_of(&mut self, death: &Death, blamed: &Blame) -> Gravity {
        match blamed {
            Blame::Event { times, .. } => {
                // This one was not counted yet.
                self.budget.refund(times.saturating_sub(1));
                Gravity::Forgiven
            }
            _ if death.is_failure => Gravity::Failure,
            _ => Gravity::End,
        }
    }

    /// Adds to a failed start, which is known, that it was the end of a process.
    pub(super) fn explain(&mut self, number: u64, breakdown: &Breakdown) {
        if let Some((of, fault)) = self.faults.front_mut()
            && *of == number
            && fault.last_lines.is_empty()
        {
            fault.kind = breakdown.kind();
            fault.last_lines = breakdown.last_lines().to_vec();
        }
    }

    /// Weighs a failure.
    pub(super) fn judge(
        &mut self,
        name: &str,
        gravity: Gravity,
        restart: &Restart,
        now: Duration,
    ) -> Verdict {
        let wait = |number| backoff(restart.backoff, restart.backoff_max, number, (name, now));
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
