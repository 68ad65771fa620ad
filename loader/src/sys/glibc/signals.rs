//! Which signals are handled by code at given addresses.

use std::{mem::MaybeUninit, ops::Range, ptr};

use libc::{SIG_DFL, SIG_IGN, c_int, sigaction};

/// The last signal there is.
const LAST: c_int = 64;

/// The first signal whose handler lies in one of `spans`.
pub(super) fn handled_in(spans: &[Range<usize>]) -> Option<c_int> {
    (1..=LAST).find(|signal| {
        let handler = handler(*signal);
        handler.is_some_and(|handler| spans.iter().any(|span| span.contains(&handler)))
    })
}

fn handler(signal: c_int) -> Option<usize> {
    let mut action = MaybeUninit::<sigaction>::uninit();
    // SAFETY: only asks, into a place of the right size.
    let code = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    if code != 0 {
        return None;
    }
    // SAFETY: filled in just now.
    let handler = unsafe { action.assume_init() }.sa_sigaction;
    (handler != SIG_DFL && handler != SIG_IGN).then_some(handler)
}
