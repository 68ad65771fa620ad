//! Knows whether this thread is inside a plugin's code that the host called.

use std::cell::Cell;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Runs code of a plugin.
#[inline(always)]
pub(crate) fn plugin<R>(work: impl FnOnce() -> R) -> R {
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    // Nothing unwinds out of a plugin, so no guard is needed to count down.
    let result = work();
    DEPTH.with(|depth| depth.set(depth.get() - 1));
    result
}

/// Whether the host called the code that runs on this thread; false on a plugin's own threads.
pub(crate) fn called_by_host() -> bool {
    DEPTH.with(Cell::get) > 0
}
