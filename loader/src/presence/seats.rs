//! The marks of all threads: places that are made once and never freed, each taken by one thread
//! until that ends.

use std::{cell::Cell, thread};

use parking_lot::Mutex;

use super::mark::Mark;
use crate::{inside, sys};

/// A place for the mark of a thread.
#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) mark: Mark,
    /// Changed while it is taken or given back.
    sitter: Mutex<Option<Sitter>>,
}

/// The thread that has a seat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sitter {
    /// Its number in the system, where it has one.
    pub(super) number: Option<u64>,
    /// Its name, where it was started with one.
    pub(super) name: Option<String>,
    /// Where a variable lies on its stack.
    pub(super) stack: usize,
    /// It gives nothing back.
    is_late: bool,
}

/// All seats. Locked by threads that come and go, and at each look.
static SEATS: Mutex<Vec<&'static Seat>> = Mutex::new(Vec::new());

thread_local! {
    /// Gives the seat back when the thread ends.
    static HOLDER: Holder = const { Holder(Cell::new(None)) };
}

struct Holder(Cell<Option<&'static Seat>>);

impl Drop for Holder {
    fn drop(&mut self) {
        inside::forget_mark();
        if let Some(seat) = self.0.get() {
            *seat.sitter.lock() = None;
        }
    }
}

/// A mark for this thread.
#[cold]
#[inline(never)]
pub(crate) fn attach() -> &'static Mark {
    let seated = HOLDER.try_with(|holder| {
        let seat = holder.0.get().unwrap_or_else(|| take(Sitter::here()));
        holder.0.set(Some(seat));
        seat
    });
    // A thread that has given its seat back already, and runs what plugins left on it.
    &seated.unwrap_or_else(|_| take(Sitter::late())).mark
}

fn take(sitter: Sitter) -> &'static Seat {
    let mut seats = SEATS.lock();
    let free = seats.iter().find(|seat| seat.is_free()).copied();
    let seat = free.unwrap_or_else(|| {
        let seat: &'static Seat = Box::leak(Box::default());
        seats.push(seat);
        seat
    });
    *seat.sitter.lock() = Some(sitter);
    seat
}

impl Sitter {
    fn here() -> Self {
        let here = 0_u8;
        Self {
            number: sys::thread_number(),
            name: thread::current().name().map(str::to_owned),
            stack: (&raw const here).addr(),
            is_late: false,
        }
    }

    /// One that cannot say when it ends, and of which the standard library knows no more.
    fn late() -> Self {
        Self {
            number: sys::thread_number(),
            is_late: true,
            ..Self::default()
        }
    }
}

impl Seat {
    fn is_free(&self) -> bool {
        let sitter = self.sitter.lock();
        sitter
            .as_ref()
            .is_none_or(|it| it.is_late && it.has_ended())
            && !self.mark.is_inside()
    }

    /// The thread that has it, if one does.
    pub(super) fn sitter(&self) -> Option<Sitter> {
        self.sitter.lock().clone()
    }
}

impl Sitter {
    fn has_ended(&self) -> bool {
        self.number.is_some_and(sys::has_thread_ended)
    }
}

/// Looks at each seat there is, in an order that stays.
pub(super) fn each(mut look: impl FnMut(usize, &'static Seat)) {
    // Not under the lock: threads that come must not wait.
    let seats = SEATS.lock().clone();
    for (number, seat) in seats.into_iter().enumerate() {
        look(number, seat);
    }
}
