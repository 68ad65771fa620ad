//! What is known of the libraries that may be unmapped: where they lie, which threads are
//! theirs, and what they left on whose thread.
//!
//! Bookkeeping under one lock; nothing of a library is called here.

mod leavings;

use std::{
    cell::Cell,
    collections::BTreeMap,
    ops::Range,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use libc::pthread_key_t;

use self::leavings::Leavings;
pub(super) use self::leavings::{Destructor, Key, Local};
use crate::inside::Owner;

/// How far a library has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It may be entered; what it leaves on a thread stays until that ends.
    Used,
    /// It is never entered again; what it left goes as soon as it can.
    Retired,
    /// It is being closed: nothing new of it is taken.
    Closing,
}

/// What becomes of a thread that is about to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// It is none of ours.
    Foreign,
    /// It is counted.
    Of(Owner),
    /// Its library is being closed.
    Refused,
}

/// What stands in the way of closing a library.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pending {
    /// How many of its threads have not ended.
    pub(super) threads: usize,
    /// The numbers of the threads that have something of it to destroy.
    pub(super) leavings: Vec<i32>,
}

struct Library {
    phase: Phase,
    threads: usize,
}

struct Opening {
    owner: Owner,
    /// Where the objects lie that were there before.
    known: Vec<Range<usize>>,
}

pub(super) struct Table {
    /// By their first address: the end and the owner.
    spans: BTreeMap<usize, (usize, Owner)>,
    /// Where the object lies that holds this very code.
    program: Range<usize>,
    opening: Option<Opening>,
    libraries: BTreeMap<Owner, Library>,
    keys: BTreeMap<pthread_key_t, Key>,
    /// By the number of the thread.
    threads: BTreeMap<i32, Leavings>,
}

/// A lock of the standard library: it parks by a system call alone, where others register
/// thread-locals of their own, and so would come back here.
static TABLE: Mutex<Table> = Mutex::new(Table::new());

/// Whether there is anything in the table: until the first opening the host pays one load.
static IN_USE: AtomicBool = AtomicBool::new(false);

thread_local! {
    static LOCKED: Cell<bool> = const { Cell::new(false) };
}

/// Looks into the table. `None` if there is nothing to see, or if this thread holds the lock
/// already: then it is the host's own allocator that came here, on its own behalf.
pub(super) fn with<R>(work: impl FnOnce(&mut Table) -> R) -> Option<R> {
    if !IN_USE.load(Ordering::Acquire) || LOCKED.replace(true) {
        return None;
    }
    let result = work(&mut lock());
    LOCKED.set(false);
    Some(result)
}

/// Begins to use the table. `program` is where the object lies that holds this very code.
pub(super) fn begin(program: Range<usize>) {
    lock().program = program;
    IN_USE.store(true, Ordering::Release);
}

fn lock() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    const fn new() -> Self {
        Self {
            spans: BTreeMap::new(),
            program: 0..0,
            opening: None,
            libraries: BTreeMap::new(),
            keys: BTreeMap::new(),
            threads: BTreeMap::new(),
        }
    }

    /// From now on, what `owner` does with code that is in none of the objects that are `known`
    /// is its own: its constructors run before anybody knows where it lies.
    pub(super) fn opening(&mut self, owner: Owner, known: Vec<Range<usize>>) {
        let library = Library {
            phase: Phase::Used,
            threads: 0,
        };
        self.libraries.insert(owner, library);
        self.opening = Some(Opening { owner, known });
    }

    /// It is open, and lies there.
    pub(super) fn opened(&mut self, owner: Owner, spans: &[Range<usize>]) {
        self.opening = None;
        let span = |span: &Range<usize>| (span.start, (span.end, owner));
        self.spans.extend(spans.iter().map(span));
        self.settle(owner);
    }

    /// It could not be opened, or is gone.
    pub(super) fn forget(&mut self, owner: Owner) {
        self.opening = None;
        self.spans.retain(|_, span| span.1 != owner);
        self.settle(owner);
        self.libraries.remove(&owner);
    }

    /// The object that begins there stays, so it is the process's from now on.
    pub(super) fn keep(&mut self, start: usize) {
        if let Some((_, owner)) = self.spans.remove(&start) {
            self.settle(owner);
        }
    }

    /// Whose code or data lies there, among what may be unmapped.
    fn owner_at(&self, address: usize) -> Option<Owner> {
        let (_, (end, owner)) = self.spans.range(..=address).next_back()?;
        (address < *end).then_some(*owner)
    }

    /// Whose code or data lies there, if it is used by `current`.
    fn owner_of(&self, address: usize, current: Owner) -> Option<Owner> {
        self.owner_at(address).or_else(|| {
            let opening = self.opening.as_ref()?;
            let known = || opening.known.iter().any(|known| known.contains(&address));
            (opening.owner == current && !known()).then_some(current)
        })
    }

    fn phase(&self, owner: Owner) -> Phase {
        let library = self.libraries.get(&owner);
        library.map_or(Phase::Used, |library| library.phase)
    }

    /// It is never entered again.
    pub(super) fn retire(&mut self, owner: Owner) {
        self.advance(owner, Phase::Used, Phase::Retired);
    }

    /// It cannot be closed, for good.
    pub(super) fn stay(&mut self, owner: Owner) {
        self.advance(owner, Phase::Closing, Phase::Used);
    }

    fn advance(&mut self, owner: Owner, from: Phase, to: Phase) {
        if let Some(library) = self.libraries.get_mut(&owner)
            && library.phase == from
        {
            library.phase = to;
        }
    }

    /// Where its objects lie.
    pub(super) fn spans_of(&self, owner: Owner) -> Vec<Range<usize>> {
        let spans = self.spans.iter().filter(|(_, span)| span.1 == owner);
        spans.map(|(start, (end, _))| *start..*end).collect()
    }

    /// Looks what stands in the way of closing it. If nothing does, and it is free otherwise,
    /// nothing new of it is taken from now on.
    pub(super) fn close(&mut self, owner: Owner, is_free: bool) -> Result<(), Pending> {
        let threads = self.threads.iter();
        let pending = Pending {
            threads: self.libraries.get(&owner).map_or(0, |l| l.threads),
            leavings: threads
                .filter(|(_, leavings)| leavings.are_of(owner, &self.keys))
                .map(|(number, _)| *number)
                .collect(),
        };
        if pending != Pending::default() {
            return Err(pending);
        }
        if is_free {
            self.advance(owner, Phase::Retired, Phase::Closing);
        }
        Ok(())
    }

    /// A thread is about to begin, started by `current`.
    ///
    /// One that begins in a library which stays, such as that of C++, belongs to who started it;
    /// one that begins in the program is the host's, also if a plugin's call was the reason.
    pub(super) fn thread_begins(&mut self, start: usize, current: Owner) -> Beginning {
        let found = self.owner_of(start, current);
        let owner = found.or_else(|| (!self.program.contains(&start)).then_some(current));
        let library = owner.and_then(|owner| Some((owner, self.libraries.get_mut(&owner)?)));
        match library {
            None => Beginning::Foreign,
            Some((_, library)) if library.phase == Phase::Closing => Beginning::Refused,
            Some((owner, library)) => {
                library.threads += 1;
                Beginning::Of(owner)
            }
        }
    }

    /// A thread that was counted has run the last of its code.
    pub(super) fn thread_ended(&mut self, owner: Owner) {
        if let Some(library) = self.libraries.get_mut(&owner) {
            library.threads = library.threads.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests;
