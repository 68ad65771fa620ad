//! The floor of calls: a bare table of functions in a library of its own, opened without a
//! question; and that of reloads: any library, copied and opened in the same way. What a kernel
//! adds around them is what the benchmark measures.

#![expect(
    unsafe_code,
    reason = "it opens a library, and is one: no safe floor is as low"
)]

use std::{error::Error, fmt, fs, path::Path};

use abi_stable::{
    StableAbi,
    prefix_type::PrefixTypeTrait,
    std_types::{RSlice, RVec},
};
use libloading::Library;

/// What the library offers.
#[repr(C)]
#[derive(StableAbi, Debug)]
#[sabi(kind(Prefix(prefix_ref = TableRef)))]
#[sabi(missing_field(panic))]
pub struct Table {
    /// Copies the bytes into a vector of its own.
    #[sabi(last_prefix_field)]
    pub echo: extern "C" fn(bytes: RSlice<'_, u8>) -> RVec<u8>,
}

extern "C" fn echo(bytes: RSlice<'_, u8>) -> RVec<u8> {
    bytes.as_slice().to_vec().into()
}

/// The table of this library.
#[unsafe(export_name = "octa_bench_table")]
pub extern "C" fn table() -> TableRef {
    Table { echo }.leak_into_prefix()
}

/// The library, opened.
pub struct Floor {
    table: TableRef,
    /// Keeps the functions of the table where they are.
    _library: Library,
}

impl Floor {
    /// Opens the library at `path`, which is trusted to be this one.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or is another.
    pub fn open(path: &Path) -> Result<Self, libloading::Error> {
        // SAFETY: the library is this crate, which runs nothing when it is opened.
        let library = unsafe { Library::new(path) }?;
        // SAFETY: `table` above is what this crate exports under the name.
        let table = unsafe { library.get::<extern "C" fn() -> TableRef>("octa_bench_table") }?;
        let table = table();
        Ok(Self {
            table,
            _library: library,
        })
    }

    /// Calls the library's function.
    pub fn echo(&self, bytes: &[u8]) -> RVec<u8> {
        self.table.echo()(bytes.into())
    }
}

/// A library that was copied and opened, and nothing more; dropping it closes it.
pub struct Opened {
    _library: Library,
}

impl Opened {
    /// Copies the library at `path`, which is trusted, and opens the copy.
    ///
    /// # Errors
    ///
    /// If it cannot be copied or opened.
    pub fn copy_of(path: &Path, copy: &Path) -> Result<Self, Box<dyn Error + Send + Sync>> {
        fs::copy(path, copy)?;
        // SAFETY: the library is a plugin of the benchmark, which runs nothing when it is opened.
        let library = unsafe { Library::new(copy) }?;
        Ok(Self { _library: library })
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened")
    }
}

impl fmt::Debug for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Floor")
    }
}
