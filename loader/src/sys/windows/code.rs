//! The code of one library, from its opening until it is unmapped.
//!
//! Destructors of thread-locals need nothing here: Windows tells a library of the end of threads
//! while it is loaded, and calls nothing of it afterwards. What a plugin left on other threads is
//! lost, but for its places.

use std::{io, mem::ManuallyDrop, ops::Range, path::Path, ptr};

use libloading::os::windows::Library;
use parking_lot::Mutex;

use super::{
    imports::Imports,
    locals,
    modules::{self, Begins},
    threads,
};
use crate::{
    inside::{self, Owner},
    presence::{Errand, Step},
    unload::KeptCause,
};

/// Held while a library is opened, so that what comes meanwhile comes with it.
static OPENING: Mutex<()> = Mutex::new(());

/// A library that was opened. Dropping this leaves it mapped.
pub(crate) struct Code {
    owner: Owner,
    state: Mutex<State>,
}

struct State {
    /// `None` once it is unmapped.
    library: Option<ManuallyDrop<Library>>,
    /// Where it lies.
    span: Range<usize>,
    /// Why it will stay for good.
    stays: Option<KeptCause>,
}

impl Code {
    /// Opens a library: runs its constructors.
    pub(crate) fn open(path: &Path) -> Result<Self, libloading::Error> {
        let _one_at_a_time = OPENING.lock();
        let before = modules::mapped();
        // SAFETY: runs the library's constructors, which is what accepting a plugin means.
        let library = unsafe { Library::new(path) }?;
        let module = library.into_raw();
        // SAFETY: just taken from a library, which is made again of it, once.
        let library = unsafe { Library::from_raw(module) };
        let module = ptr::with_exposed_provenance_mut(module.cast_unsigned());
        let span = modules::span_of(module);
        let state = State {
            library: Some(ManuallyDrop::new(library)),
            stays: brought(before, span.start).or_else(|| watched(path, module.cast())),
            span,
        };
        Ok(Self {
            owner: Owner::next(),
            state: Mutex::new(state),
        })
    }

    /// Whose code it is.
    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    /// A copy of what it exports under this name, which ends with a zero.
    ///
    /// # Safety
    ///
    /// What is exported is a `T`.
    pub(crate) unsafe fn exported<T: Copy>(&self, name: &[u8]) -> Option<T> {
        let state = self.state.lock();
        // SAFETY: the caller's promise.
        let symbol = unsafe { state.library.as_ref()?.get::<T>(name) };
        symbol.ok().map(|symbol| *symbol)
    }

    /// Nothing enters it any more.
    pub(crate) fn retire(&self) {}

    /// Closes it, if no thread is left that began in it; after [`retire`](Self::retire).
    pub(crate) fn close(&self) -> Result<(), Vec<KeptCause>> {
        let mut state = self.state.lock();
        if let Some(cause) = &state.stays {
            return Err(vec![cause.clone()]);
        }
        let mut causes = Vec::new();
        if inside::owners().any(|owner| owner == self.owner) {
            causes.push(KeptCause::Entered(1));
        }
        match threads::begun_in(&state.span) {
            Ok(0) => {}
            Ok(count) => causes.push(KeptCause::Threads(count)),
            Err(error) => {
                log::warn!("the threads of this process cannot be listed: {error}");
                causes.push(KeptCause::Unsupported);
            }
        }
        if !causes.is_empty() {
            return Err(causes);
        }
        let Some(library) = state.library.take() else {
            return Ok(());
        };
        let closed = inside::run(self.owner, Errand::step(Step::Unload), || {
            ManuallyDrop::into_inner(library).close()
        });
        if closed.is_err() || modules::is_mapped(state.span.start) {
            state.stays = Some(KeptCause::StillMapped);
            return Err(vec![KeptCause::StillMapped]);
        }
        locals::clear(&state.span);
        Ok(())
    }
}

/// Keeps the libraries that came along with the one that begins at `own`: they may have threads
/// too, and others may come to need them. Says why that one stays, if they cannot be told.
fn brought(before: io::Result<Begins>, own: usize) -> Option<KeptCause> {
    let (Ok(before), Ok(now)) = (before, modules::mapped()) else {
        return Some(KeptCause::Unsupported);
    };
    let come = now.difference(&before).filter(|begin| **begin != own);
    come.for_each(|begin| modules::pin(*begin));
    None
}

/// Watches what a library takes. Says why it stays, if not all it may do can be seen.
fn watched(path: &Path, module: *mut u8) -> Option<KeptCause> {
    let Some(imports) = Imports::of(path) else {
        return Some(KeptCause::Unsupported);
    };
    // SAFETY: the library was opened from this file, which nobody else writes to.
    unsafe { locals::watch(module, &imports) };
    let function = imports.unseen?;
    Some(KeptCause::Unseen { function })
}

/// Does nothing: what a library leaves on threads is its own affair here.
#[inline(always)]
pub(crate) fn after_plugin() {}
