//! Wakers across the boundary: the host's as `core::task::Waker` here, and ours for the host.

use std::{
    mem::ManuallyDrop,
    task::{RawWaker, RawWakerVTable, Waker},
};

use octa_plugin_abi::{
    self as abi, WakerFunctions, WakerFunctions_Ref, WakerHead,
    abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef},
};

use crate::guard::guarded_quietly;

/// Uses the host's borrowed waker for the duration of `work`. Borrowing costs nothing;
/// cloning it asks the host.
pub(crate) fn with_waker<R>(waker: &abi::Waker, work: impl FnOnce(&Waker) -> R) -> R {
    let raw = RawWaker::new(waker.head.cast(), &BORROWED);
    // SAFETY: the functions keep the contract of `RawWaker`: they are those of the host, which
    // may be called from any thread while the waker is valid, and that is until `work` returns.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw) });
    work(&waker)
}

/// Lends a waker to the host for the duration of `work`.
pub(crate) fn lend_waker<R>(waker: &Waker, work: impl FnOnce(&abi::Waker) -> R) -> R {
    if std::ptr::eq(waker.vtable(), &BORROWED) || std::ptr::eq(waker.vtable(), &OWNED) {
        // It came from the host: hand it back as it was.
        return work(&abi::Waker {
            head: waker.data().cast(),
        });
    }
    let lent = Lent {
        head: WakerHead {
            functions: FUNCTIONS,
        },
        waker: ManuallyDrop::new(waker.clone()),
    };
    let result = work(&abi::Waker {
        head: &raw const lent.head,
    });
    drop(ManuallyDrop::into_inner(lent.waker));
    result
}

static BORROWED: RawWakerVTable = RawWakerVTable::new(clone, wake_by_ref, wake_by_ref, |_| {});
static OWNED: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

/// The functions of the host behind `data`.
fn host_functions(data: *const ()) -> WakerFunctions_Ref {
    // SAFETY: `data` is the head of a waker of the host that is valid now.
    unsafe { (*data.cast::<WakerHead>()).functions }
}

fn clone(data: *const ()) -> RawWaker {
    let owned = host_functions(data).retain()(abi::Waker { head: data.cast() });
    RawWaker::new(owned.head.cast(), &OWNED)
}

fn wake_by_ref(data: *const ()) {
    host_functions(data).wake()(abi::Waker { head: data.cast() });
}

fn wake(data: *const ()) {
    wake_by_ref(data);
    release(data);
}

fn release(data: *const ()) {
    host_functions(data).release()(abi::Waker { head: data.cast() });
}

/// A waker of the plugin's own (of its runtime, say), as the host sees it.
#[repr(C)]
struct Lent {
    head: WakerHead,
    waker: ManuallyDrop<Waker>,
}

const FUNCTIONS: WakerFunctions_Ref = {
    const TABLE: &WithMetadata<WakerFunctions> = &WithMetadata::new(WakerFunctions {
        retain: lent_retain,
        wake: lent_wake,
        release: lent_release,
    });
    WakerFunctions_Ref(
        // SAFETY: a constant, so it lives for ever.
        unsafe { StaticRef::from_raw(TABLE) }.as_prefix(),
    )
};

fn lent(waker: abi::Waker) -> *const Lent {
    waker.head.cast()
}

extern "C" fn lent_retain(waker: abi::Waker) -> abi::Waker {
    // SAFETY: a waker with these functions is the head of a `Lent` that is valid now.
    let inner = unsafe { &(*lent(waker)).waker };
    let mut copy = None;
    guarded_quietly("cloning a waker", || copy = Some(Waker::clone(inner)));
    let waker = ManuallyDrop::new(copy.unwrap_or_else(|| Waker::noop().clone()));
    let owned = Box::new(Lent {
        head: WakerHead {
            functions: FUNCTIONS,
        },
        waker,
    });
    abi::Waker {
        head: Box::into_raw(owned).cast(),
    }
}

extern "C" fn lent_wake(waker: abi::Waker) {
    // SAFETY: as in `lent_retain`.
    let inner = unsafe { &(*lent(waker)).waker };
    guarded_quietly("waking", || inner.wake_by_ref());
}

extern "C" fn lent_release(waker: abi::Waker) {
    // SAFETY: the host gives back what `lent_retain` boxed, once.
    let owned = unsafe { Box::from_raw(lent(waker).cast_mut()) };
    guarded_quietly("dropping a waker", || {
        drop(ManuallyDrop::into_inner(owned.waker))
    });
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn goes_there_and_back() {
        let count = Arc::new(Count::default());
        let waker = Waker::from(count.clone());
        let kept = lend_waker(&waker, |lent| {
            with_waker(lent, |there| {
                // Handed back, it is the same waker, not a wrapper around a wrapper.
                lend_waker(there, |back| assert_eq!(back.head, lent.head));
                there.wake_by_ref();
                there.clone()
            })
        });
        drop(waker);
        kept.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert_eq!(Arc::strong_count(&count), 1);
    }
}
