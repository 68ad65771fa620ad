//! Knows whose code runs on this thread: the host's, or that of a plugin which the host called.

use std::{
    cell::Cell,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    presence::{self, Errand, Mark},
    sys,
};

/// Whose code it is: the process's, or that of one library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner(u32);

impl Owner {
    /// The host, and all libraries that stay.
    pub(crate) const PROCESS: Self = Self(0);

    /// A new one.
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn numbered(number: u32) -> Self {
        Self(number)
    }
}

thread_local! {
    /// None until code of a plugin first runs on this thread, or calls the host.
    static MARK: Cell<Option<&'static Mark>> = const { Cell::new(None) };
}

/// An entry, until it is dropped, however that comes.
struct Inside(&'static Mark);

impl Inside {
    #[inline(always)]
    fn enter(owner: Owner, errand: Errand) -> Self {
        let mark = MARK.get().unwrap_or_else(attach);
        mark.enter(owner, errand);
        Self(mark)
    }
}

impl Drop for Inside {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[cold]
#[inline(never)]
fn attach() -> &'static Mark {
    let mark = presence::attach();
    MARK.set(Some(mark));
    mark
}

/// The mark of this thread is another thread's from now on.
pub(crate) fn forget_mark() {
    MARK.set(None);
}

/// Runs code of a plugin, for the host.
#[inline(always)]
pub(crate) fn call<R>(owner: Owner, errand: Errand, work: impl FnOnce() -> R) -> R {
    let inside = Inside::enter(owner, errand);
    presence::knock();
    let result = work();
    drop(inside);
    sys::after_plugin();
    result
}

/// Runs code of the host, for a plugin.
#[inline(always)]
pub(crate) fn host<R>(work: impl FnOnce() -> R) -> R {
    run(Owner::PROCESS, Errand::NONE, work)
}

/// Runs code of an owner.
#[inline(always)]
pub(crate) fn run<R>(owner: Owner, errand: Errand, work: impl FnOnce() -> R) -> R {
    let _inside = Inside::enter(owner, errand);
    work()
}

/// Whether the host called the code that runs on this thread; false on a plugin's own threads.
pub(crate) fn called_by_host() -> bool {
    owners().any(|running| running != Owner::PROCESS)
}

/// Whose code runs on this thread since the host called a plugin on it or a plugin the host,
/// from the innermost on.
pub(crate) fn owners() -> impl Iterator<Item = Owner> {
    MARK.get().map(Mark::owners).into_iter().flatten()
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
        call(one, Errand::call(0), || {
            check(&[one], true);
            host(|| {
                check(&[Owner::PROCESS, one], true);
                call(other, Errand::call(1), || {
                    check(&[other, Owner::PROCESS, one], true)
                });
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
