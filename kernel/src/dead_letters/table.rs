//! The letters that are kept, and what of that is not written down yet; writing is the job of
//! `keeper`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::record::{Found, Place};
use crate::status::DeadLetter;

/// What a letter takes beside what it says.
const OVERHEAD: usize = 256;

/// Letters by number, bounded by count and size: the oldest make room.
#[derive(Debug)]
pub(super) struct Table {
    letters: BTreeMap<u64, Arc<DeadLetter>>,
    bytes: usize,
    next: u64,
    letters_max: usize,
    bytes_max: usize,
    /// The kernel whose letters these are.
    kernel: Arc<str>,
    /// Where each lies that is, or is just being, written down.
    written: BTreeMap<u64, Place>,
    /// What has to be written down or deleted: letters that are not written, and written ones
    /// that are letters no more.
    unwritten: BTreeSet<u64>,
}

/// What has to be done about one letter.
#[derive(Debug)]
pub(super) enum Change {
    /// It is to be written down.
    Write(Arc<DeadLetter>, Place),
    /// What is there of it is to be deleted.
    Delete(u64, Place),
}

impl Table {
    pub(super) fn new(kernel: Arc<str>, letters_max: usize, bytes_max: usize) -> Self {
        Self {
            letters: BTreeMap::new(),
            bytes: 0,
            next: 1,
            letters_max,
            bytes_max,
            kernel,
            written: BTreeMap::new(),
            unwritten: BTreeSet::new(),
        }
    }

    /// Takes in what is written down already; answers what made room. Remains are to be deleted.
    pub(super) fn load(&mut self, found: Found) -> Vec<Arc<DeadLetter>> {
        match found {
            Found::Letter(letter, place) => {
                let id = self.note(letter.id, place);
                self.insert(Arc::new(DeadLetter { id, ..letter }))
            }
            Found::Remains(id, place) => {
                let id = self.note(id, place);
                self.unwritten.insert(id);
                Vec::new()
            }
            Found::Unreadable(id) => {
                self.next = self.next.max(id.saturating_add(1));
                Vec::new()
            }
        }
    }

    /// Answers the number that something has here: another one, if that is taken by a letter of
    /// another kernel.
    fn note(&mut self, id: u64, place: Place) -> u64 {
        let id = id.max(self.next);
        self.next = id.saturating_add(1);
        self.written.insert(id, place);
        id
    }

    /// Adds a letter under the next number; answers that, and what made room, to be dropped where
    /// nothing is locked.
    pub(super) fn add(&mut self, letter: DeadLetter) -> (u64, Vec<Arc<DeadLetter>>) {
        let id = self.next;
        self.next += 1;
        self.unwritten.insert(id);
        (id, self.insert(Arc::new(DeadLetter { id, ..letter })))
    }

    /// Puts one back that was taken just now.
    pub(super) fn restore(&mut self, letter: Arc<DeadLetter>) {
        // Also if it is written down: its deletion may be under way.
        self.unwritten.insert(letter.id);
        // It had its room.
        self.bytes += size(&letter);
        self.letters.insert(letter.id, letter);
    }

    fn insert(&mut self, letter: Arc<DeadLetter>) -> Vec<Arc<DeadLetter>> {
        self.bytes += size(&letter);
        self.letters.insert(letter.id, letter);
        let mut dropped = Vec::new();
        while self.letters.len() > 1 && self.is_too_full() {
            let oldest = self.letters.first_key_value().map(|(id, _)| *id);
            dropped.extend(oldest.and_then(|id| self.take(id)));
        }
        dropped
    }

    fn is_too_full(&self) -> bool {
        self.letters.len() > self.letters_max || self.bytes > self.bytes_max
    }

    pub(super) fn take(&mut self, id: u64) -> Option<Arc<DeadLetter>> {
        let letter = self.letters.remove(&id)?;
        self.bytes -= size(&letter);
        if self.written.contains_key(&id) {
            self.unwritten.insert(id);
        } else {
            self.unwritten.remove(&id);
        }
        Some(letter)
    }

    pub(super) fn get(&self, id: u64) -> Option<&Arc<DeadLetter>> {
        self.letters.get(&id)
    }

    pub(super) fn letters(&self) -> impl Iterator<Item = &Arc<DeadLetter>> {
        self.letters.values()
    }

    /// How much is to be written down, and how much is.
    #[cfg(test)]
    pub(super) fn pending(&self) -> (usize, usize) {
        (self.unwritten.len(), self.written.len())
    }

    /// Takes some of what is not written down, which counts as such from now on.
    pub(super) fn changes(&mut self, most: usize) -> Vec<Change> {
        let mut changes = Vec::new();
        while changes.len() < most
            && let Some(id) = self.unwritten.pop_first()
        {
            let place = self.written.remove(&id);
            match self.letters.get(&id) {
                Some(letter) => {
                    let place = place.unwrap_or_else(|| Place::new(letter, &self.kernel));
                    self.written.insert(id, place.clone());
                    changes.push(Change::Write(Arc::clone(letter), place));
                }
                None => changes.extend(place.map(|place| Change::Delete(id, place))),
            }
        }
        changes
    }

    /// Takes changes back that were not made, for another time.
    pub(super) fn not_made(&mut self, changes: &[Change]) {
        for change in changes {
            // Part of a letter may be there after all.
            let (id, place) = match change {
                Change::Write(letter, place) => (letter.id, place),
                Change::Delete(id, place) => (*id, place),
            };
            self.written.insert(id, place.clone());
            self.unwritten.insert(id);
        }
    }
}

fn size(letter: &DeadLetter) -> usize {
    let event = &letter.event;
    let texts = letter.plugin.len() + letter.subscription.len() + letter.cause.len();
    OVERHEAD + texts + event.topic.len() + event.source.len() + event.payload.len()
}
