//! Where nothing is seen of what plugins leave behind: their libraries stay mapped.

use std::{mem::ManuallyDrop, path::Path};

use libloading::Library;

use crate::{inside::Owner, unload::KeptCause};

/// A library that was opened, and is never closed.
pub(crate) struct Code {
    owner: Owner,
    library: ManuallyDrop<Library>,
}

impl Code {
    /// Opens a library: runs its constructors.
    pub(crate) fn open(path: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: runs the library's constructors, which is what accepting a plugin means.
        let library = unsafe { Library::new(path) }?;
        Ok(Self {
            owner: Owner::next(),
            library: ManuallyDrop::new(library),
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
        // SAFETY: the caller's promise.
        let symbol = unsafe { self.library.get::<T>(name) };
        symbol.ok().map(|symbol| *symbol)
    }

    /// Nothing enters it any more.
    pub(crate) fn retire(&self) {}

    /// Says why it stays.
    pub(crate) fn close(&self) -> Result<(), Vec<KeptCause>> {
        let cause = if cfg!(all(target_os = "linux", target_env = "gnu")) {
            KeptCause::NotInForce
        } else {
            KeptCause::Unsupported
        };
        Err(vec![cause])
    }
}

/// Does nothing: what plugins leave on threads is not known.
#[inline(always)]
pub(crate) fn after_plugin() {}
