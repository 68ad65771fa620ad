//! What the product's files call `crate::sync`: as there, but each step of it is one that the
//! checker may put another thread's before.

#[expect(dead_code, reason = "they are all alike, whatever is used of each")]
mod atomics;
mod locks;
mod notify;
mod queue;

pub(crate) use loom::{
    sync::atomic::{Ordering, fence},
    thread::yield_now,
};

pub(crate) use atomics::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Fences};
pub(crate) use locks::{Condvar, Mutex, MutexGuard};
pub(crate) use notify::{Notify, OwnedNotified};
pub(crate) use queue::SegQueue;
