//! What libraries leave on threads: thread-locals with destructors, and values of keys.

use std::collections::BTreeMap;

use libc::{c_void, pthread_key_t};

use super::{Phase, Table};
use crate::inside::Owner;

/// A destructor, of a thread-local or of a key's values.
pub(in super::super) type Destructor = unsafe extern "C" fn(*mut c_void);

/// A thread-local with a destructor.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Local {
    pub(in super::super) owner: Owner,
    pub(in super::super) destructor: Destructor,
    pub(in super::super) argument: *mut c_void,
    /// An address in the object that it belongs to.
    pub(in super::super) place: usize,
}

// SAFETY: the argument is used only by the thread that left it; others look at the addresses.
unsafe impl Send for Local {}

/// A key for values of threads.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Key {
    pub(in super::super) owner: Owner,
    pub(in super::super) destructor: Option<Destructor>,
    /// An address in the object that it belongs to.
    pub(in super::super) place: usize,
}

/// What is on one thread.
#[derive(Default)]
pub(super) struct Leavings {
    /// Whose thread it is, if it is counted.
    thread_of: Option<Owner>,
    locals: Vec<Local>,
    /// Keys that have a value on this thread and a destructor.
    keys: Vec<pthread_key_t>,
    /// Whose destructors are running.
    running: Vec<Owner>,
}

impl Leavings {
    /// Whether something of this owner waits here. Its own threads are counted as such.
    pub(super) fn are_of(&self, owner: Owner, keys: &BTreeMap<pthread_key_t, Key>) -> bool {
        let of_owner = |key| keys.get(key).is_some_and(|key| key.owner == owner);
        let local = || self.locals.iter().any(|local| local.owner == owner);
        let is_there =
            || local() || self.keys.iter().any(of_owner) || self.running.contains(&owner);
        self.thread_of != Some(owner) && is_there()
    }

    fn is_empty(&self) -> bool {
        let nothing = self.locals.is_empty() && self.keys.is_empty() && self.running.is_empty();
        nothing && self.thread_of.is_none()
    }
}

impl Table {
    /// `current` registers a destructor on a thread. `None` if that is not ours to keep, else
    /// whether it is kept: what comes after a thread's or a library's end is lost.
    pub(in super::super) fn add_local(
        &mut self,
        thread: Option<i32>,
        current: Owner,
        (destructor, argument, object): (Destructor, *mut c_void, usize),
    ) -> Option<bool> {
        let places = [object, destructor as usize];
        let (place, owner) = self.first_owned(places, current)?;
        let Some(thread) = thread.filter(|_| self.phase(owner) != Phase::Closing) else {
            return Some(false);
        };
        let leavings = self.threads.entry(thread).or_default();
        leavings.locals.push(Local {
            owner,
            destructor,
            argument,
            place,
        });
        Some(true)
    }

    /// Whose key it would be that `current` makes, with this destructor, for this variable.
    pub(in super::super) fn new_key(
        &self,
        current: Owner,
        destructor: Option<Destructor>,
        variable: usize,
    ) -> Option<Key> {
        let code = destructor.map_or(0, |destructor| destructor as usize);
        let (place, owner) = self.first_owned([code, variable], current)?;
        Some(Key {
            owner,
            destructor,
            place,
        })
    }

    fn first_owned(&self, places: [usize; 2], current: Owner) -> Option<(usize, Owner)> {
        let owned = |place| Some((place, self.owner_of(place, current)?));
        places
            .into_iter()
            .filter(|place| *place != 0)
            .find_map(owned)
    }

    pub(in super::super) fn add_key(&mut self, number: pthread_key_t, key: Key) {
        self.keys.insert(number, key);
    }

    pub(in super::super) fn remove_key(&mut self, number: pthread_key_t) {
        self.keys.remove(&number);
        self.threads.retain(|_, leavings| {
            leavings.keys.retain(|key| *key != number);
            !leavings.is_empty()
        });
    }

    /// Takes out the keys of an owner.
    pub(in super::super) fn take_keys(&mut self, owner: Owner) -> Vec<pthread_key_t> {
        let of_owner = self.keys.iter().filter(|(_, key)| key.owner == owner);
        let numbers: Vec<_> = of_owner.map(|(number, _)| *number).collect();
        for number in &numbers {
            self.remove_key(*number);
        }
        numbers
    }

