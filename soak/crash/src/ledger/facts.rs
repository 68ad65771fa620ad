//! The journal: facts, their events, and who reads them in order.

use std::collections::{BTreeMap, BTreeSet};

use super::{Look, Standing};
use crate::damage::{Damage, Kind};
use crate::found::Found;
use crate::word::{Deed, Id};

/// How many events may have come and not been told yet at a kill, if nobody waited for that.
const UNTOLD: usize = 128;

/// What was told of facts.
#[derive(Debug, Default)]
pub(super) struct Facts {
    heard: BTreeSet<Id>,
    /// Those of which it is not known whether they came.
    untold: BTreeSet<Id>,
    /// What the consumer took since the last look.
    taken: Vec<(u64, Id)>,
    /// The cursor as it was found last, which the consumer begins behind.
    begin: u64,
    /// The cursor as it was acknowledged.
    kept: u64,
    /// The last version at the last look.
    last_found: u64,
}

impl Facts {
    pub(super) fn heard(&mut self, id: Id) {
        self.heard.insert(id);
    }

    pub(super) fn took(&mut self, position: u64, id: Id) {
        self.taken.push((position, id));
    }

    pub(super) fn kept(&mut self, position: u64) {
        self.kept = self.kept.max(position);
    }

    pub(super) fn count_heard(&self) -> u64 {
        self.heard.len() as u64
    }

    pub(super) fn check(
        &mut self,
        writes: &BTreeMap<Id, (Deed, Standing)>,
        found: &Found,
        look: Look,
        damages: &mut Vec<Damage>,
    ) {
        let latest = self.latest(found);
        let mut there = BTreeMap::new();
        for fact in &found.facts {
            let (id, position) = (fact.id, fact.position);
            let mut add = |kind, what| damages.push(Damage::new(kind, what));
            match writes.get(&id) {
                Some((Deed::Fact | Deed::Gather, Standing::Open)) => {}
                Some((Deed::Fact | Deed::Gather, Standing::Done(at))) if *at == position => {}
                Some((Deed::Fact | Deed::Gather, Standing::Done(at))) => {
                    add(Kind::Doubled, format!("fact {id} of {at} is at {position}"));
                }
                _ => add(Kind::Unintended, format!("fact {id} is at {position}")),
            }
            if there.insert(id, position).is_some() {
                add(Kind::Doubled, format!("fact {id} is there twice"));
            }
            if !fact.is_whole {
                add(Kind::Half, format!("fact {id} lacks a part"));
            }
            let is_to_come = look != Look::End && found.outbox.contains(&id);
            let may_be_untold = look == Look::Unwitnessed && latest.contains(&position);
            let is_known = self.heard.contains(&id) || self.untold.contains(&id);
            if !is_known && !is_to_come && !may_be_untold {
                add(Kind::Silent, format!("the event of fact {id} never came"));
            }
            // Told once, if it is a damage.
            if !is_known && !is_to_come {
                self.untold.insert(id);
            }
        }
        let mut add = |kind, what| damages.push(Damage::new(kind, what));
        for (id, (deed, standing)) in writes {
            if let (Deed::Fact | Deed::Gather, Standing::Done(at)) = (deed, standing)
                && !there.contains_key(id)
            {
                add(Kind::Lost, format!("fact {id} of {at} is gone"));
            }
        }
        for id in self.heard.iter().filter(|id| !there.contains_key(id)) {
            add(
                Kind::Early,
                format!("the event of {id} came, its fact is not there"),
            );
        }
        for id in found.outbox.iter().filter(|id| !there.contains_key(id)) {
            add(
                Kind::Half,
                format!("the event of {id} waits, its fact is not there"),
            );
        }
        self.last_found = found.last_version;
        self.check_reader(found, look == Look::End, damages);
    }

    /// The positions of the latest facts that are new since the last look.
    fn latest(&self, found: &Found) -> BTreeSet<u64> {
        let positions = found.facts.iter().rev().map(|fact| fact.position);
        let new = positions.take_while(|position| *position > self.last_found);
        new.take(UNTOLD).collect()
    }

    /// The consumer takes every fact behind the cursor it began with, each behind the one before.
    fn check_reader(&mut self, found: &Found, end: bool, damages: &mut Vec<Damage>) {
        let mut add = |kind, what| damages.push(Damage::new(kind, what));
        let behind = found.facts.iter().filter(|fact| fact.position > self.begin);
        let expected: Vec<_> = behind.map(|fact| (fact.position, fact.id)).collect();
        let taken = std::mem::take(&mut self.taken);
        let wrong = taken.iter().zip(&expected).find(|(it, next)| it != next);
        if let Some(((position, id), (next, wanted))) = wrong {
            let what = format!("{id} at {position} was taken, {wanted} at {next} was next");
            add(Kind::Skipped, what);
        } else if taken.len() > expected.len() || (end && taken.len() < expected.len()) {
            let (taken, there) = (taken.len(), expected.len());
            add(
                Kind::Skipped,
                format!("{taken} facts were taken, {there} were there"),
            );
        }
        if found.cursor < self.kept {
            let (cursor, kept) = (found.cursor, self.kept);
            let what = format!("the cursor is {cursor}, {kept} was acknowledged");
            add(Kind::Lost, what);
        }
        let last = taken.last().map_or(self.begin, |(position, _)| *position);
        if found.cursor > last {
            let what = format!("the cursor is {}, {last} was taken last", found.cursor);
            add(Kind::Skipped, what);
        }
        self.begin = found.cursor;
        self.kept = found.cursor;
    }
}
