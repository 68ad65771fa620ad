//! Stops panics of the author's code at the boundary and turns them into errors.
//!
//! Uses thread-locals that need no destructor: one with a destructor would keep the library
//! mapped for as long as the thread lives.

use std::{
    any::Any,
    cell::{Cell, UnsafeCell},
    fmt::{self, Write},
    mem,
    panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind},
};

use crate::error::{Error, ErrorKind, Result};

/// How many bytes of a panic's location and message are kept.
const KEPT: usize = 1024;

struct Last {
    length: Cell<usize>,
    location: Cell<usize>,
    text: UnsafeCell<[u8; KEPT]>,
}

thread_local! {
    static LAST: Last = const {
        Last { length: Cell::new(0), location: Cell::new(0), text: UnsafeCell::new([0; KEPT]) }
    };
    static POLLS: Cell<u32> = const { Cell::new(0) };
    static GUARDS: Cell<u32> = const { Cell::new(0) };
}

/// Runs author's code; a panic becomes an error with its message and location.
#[inline]
pub(crate) fn guarded<R>(work: impl FnOnce() -> R) -> Result<R> {
    let guards = GUARDS.with(|guards| guards.replace(guards.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        forget_safely(payload);
        take_last()
    });
    GUARDS.with(|count| count.set(guards));
    result
}

/// Runs author's code whose outcome nobody waits for; tells a panic in the log.
pub(crate) fn guarded_quietly(what: &str, work: impl FnOnce()) {
    if let Err(error) = guarded(work) {
        log::error!("{what} {error:?}");
    }
}

/// Drops a panic's payload, which may itself panic in its drop.
fn forget_safely(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // Its drop may panic again, and so on: leaking it ends the chain.
        mem::forget(second);
    }
}

/// Marks that the kernel polls on this thread, for as long as it lives.
#[derive(Debug)]
pub(crate) struct InPoll {
    /// This thread's count: finding a thread-local of a library twice would cost a call each.
    polls: *const Cell<u32>,
}

impl InPoll {
    #[inline]
    pub(crate) fn enter() -> Self {
        POLLS.with(|polls| {
            polls.set(polls.get() + 1);
            Self { polls }
        })
    }

    /// Whether this thread is inside a poll of the kernel, where blocking is an error.
    pub(crate) fn now() -> bool {
        POLLS.with(Cell::get) > 0
    }
}

impl Drop for InPoll {
    fn drop(&mut self) {
        // SAFETY: the pointer keeps this value on its thread, whose thread-local needs no
        // destructor and so is there as long as the thread is.
        let polls = unsafe { &*self.polls };
        polls.set(polls.get() - 1);
    }
}

/// The panic hook of a plugin: keeps message and location for the error, prints nothing.
///
/// Printing a backtrace would leave a file mapped for ever.
pub(crate) fn panic_hook(info: &PanicHookInfo<'_>) {
    LAST.with(|last| {
        // SAFETY: only this thread uses it, and nothing called below comes back here: `Fixed`
        // writes bytes, and a panic while panicking ends the process.
        let text = unsafe { &mut *last.text.get() };
        let mut out = Fixed { text, length: 0 };
        if let Some(location) = info.location() {
            let _ = write!(
                out,
                "{}:{}:{}",
                location.file(),
                location.line(),
                location.column()
            );
        }
        last.location.set(out.length);
        let _ = out.write_str(message_of(info));
        last.length.set(out.length);
    });
    if GUARDS.with(Cell::get) == 0 {
        // A thread of the plugin's own: nobody else would tell.
        log::error!("a thread of the plugin {:?}", take_last());
    }
}

fn message_of<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str()
        .unwrap_or("a panic with a payload that is no text")
}

fn take_last() -> Error {
    LAST.with(|last| {
        // SAFETY: as in `panic_hook`; the reference ends before this function does.
        let text = unsafe { &*last.text.get() };
        let (location, message) = text[..last.length.replace(0)].split_at(last.location.replace(0));
        if message.is_empty() {
            // Another hook is installed, which keeps nothing for us.
            return Error::new(ErrorKind::Panicked, "panicked");
        }
        let message = String::from_utf8_lossy(message).into_owned();
        Error::new(ErrorKind::Panicked, format!("panicked: {message}"))
            .with_location(String::from_utf8_lossy(location))
    })
}

/// Writes into a fixed array; what does not fit is cut off.
struct Fixed<'a> {
    text: &'a mut [u8; KEPT],
    length: usize,
}

impl fmt::Write for Fixed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let fits = text.len().min(KEPT - self.length);
        self.text[self.length..self.length + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Bomb);
        }
    }

    #[test]
    fn a_payload_that_panics_for_ever_is_survived() {
        let error = guarded(|| std::panic::panic_any(Bomb)).expect_err("it panicked");
        assert_eq!(error.kind(), ErrorKind::Panicked);
    }

    #[test]
    fn polls_are_counted() {
        assert!(!InPoll::now());
        let poll = InPoll::enter();
        assert!(InPoll::now());
        drop(poll);
        assert!(!InPoll::now());
    }
}