    /// A thread has a value under a key now, or none any more. Answers whether that is to be
    /// destroyed; `None` if the key is none of ours.
    pub(in super::super) fn note_value(
        &mut self,
        thread: i32,
        number: pthread_key_t,
        is_set: bool,
    ) -> Option<bool> {
        let key = *self.keys.get(&number)?;
        let kept = is_set && key.destructor.is_some() && self.phase(key.owner) != Phase::Closing;
        let leavings = self.threads.entry(thread).or_default();
        leavings.keys.retain(|key| *key != number);
        if kept {
            leavings.keys.push(number);
        }
        self.drop_if_empty(thread);
        Some(kept)
    }

    /// Takes the thread-local that was registered last, of an owner and phase that are wanted.
    /// Its destructor counts as running until [`destroyed`](Self::destroyed).
    pub(in super::super) fn take_local(
        &mut self,
        thread: i32,
        wanted: impl Fn(Owner, Phase) -> bool,
    ) -> Option<Local> {
        let locals = &self.threads.get(&thread)?.locals;
        let at = locals
            .iter()
            .rposition(|local| wanted(local.owner, self.phase(local.owner)))?;
        let leavings = self.threads.get_mut(&thread)?;
        let local = leavings.locals.remove(at);
        leavings.running.push(local.owner);
        Some(local)
    }

    /// Takes the keys under which the thread has values, of owners and phases that are wanted.
    /// Their destructors count as running until [`destroyed`](Self::destroyed).
    pub(in super::super) fn take_values(
        &mut self,
        thread: i32,
        wanted: impl Fn(Owner, Phase) -> bool,
    ) -> Vec<(pthread_key_t, Key)> {
        let noted = self.threads.get(&thread).map(|leavings| &leavings.keys);
        let noted = noted.into_iter().flatten();
        let found: Vec<_> = noted
            .filter_map(|number| Some((*number, *self.keys.get(number)?)))
            .filter(|(_, key)| wanted(key.owner, self.phase(key.owner)))
            .collect();
        if let Some(leavings) = self.threads.get_mut(&thread) {
            let taken = |number: &pthread_key_t| found.iter().any(|(taken, _)| taken == number);
            leavings.keys.retain(|number| !taken(number));
            leavings
                .running
                .extend(found.iter().map(|(_, key)| key.owner));
        }
        found
    }

    /// A destructor of this owner has run.
    pub(in super::super) fn destroyed(&mut self, thread: i32, owner: Owner) {
        if let Some(leavings) = self.threads.get_mut(&thread)
            && let Some(at) = leavings.running.iter().rposition(|found| *found == owner)
        {
            leavings.running.swap_remove(at);
        }
        self.drop_if_empty(thread);
    }

    /// A thread that was counted has begun.
    pub(in super::super) fn thread_begun(&mut self, thread: i32, owner: Owner) {
        self.threads.entry(thread).or_default().thread_of = Some(owner);
    }

    /// The thread has ended; what it did not destroy is lost.
    pub(in super::super) fn forget_thread(&mut self, thread: i32) {
        self.threads.remove(&thread);
    }

    /// What lies in no object of `owner` is not its own, though it may have made it.
    pub(super) fn settle(&mut self, owner: Owner) {
        let spans = &self.spans;
        let settled = |place: usize| {
            let found = spans.range(..=place).next_back();
            let found = found.filter(|(_, (end, _))| place < *end);
            found.map_or(Owner::PROCESS, |(_, (_, owner))| *owner)
        };
        let leavings = self.threads.values_mut();
        for local in leavings.flat_map(|leavings| &mut leavings.locals) {
            if local.owner == owner {
                local.owner = settled(local.place);
            }
        }
        for key in self.keys.values_mut() {
            if key.owner == owner {
                key.owner = settled(key.place);
            }
        }
    }

    fn drop_if_empty(&mut self, thread: i32) {
        if self.threads.get(&thread).is_some_and(Leavings::is_empty) {
            self.threads.remove(&thread);
        }
    }
}
