//! The code of one library, from its opening until it is unmapped.
//!
//! Thread-locals need nothing here: Windows tells a library of the end of threads while it is
//! loaded, and calls nothing of it afterwards. What a plugin left on other threads is lost.

use std::{mem::ManuallyDrop, ops::Range, path::Path, ptr};

use libloading::os::windows::Library;
use parking_lot::Mutex;
use windows_sys::Win32::{
    Foundation::HMODULE,
    System::{
        LibraryLoader::{
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
            GetModuleHandleExW,
        },
        ProcessStatus::{K32GetModuleInformation, MODULEINFO},
        Threading::GetCurrentProcess,
    },
};

use super::threads;
use crate::{
    inside::{self, Owner},
    unload::KeptCause,
};

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
    /// Whether it was closed and is still there.
    stays: bool,
}

impl Code {
    /// Opens a library: runs its constructors.
    pub(crate) fn open(path: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: runs the library's constructors, which is what accepting a plugin means.
        let library = unsafe { Library::new(path) }?;
        let module = library.into_raw();
        // SAFETY: just taken from a library, which is made again of it, once.
        let library = unsafe { Library::from_raw(module) };
        let state = State {
            library: Some(ManuallyDrop::new(library)),
            span: span_of(ptr::with_exposed_provenance_mut(module.cast_unsigned())),
            stays: false,
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
        if state.stays {
            return Err(vec![KeptCause::StillMapped]);
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
        let closed = inside::run(self.owner, || ManuallyDrop::into_inner(library).close());
        state.stays = closed.is_err() || is_mapped(state.span.start);
        if state.stays {
            return Err(vec![KeptCause::StillMapped]);
        }
        Ok(())
    }
}

/// Where a module lies; nowhere, if the system does not tell.
fn span_of(module: HMODULE) -> Range<usize> {
    let mut info = MODULEINFO {
        lpBaseOfDll: ptr::null_mut(),
        SizeOfImage: 0,
        EntryPoint: ptr::null_mut(),
    };
    let size = u32::try_from(size_of::<MODULEINFO>()).unwrap_or(0);
    // SAFETY: asks for nothing but a pseudo handle.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: a module of this process, and a place of the size that is told.
    unsafe { K32GetModuleInformation(process, module, &raw mut info, size) };
    let start = module.addr();
    start..start + info.SizeOfImage as usize
}

fn is_mapped(address: usize) -> bool {
    let mut module = ptr::null_mut();
    let flags =
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    let address = ptr::without_provenance(address);
    // SAFETY: with these flags, the name is an address, which is not read.
    unsafe { GetModuleHandleExW(flags, address, &raw mut module) != 0 }
}

/// Does nothing: what a library leaves on threads is its own affair here.
#[inline(always)]
pub(crate) fn after_plugin() {}
