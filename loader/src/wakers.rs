//! Wakers across the boundary: the host's for plugins, and those of plugins' own runtimes here.

use std::{
    mem::ManuallyDrop,
    sync::Arc,
    task::{Wake, Waker},
};

use octa_plugin_abi::{
    self as abi, WakerFunctions, WakerFunctions_Ref, WakerHead,
    abi_stable::{prefix_type::WithMetadata, sabi_types::StaticRef},
};

use crate::generation::Generation;

/// A waker of the host as a plugin sees it: the head, then the waker.
#[repr(C)]
struct Ours {
    head: WakerHead,
    waker: Waker,
}

/// Lends `waker` to a plugin for the duration of `work`.
#[inline(always)]
pub(crate) fn lend<R>(waker: &Waker, work: impl FnOnce(&abi::Waker) -> R) -> R {
    // SAFETY: a copy of the bits that is never dropped, used only while `waker` is borrowed.
    let copy = unsafe { std::ptr::read(waker) };
    let lent = ManuallyDrop::new(Ours {
        head: WakerHead {
            functions: FUNCTIONS,
        },
        waker: copy,
    });
    work(&abi::Waker {
        head: &raw const lent.head,
    })
}

/// Uses a waker that a plugin lent for the duration of `work`.
///
/// # Safety
///
/// `waker` is as `abi::Waker` describes it; if it is the plugin's own, its functions lie in
/// `generation`.
pub(crate) unsafe fn borrow<R>(
    waker: &abi::Waker,
    generation: &Arc<Generation>,
    work: impl FnOnce(&Waker) -> R,
) -> R {
    // SAFETY: the caller's promise.
    let functions = unsafe { (*waker.head).functions };
    if is_ours(functions) {
        // SAFETY: only this file makes wakers with these functions.
        return work(unsafe { &(*waker.head.cast::<Ours>()).waker });
    }
    let owned = functions.retain()(*waker);
    work(&Waker::from(Arc::new(Theirs {
        waker: owned,
        functions,
        generation: generation.clone(),
    })))
}

/// Another waker like one that the host lent.
///
/// # Safety
///
/// `waker` is lent by [`lend`] now.
#[cfg(target_os = "linux")]
pub(crate) unsafe fn of_host(waker: &abi::Waker) -> Waker {
    // SAFETY: the caller's promise.
    unsafe { (*waker.head.cast::<Ours>()).waker.clone() }
}

fn is_ours(functions: WakerFunctions_Ref) -> bool {
    std::ptr::fn_addr_eq(functions.wake(), FUNCTIONS.wake())
}

/// A waker of a plugin's own runtime: its functions lie in the plugin, so they are called only
/// while the plugin is sure to be there.
struct Theirs {
    waker: abi::Waker,
    functions: WakerFunctions_Ref,
    generation: Arc<Generation>,
}

// SAFETY: the functions of a waker may be called on any thread (`abi::WakerFunctions`).
unsafe impl Send for Theirs {}
// SAFETY: as for `Send`.
unsafe impl Sync for Theirs {}

impl Wake for Theirs {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.generation
            .while_there(|| self.functions.wake()(self.waker));
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        self.generation
            .while_there(|| self.functions.release()(self.waker));
    }
}

const FUNCTIONS: WakerFunctions_Ref = {
    const TABLE: &WithMetadata<WakerFunctions> = &WithMetadata::new(WakerFunctions {
        retain,
        wake,
        release,
    });
    WakerFunctions_Ref(
        // SAFETY: a constant, so it lives for ever.
        unsafe { StaticRef::from_raw(TABLE) }.as_prefix(),
    )
};

extern "C" fn retain(waker: abi::Waker) -> abi::Waker {
    // SAFETY: a waker with these functions is an `Ours` that is valid now.
    let copy = unsafe { (*waker.head.cast::<Ours>()).waker.clone() };
    let owned = Box::new(Ours {
        head: WakerHead {
            functions: FUNCTIONS,
        },
        waker: copy,
    });
    abi::Waker {
        head: Box::into_raw(owned).cast(),
    }
}

extern "C" fn wake(waker: abi::Waker) {
    // SAFETY: as in `retain`.
    unsafe { (*waker.head.cast::<Ours>()).waker.wake_by_ref() };
}

extern "C" fn release(waker: abi::Waker) {
    // SAFETY: the plugin gives back what `retain` boxed, once.
    drop(unsafe { Box::from_raw(waker.head.cast::<Ours>().cast_mut()) });
}
