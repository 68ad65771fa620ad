//! What is written again and again: keys, keys together, and counters.

use std::collections::BTreeMap;

use super::Standing;
use crate::damage::{Damage, Kind};
use crate::found::{Found, Written};
use crate::layout;
use crate::word::{Deed, Id};

/// What should be at the keys.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// One for each key, or keys that are written together, of one writer.
    places: BTreeMap<Place, Expected>,
    counters: BTreeMap<u32, Counted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Slot(u32, u32),
    Together(u32),
}

/// What may be at a place.
#[derive(Debug, Default)]
struct Expected {
    /// What is there unless one of those below is: who wrote it, and with which version if that is known.
    settled: Option<(Id, Option<u64>)>,
    /// What was begun behind it, and leaves itself or nothing.
    open: Vec<(Id, bool)>,
}

#[derive(Debug, Default)]
struct Counted {
    /// What was found last.
    base: u64,
    done: u64,
    open: Vec<Id>,
}

impl Place {
    /// Where a deed leaves its mark, and whether that is its name.
    fn of(id: Id, deed: Deed) -> Option<(Self, bool)> {
        let writer = id.writer;
        match deed {
            Deed::Set(slot) => Some((Self::Slot(writer, slot), true)),
            Deed::Delete(slot) => Some((Self::Slot(writer, slot), false)),
            Deed::Batch => Some((Self::Together(writer), true)),
            Deed::Unbatch => Some((Self::Together(writer), false)),
            Deed::Add(_) | Deed::Append | Deed::Fact | Deed::Gather => None,
        }
    }

    fn keys(self) -> Vec<String> {
        match self {
            Self::Slot(writer, slot) => vec![layout::slot(writer, slot)],
            Self::Together(writer) => (0..layout::TOGETHER)
                .map(|number| layout::member(writer, number).1)
                .collect(),
        }
    }
}

impl Values {
    pub(super) fn intend(&mut self, id: Id, deed: Deed) {
        if let Deed::Add(counter) = deed {
            let counted = self.counters.entry(counter).or_default();
            counted.open.push(id);
        } else if let Some((place, is_left)) = Place::of(id, deed) {
            let expected = self.places.entry(place).or_default();
            expected.open.push((id, is_left));
        }
    }

    pub(super) fn done(&mut self, id: Id, deed: Deed, at: u64) {
        if let Deed::Add(counter) = deed {
            let counted = self.counters.entry(counter).or_default();
            counted.open.retain(|open| *open != id);
            counted.done += 1;
        } else if let Some((place, is_left)) = Place::of(id, deed) {
            let expected = self.places.entry(place).or_default();
            // One writer does one thing after another: what it began before is overwritten.
            expected.open.retain(|(open, _)| *open > id);
            expected.settled = is_left.then_some((id, Some(at)));
        }
    }

    pub(super) fn refused(&mut self, id: Id) {
        for counted in self.counters.values_mut() {
            counted.open.retain(|open| *open != id);
        }
        for expected in self.places.values_mut() {
            expected.open.retain(|(open, _)| *open != id);
        }
    }

    /// Compares, and takes what is there for what is to be there.
    pub(super) fn check(
        &mut self,
        writes: &BTreeMap<Id, (Deed, Standing)>,
        found: &Found,
        damages: &mut Vec<Damage>,
    ) {
        let mut known = 0;
        for (place, expected) in &mut self.places {
            let keys = place.keys();
            let there = keys.iter().map(|key| found.values.get(key));
            let there: Vec<_> = there.collect();
            known += there.iter().flatten().count();
            let first = there.first().copied().flatten();
            if there
                .iter()
                .any(|it| it.map(|it| it.by) != first.map(|it| it.by))
            {
                let by = there.iter().map(|it| it.map(|it| it.by.to_string()));
                let by: Vec<_> = by.map(|by| by.unwrap_or_else(|| "-".to_owned())).collect();
                let what = format!("`{}` … are of {}", keys[0], by.join(" "));
                damages.push(Damage::new(Kind::Half, what));
            } else if let Err((kind, why)) = expected.judge(writes, first) {
                damages.push(Damage::new(kind, format!("`{}` {why}", keys[0])));
            }
            expected.open.clear();
            expected.settled = first.map(|it| (it.by, Some(it.version)));
        }
        for (number, counted) in &mut self.counters {
            let there = found.values.get(&layout::counter(*number));
            known += usize::from(there.is_some());
            counted.check(*number, there.map_or(0, |it| it.sum), damages);
        }
        if known != found.values.len() {
            let what = format!("{} keys, of which {known} are known", found.values.len());
            damages.push(Damage::new(Kind::Unintended, what));
        }
    }
}

impl Expected {
    fn judge(
        &self,
        writes: &BTreeMap<Id, (Deed, Standing)>,
        there: Option<&Written>,
    ) -> Result<(), (Kind, String)> {
        let is_open = |by: Option<Id>| {
            self.open.iter().any(|(id, is_left)| match by {
                Some(by) => *is_left && *id == by,
                None => !is_left,
            })
        };
        let settled = self.settled.map(|(id, _)| id);
        match (there, self.settled) {
            (Some(it), Some((id, Some(version)))) if it.by == id && it.version != version => {
                let why = format!("has version {}, {version} was acknowledged", it.version);
                Err((Kind::Backward, why))
            }
            (it, _) if it.map(|it| it.by) == settled || is_open(it.map(|it| it.by)) => Ok(()),
            (Some(it), _) if !writes.contains_key(&it.by) => {
                Err((Kind::Unintended, format!("is of {}", it.by)))
            }
            (Some(it), None) => {
                let why = format!("is of {}, and was to be deleted", it.by);
                Err((Kind::Lost, why))
            }
            (it, Some((id, _))) => {
                let by = it.map_or("nobody".to_owned(), |it| it.by.to_string());
                Err((Kind::Lost, format!("is of {by}, {id} was acknowledged")))
            }
            (None, None) => Ok(()),
        }
    }
}

impl Counted {
    fn check(&mut self, number: u32, sum: u64, damages: &mut Vec<Damage>) {
        let least = self.base + self.done;
        let most = least + self.open.len() as u64;
        if sum < least {
            let what = format!("counter {number} is {sum}, {least} were acknowledged");
            damages.push(Damage::new(Kind::Lost, what));
        } else if sum > most {
            let what = format!("counter {number} is {sum}, {most} were intended");
            damages.push(Damage::new(Kind::Unintended, what));
        }
        self.base = sum;
        self.done = 0;
        self.open.clear();
    }
}
