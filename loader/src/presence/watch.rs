//! Finds who does not return: looks at the marks now and then, and compares with what it saw
//! before.
//!
//! Looks cost the threads that are looked at nothing, and who looks some nanoseconds for each
//! thread. While nobody enters, nobody looks: see [`Watch::rest`].

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Doing,
    bell::{self, Sleep},
    mark::Sighting,
    place::Place,
    seats::{self, Seat, Sitter},
};
use crate::{generation::Generation, inside::Owner};

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// How long an entry is seen before it is told: at least so long it has lasted.
const LASTING: Duration = Duration::from_millis(750);

/// What was seen of all threads.
#[derive(Debug, Default)]
pub struct Watch {
    seats: Vec<Seen>,
    last: Option<Instant>,
    /// How many looks in a row nothing has changed and nobody was inside.
    quiet: u32,
    /// Kept for its memory.
    sightings: Vec<Sighting>,
}

/// What was seen of one thread.
#[derive(Debug, Default)]
struct Seen {
    state: u64,
    /// From the outermost on.
    entries: Vec<SeenEntry>,
}

#[derive(Debug)]
struct SeenEntry {
    sighting: Sighting,
    /// For how long it has been seen, as far as the watch itself was not held up.
    age: Duration,
}

/// An entry into a plugin that does not return.
#[derive(Debug, Clone)]
pub struct Blocked {
    /// Which one.
    pub entry: Entry,
    /// Whose code.
    pub who: Caller,
    /// Who entered it from within another plugin, from the innermost on.
    pub callers: Vec<Caller>,
    /// Whether it is the host that does not return to the plugin.
    pub is_in_host: bool,
    /// The number of the thread in the system, where it has one.
    pub thread: Option<u64>,
    /// The name of the thread.
    pub thread_name: String,
    /// For how long it has been seen; it may be older by a moment.
    pub age: Duration,
    seat: &'static Seat,
}

/// Which entry it is; no other one of this process is equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    seat: usize,
    serial: u64,
}

/// Code that was entered, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// As [`Generation::number`] has it.
    pub generation: u32,
    /// What for.
    pub doing: Doing,
}

impl Watch {
    /// One that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at all threads; answers which of them do not return from an entry into a plugin:
    /// the innermost such entry of each.
    pub fn look(&mut self) -> Vec<Blocked> {
        let now = Instant::now();
        let passed = self.last.map_or(Duration::ZERO, |last| now - last);
        self.last = Some(now);
        // If the whole process stood still, nobody blocks for that.
        self.look_after(passed.min(2 * PAUSE))
    }

    fn look_after(&mut self, passed: Duration) -> Vec<Blocked> {
        let mut blocked = Vec::new();
        let mut is_quiet = true;
        seats::each(|number, seat| {
            if self.seats.len() <= number {
                self.seats.resize_with(number + 1, Seen::default);
            }
            let seen = &mut self.seats[number];
            let state = seat.mark.look(&mut self.sightings);
            is_quiet &= state == seen.state && !self.sightings.iter().any(is_of_plugin);
            seen.note(state, &self.sightings, passed);
            blocked.extend(seen.blocked(number, seat));
        });
        self.quiet = if is_quiet {
            self.quiet.saturating_add(1)
        } else {
            0
        };
        blocked
    }

    /// Waits until it is time to look again, unless `goes_on` says that there is no need any more;
    /// who makes it say so [wakes](wake_watches) those that wait.
    ///
    /// That is soon while anybody is inside, or was since the look before. If not, it ends when
    /// somebody enters: an idle process is not woken.
    pub fn rest(&self, goes_on: impl Fn() -> bool) {
        // A thread that enters does not order the mark that it makes and its look at the bell,
        // which would cost each entry a fence. So who goes to sleep tells it first, looks again
        // after a while, in which any mark made before has long become visible, and only then
        // sleeps as long as nobody rings.
        let how = match self.quiet {
            0 => Sleep::For(PAUSE),
            1 => Sleep::Lightly(PAUSE),
            _ => Sleep::Deeply(PAUSE),
        };
        bell::sleep(how, goes_on);
    }
}

/// Ends the [rest](Watch::rest) of all watches of this process.
pub fn wake_watches() {
    bell::ring();
}

fn is_of_plugin(sighting: &Sighting) -> bool {
    sighting.owner != Owner::PROCESS
}

impl Seen {
    /// Takes note of what was seen now, `passed` after the look before.
    fn note(&mut self, state: u64, sightings: &[Sighting], passed: Duration) {
        self.state = state;
        let before = self.entries.iter().map(|entry| entry.sighting);
        let lasting = before
            .zip(sightings)
            .take_while(|(before, now)| before == *now);
        let lasting = lasting.count();
        self.entries.truncate(lasting);
        for entry in &mut self.entries {
            entry.age += passed;
        }
        let new = sightings[lasting..].iter().map(|&sighting| SeenEntry {
            sighting,
            age: Duration::ZERO,
        });
        self.entries.extend(new);
    }

    /// The innermost entry into a plugin that lasts. Entries within it that do not are of no
    /// account: it may go in and out of others for ever.
    fn blocked(&self, number: usize, seat: &'static Seat) -> Option<Blocked> {
        let lasts = |entry: &&SeenEntry| entry.age >= LASTING;
        let lasting: Vec<_> = self.entries.iter().take_while(lasts).collect();
        let innermost = lasting.last()?;
        let mut plugins = lasting.iter().rev().filter(|it| is_of_plugin(&it.sighting));
        let entry = plugins.next()?;
        let Sitter {
            number: thread,
            name,
            ..
        } = seat.sitter()?;
        Some(Blocked {
            entry: Entry {
                seat: number,
                serial: entry.sighting.serial,
            },
            who: entry.caller(),
            callers: plugins.map(|it| it.caller()).collect(),
            is_in_host: !is_of_plugin(&innermost.sighting),
            thread,
            thread_name: name.or_else(|| name_of(thread?)).unwrap_or_default(),
            age: entry.age,
            seat,
        })
    }
}

impl SeenEntry {
    fn caller(&self) -> Caller {
        Caller {
            generation: self.sighting.owner.number(),
            doing: self.sighting.errand.doing(),
        }
    }
}

impl Blocked {
    /// Where the thread is in the code of `generation`, as far as that can be told from outside.
    /// Reads files: its own, and those in which the system describes the thread.
    pub fn place(&self, generation: &Generation) -> Place {
        let sitter = self
            .seat
            .sitter()
            .filter(|sitter| sitter.number == self.thread);
        let library = generation.staged_at().map(PathBuf::as_path);
        sitter.map_or_else(Place::default, |it| Place::of(&it, library))
    }
}

/// The name that the system has for a thread which the standard library did not start.
fn name_of(thread: u64) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/self/task/{thread}/comm"));
    Some(name.ok()?.trim_end().to_owned())
}

#[cfg(test)]
mod tests;
