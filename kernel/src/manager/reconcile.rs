//! Compares what is wanted with what is, and begins whatever can be begun now.

use std::{cell::OnceCell, collections::BTreeSet};

use super::{
    Manager,
    record::{Doing, Record, Wanted},
};
use crate::{
    lifecycle::State,
    plan::{Blocker, Member, Plan, Standing},
    status::Problem,
};

/// The next step of a plugin.
enum Step {
    Open,
    Start,
    Stop,
    Close,
    Block(Vec<Problem>),
}

impl Manager {
    /// Begins every step that nothing stands in the way of. Steps of plugins that do not depend
    /// on each other go on at the same time.
    pub(super) fn reconcile(&mut self) {
        let plan = Plan::new(self.records.values().map(Record::member));
        let steps: Vec<(String, Step)> = {
            let running = Plan::new(self.records.values().filter_map(running));
            let needed = OnceCell::new();
            let needed = || {
                needed.get_or_init(|| {
                    let names = self.records.keys();
                    names.flat_map(|name| running.starts_after(name)).collect()
                })
            };
            let idle = self
                .records
                .iter()
                .filter(|(_, record)| record.busy.is_none());
            idle.filter_map(|(name, record)| {
                let step = self.next_step(name, record, &plan, &needed)?;
                Some((name.clone(), step))
            })
            .collect()
        };
        for (name, step) in steps {
            match step {
                Step::Open => self.begin(&name, Doing::Opening),
                Step::Start => {
                    if self.records[&name].state == State::Blocked {
                        // What was missing is there.
                        self.enter(&name, State::Loaded, Vec::new());
                    }
                    self.begin(&name, Doing::Starting);
                }
                Step::Stop => self.begin(&name, Doing::Stopping),
                Step::Close => self.begin(&name, Doing::Closing),
                Step::Block(problems) => {
                    self.give_up(&name);
                    self.enter(&name, State::Blocked, problems);
                }
            }
        }
    }

    /// `needed` are those whom something that runs has started after.
    fn next_step<'a>(
        &self,
        name: &str,
        record: &Record,
        plan: &Plan,
        needed: &impl Fn() -> &'a BTreeSet<&'a str>,
    ) -> Option<Step> {
        let started = record.state == State::Started;
        if record.arrived.is_some() && record.live.is_some() && !started {
            // What has arrived takes its place.
            return Some(Step::Close);
        }
        match record.wanted {
            Wanted::Discovered => None,
            Wanted::Started if record.has_failed() => record.live.is_some().then_some(Step::Close),
            Wanted::Started => {
                let blockers = plan.blockers(name);
                match (blockers.is_empty(), started) {
                    (true, true) => None,
                    (true, false) => self.toward_start(name, record, plan),
                    (false, true) => toward_stop(name, needed()),
                    (false, false) => block(record, &blockers),
                }
            }
            Wanted::Stopped | Wanted::Loaded | Wanted::Unloaded if started => {
                toward_stop(name, needed())
            }
            Wanted::Loaded if record.live.is_none() && !record.has_failed() => Some(Step::Open),
            Wanted::Unloaded if record.live.is_some() => Some(Step::Close),
            Wanted::Stopped | Wanted::Loaded | Wanted::Unloaded => None,
        }
    }

    /// Opens at once; starts when all that it starts after are there.
    fn toward_start(&self, name: &str, record: &Record, plan: &Plan) -> Option<Step> {
        if record.live.is_none() {
            return Some(Step::Open);
        }
        let there = |other: &&str| self.records[*other].state == State::Started;
        plan.starts_after(name)
            .iter()
            .all(there)
            .then_some(Step::Start)
    }
}

/// Stops when nobody who started after it is there any more.
fn toward_stop(name: &str, needed: &BTreeSet<&str>) -> Option<Step> {
    (!needed.contains(name)).then_some(Step::Stop)
}

/// What runs, or is on its way to or from there.
fn running(record: &Record) -> Option<Member> {
    let there = record.state == State::Started
        || matches!(
            record.busy,
            Some(Doing::Starting | Doing::Stopping | Doing::Reloading)
        );
    there.then(|| Member::new(&record.manifest, Standing::Ready))
}

fn block(record: &Record, blockers: &[Blocker]) -> Option<Step> {
    let problems: Vec<Problem> = if record.settled.held.is_empty() {
        let texts: BTreeSet<_> = blockers.iter().map(|b| (b.to_string(), b.hint())).collect();
        texts
            .into_iter()
            .map(|(text, hint)| Problem::new("blocked", text, hint))
            .collect()
    } else {
        record.settled.held.clone()
    };
    let same = record.state == State::Blocked && record.problems == problems;
    (!same).then_some(Step::Block(problems))
}
