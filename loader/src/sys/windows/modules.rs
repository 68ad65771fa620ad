//! The libraries that are mapped.

use std::{collections::HashSet, io, ops::Range, ptr};

use windows_sys::Win32::{
    Foundation::HMODULE,
    System::{
        LibraryLoader::{
            GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN,
            GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, GetModuleHandleExW,
        },
        ProcessStatus::{K32EnumProcessModules, K32GetModuleInformation, MODULEINFO},
        Threading::GetCurrentProcess,
    },
};

/// Where libraries begin.
pub(super) type Begins = HashSet<usize>;

/// All libraries of this process.
pub(super) fn mapped() -> io::Result<Begins> {
    let mut modules: Vec<HMODULE> = vec![ptr::null_mut(); 256];
    loop {
        let room = size_of_val(&modules[..]);
        let mut needed = 0;
        // SAFETY: asks for nothing; a pseudo handle.
        let process = unsafe { GetCurrentProcess() };
        // SAFETY: a place for modules, whose size is told.
        let listed = unsafe {
            K32EnumProcessModules(
                process,
                modules.as_mut_ptr(),
                u32::try_from(room).unwrap_or(u32::MAX),
                &raw mut needed,
            )
        };
        if listed == 0 {
            return Err(io::Error::last_os_error());
        }
        let count = needed as usize / size_of::<HMODULE>();
        if count <= modules.len() {
            modules.truncate(count);
            return Ok(modules.iter().map(|module| module.addr()).collect());
        }
        modules.resize(count * 2, ptr::null_mut());
    }
}

/// Where a library lies; nowhere, if the system does not tell.
pub(super) fn span_of(module: HMODULE) -> Range<usize> {
    let mut info = MODULEINFO {
        lpBaseOfDll: ptr::null_mut(),
        SizeOfImage: 0,
        EntryPoint: ptr::null_mut(),
    };
    let size = u32::try_from(size_of::<MODULEINFO>()).unwrap_or(0);
    // SAFETY: asks for nothing; a pseudo handle.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: a module of this process, and a place of the size that is told.
    unsafe { K32GetModuleInformation(process, module, &raw mut info, size) };
    let start = module.addr();
    start..start + info.SizeOfImage as usize
}

/// Whether a library lies there.
pub(super) fn is_mapped(address: usize) -> bool {
    find(address, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT)
}

/// Keeps the library that lies there until the process ends.
pub(super) fn pin(address: usize) {
    find(address, GET_MODULE_HANDLE_EX_FLAG_PIN);
}

fn find(address: usize, flag: u32) -> bool {
    let mut module = ptr::null_mut();
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | flag;
    let address = ptr::without_provenance(address);
    // SAFETY: with these flags, the name is an address, which is not read.
    unsafe { GetModuleHandleExW(flags, address, &raw mut module) != 0 }
}
