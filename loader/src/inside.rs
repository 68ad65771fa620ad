//! Knows whose code runs on this thread: the host's, or that of a plugin which the host called.

use std::{
    cell::Cell,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::sys;

/// Whose code it is: the process's, or that of one library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner(u64);

impl Owner {
    /// The host, and all libraries that stay.
    pub(crate) const PROCESS: Self = Self(0);

    /// A new one.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A stretch of the stack that runs the code of one owner. It lies in the stack frame of the
/// function that entered the code, and is unlinked before that returns, however it does.
struct Stretch {
    owner: Owner,
    below: *const Stretch,
}

impl Drop for Stretch {
    #[inline(always)]
    fn drop(&mut self) {
        TOP.set(self.below);
    }
}

thread_local! {
    static TOP: Cell<*const Stretch> = const { Cell::new(ptr::null()) };
}

/// Runs code of a plugin, for the host.
#[inline(always)]
pub(crate) fn call<R>(owner: Owner, work: impl FnOnce() -> R) -> R {
    let result = run(owner, work);
    sys::after_plugin();
    result
}

/// Runs code of the host, for a plugin.
#[inline(always)]
pub(crate) fn host<R>(work: impl FnOnce() -> R) -> R {
    run(Owner::PROCESS, work)
}

/// Runs code of an owner.
#[inline(always)]
pub(crate) fn run<R>(owner: Owner, work: impl FnOnce() -> R) -> R {
    let stretch = Stretch {
        owner,
        below: TOP.get(),
    };
    TOP.set(&raw const stretch);
    work()
}

/// Whether the host called the code that runs on this thread; false on a plugin's own threads.
pub(crate) fn called_by_host() -> bool {
    owners().any(|running| running != Owner::PROCESS)
}

/// Whose code runs on this thread since the host called a plugin on it or a plugin the host,
/// from the innermost on.
pub(crate) fn owners() -> impl Iterator<Item = Owner> {
    let mut next = TOP.get();
    std::iter::from_fn(move || {
        // SAFETY: null, or a stretch of this thread that is linked, so its function has not
        // returned; and the iterator does not leave the thread, since pointers do not.
        let stretch = unsafe { next.as_ref() }?;
        next = stretch.below;
        Some(stretch.owner)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_who_called_whom() {
        let (one, other) = (Owner::next(), Owner::next());
        let check = |expect: &[Owner], called: bool| {
            assert_eq!(owners().collect::<Vec<_>>(), expect);
            assert_eq!(called_by_host(), called);
        };
        check(&[], false);
        call(one, || {
            check(&[one], true);
            host(|| {
                check(&[Owner::PROCESS, one], true);
                call(other, || check(&[other, Owner::PROCESS, one], true));
            });
            check(&[one], true);
        });
        // On a thread of the plugin's own.
        host(|| check(&[Owner::PROCESS], false));
        check(&[], false);
    }

    #[test]
    fn a_panic_leaves_nothing_behind() {
        let panicked = std::panic::catch_unwind(|| host(|| panic!("as intended")));
        assert!(panicked.is_err());
        assert_eq!(owners().count(), 0);
    }
}
