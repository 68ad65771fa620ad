//! The atomics, locks and queues of what threads share here without one lock around all of it.
//! Files that name them by this module are also compiled, unchanged, into the checker of
//! interleavings (`models`), which has its own.

pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    thread::yield_now,
};

pub(crate) use crossbeam_queue::SegQueue;
pub(crate) use parking_lot::{Condvar, Mutex};
pub(crate) use tokio::sync::{Notify, futures::OwnedNotified};
