//! What writers intended and what was acknowledged, over all lives of a worker; and whether what a database holds
//! agrees with that.
//!
//! What a write that was neither acknowledged nor refused did is settled by the first look behind it: from then on
//! it counts as acknowledged if it is there, and may never come if it is not.

mod facts;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use crate::damage::{Damage, Kind};
use crate::found::Found;
use crate::word::{Deed, Id, Word};

use facts::Facts;
use values::Values;

/// What is known of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Begun; it may be there.
    Open,
    /// Acknowledged, or found: with its version or position.
    Done(u64),
    /// Refused, or not found: it may not be there.
    Void,
}

/// What a database is looked at behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// A kill; events were told before they were forgotten.
    Witnessed,
    /// A kill; of the latest events it is not known whether they came.
    Unwitnessed,
    /// A good end: every event was heard.
    End,
}

/// What was told, and what was settled.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    writes: BTreeMap<Id, (Deed, Standing)>,
    values: Values,
    facts: Facts,
    /// The greatest version that was acknowledged or found.
    last_version: u64,
    /// The same as the database was found last.
    last_found: u64,
    versions: BTreeSet<u64>,
    acknowledged: u64,
    /// What was seen while listening.
    damages: Vec<Damage>,
}

impl Ledger {
    /// Takes a word of a worker.
    pub(crate) fn hear(&mut self, word: &Word) {
        match *word {
            Word::Intend(id, deed) => self.intend(id, deed),
            Word::Done(id, at) => self.done(id, at),
            Word::Refused(id) => self.stand(id, Standing::Void),
            Word::Heard(id) => self.facts.heard(id),
            Word::Early(id) => {
                let what = format!("the event of {id} came before its fact could be read");
                self.damages.push(Damage::new(Kind::Early, what));
            }
            Word::Took(position, id) => self.facts.took(position, id),
            Word::Kept(position) => self.facts.kept(position),
            Word::Complaint(ref what) => self.damages.push(Damage::new(Kind::Other, what)),
            _ => {}
        }
    }

    /// How many writes were acknowledged.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many different events were heard.
    pub(crate) fn heard(&self) -> u64 {
        self.facts.count_heard()
    }

    /// The facts that were begun and are not known to be there, for the next life to record again.
    pub(crate) fn unfinished(&self) -> Vec<(Id, Deed)> {
        let is_fact = |deed| matches!(deed, Deed::Fact | Deed::Gather);
        let open = self.writes.iter();
        open.filter(|(_, (deed, standing))| {
            is_fact(*deed) && !matches!(standing, Standing::Done(_))
        })
        .map(|(id, (deed, _))| (*id, *deed))
        .collect()
    }

    /// Compares with what is there, and settles what was open.
    ///
    pub(crate) fn check(&mut self, found: &Found, look: Look) -> Vec<Damage> {
        let mut damages = std::mem::take(&mut self.damages);
        let strange = found.strange.iter();
        damages.extend(strange.map(|what| Damage::new(Kind::Other, what)));
        if found.last_version < self.last_version {
            let (last, before) = (found.last_version, self.last_version);
            let what = format!("the last version is {last}, it was {before}");
            damages.push(Damage::new(Kind::Backward, what));
        }
        self.values.check(&self.writes, found, &mut damages);
        self.check_lists(found, &mut damages);
        self.facts.check(&self.writes, found, look, &mut damages);
        self.settle(found);
        damages
    }

    fn intend(&mut self, id: Id, deed: Deed) {
        self.writes.insert(id, (deed, Standing::Open));
        self.values.intend(id, deed);
    }

    fn done(&mut self, id: Id, at: u64) {
        let Some((deed, standing)) = self.writes.get(&id).copied() else {
            let what = format!("{id} was acknowledged, and never intended");
            self.damages.push(Damage::new(Kind::Other, what));
            return;
        };
        match standing {
            Standing::Done(before) if before == at => return,
            Standing::Done(before) => {
                let what = format!("{id} is at {before}, and then at {at}");
                self.damages.push(Damage::new(Kind::Doubled, what));
            }
            _ => self.acknowledged += 1,
        }
        // A fact may have been there before; a deletion of nothing has no version.
        let is_new = at > 0 && !matches!(deed, Deed::Fact | Deed::Gather);
        if is_new && (at <= self.last_found || !self.versions.insert(at)) {
            let what = format!("{id} has version {at}, which was given before");
            self.damages.push(Damage::new(Kind::Backward, what));
        }
        self.last_version = self.last_version.max(at);
        self.stand(id, Standing::Done(at));
        self.values.done(id, deed, at);
    }

    fn stand(&mut self, id: Id, now: Standing) {
        if let Some((_, standing)) = self.writes.get_mut(&id) {
            *standing = now;
        }
        if now == Standing::Void {
            self.values.refused(id);
        }
    }

    /// What was appended: everything once, and in the order of each writer.
    fn check_lists(&self, found: &Found, damages: &mut Vec<Damage>) {
        let mut there = BTreeMap::new();
        let mut latest = BTreeMap::new();
        for (version, id) in &found.listed {
            match self.writes.get(id) {
                Some((Deed::Append, Standing::Open)) => {}
                Some((Deed::Append, Standing::Done(at))) if at == version => {}
                Some((Deed::Append, Standing::Done(at))) => damages.push(Damage::new(
                    Kind::Doubled,
                    format!("{id} was appended at {at}, and is at {version}"),
                )),
                _ => damages.push(Damage::new(
                    Kind::Unintended,
                    format!("{id} was appended at {version}"),
                )),
            }
            if there.insert(*id, *version).is_some() {
                let what = format!("{id} is in its list twice");
                damages.push(Damage::new(Kind::Doubled, what));
            }
            let before = latest.insert(id.writer, *id);
            if before.is_some_and(|before| before > *id) {
                let what = format!("{id} is behind what was appended later");
                damages.push(Damage::new(Kind::Backward, what));
            }
        }
        for (id, (deed, standing)) in &self.writes {
            if let (Deed::Append, Standing::Done(at)) = (deed, standing)
                && !there.contains_key(id)
            {
                let what = format!("{id} was appended at {at}, and is gone");
                damages.push(Damage::new(Kind::Lost, what));
            }
        }
    }

    fn settle(&mut self, found: &Found) {
        let facts = found.facts.iter().map(|fact| (fact.id, fact.position));
        let listed = found.listed.iter().map(|(version, id)| (*id, *version));
        let there: BTreeMap<_, _> = facts.chain(listed).collect();
        for (id, (deed, standing)) in &mut self.writes {
            // What was lost is told once.
            let is_kept = matches!(deed, Deed::Append | Deed::Fact | Deed::Gather);
            if is_kept || *standing == Standing::Open {
                let at = there.get(id).copied();
                *standing = at.map_or(Standing::Void, Standing::Done);
            }
        }
        self.last_found = found.last_version;
        self.last_version = self.last_version.max(found.last_version);
        self.versions.clear();
    }
}

#[cfg(test)]
mod tests;
