//! The atomics and locks of what threads share here without one lock around all of it. Files that
//! name them by this module are also compiled, unchanged, into the checker of interleavings
//! (`models`), which has its own.

pub(crate) use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
#[cfg(unix)]
pub(crate) use std::sync::atomic::{AtomicU64, fence};

pub(crate) use parking_lot::Mutex;
#[cfg(unix)]
pub(crate) use parking_lot::MutexGuard;
