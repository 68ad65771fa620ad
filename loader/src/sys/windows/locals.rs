//! The places of thread-locals that libraries took from the system. A process has 1,088 of them,
//! and what Rust builds with the GNU tools does not give its own back when it is unmapped: after
//! some hundred reloads there would be none left, which ends the process.

use std::{
    ffi::c_void,
    ops::Range,
    ptr,
    sync::atomic::{AtomicUsize, Ordering},
};

use parking_lot::Mutex;
use windows_sys::{
    Win32::System::{
        Diagnostics::Debug::RtlCaptureStackBackTrace,
        Memory::{PAGE_READWRITE, VirtualProtect},
        Threading::{TLS_OUT_OF_INDEXES, TlsAlloc, TlsFree},
    },
    core::BOOL,
};

use super::imports::Imports;

/// How many callers are looked at: the library that takes a place is the first or second.
const CALLERS: usize = 4;

/// A place, and who took it.
struct Taken {
    place: u32,
    callers: [*mut c_void; CALLERS],
}

// SAFETY: the callers are compared, and nothing is read there.
unsafe impl Send for Taken {}

/// A lock: places are taken a few times in the life of a library.
static TAKEN: Mutex<Vec<Taken>> = Mutex::new(Vec::new());

/// Has a library take its places here from now on.
///
/// # Safety
///
/// The library with these imports is mapped there.
pub(super) unsafe fn watch(module: *mut u8, imports: &Imports) {
    let alloc: unsafe extern "system" fn() -> u32 = take;
    let free: unsafe extern "system" fn(u32) -> BOOL = give_back;
    // Both or none: a place that is given back elsewhere would be given back twice.
    if let (Some(to_alloc), Some(to_free)) = (imports.tls_alloc, imports.tls_free) {
        // SAFETY: the caller's promise; the function does what the one it stands for does.
        unsafe { redirect(module.wrapping_add(to_free), free as usize) };
        // SAFETY: as above.
        unsafe { redirect(module.wrapping_add(to_alloc), alloc as usize) };
    }
}

/// Gives back what code that lay there took and did not give back.
pub(super) fn clear(span: &Range<usize>) {
    let within = |taken: &mut Taken| {
        let mut callers = taken.callers.iter();
        callers.any(|caller| span.contains(&caller.addr()))
    };
    let left: Vec<_> = TAKEN.lock().extract_if(.., within).collect();
    for taken in left {
        // SAFETY: taken, and not given back; who took it is unmapped.
        unsafe { TlsFree(taken.place) };
    }
}

/// Stands for `TlsAlloc`.
unsafe extern "system" fn take() -> u32 {
    // SAFETY: asks for nothing.
    let place = unsafe { TlsAlloc() };
    if place != TLS_OUT_OF_INDEXES {
        let mut callers = [ptr::null_mut(); CALLERS];
        // SAFETY: there is room for as many as are asked for.
        unsafe {
            RtlCaptureStackBackTrace(0, CALLERS as u32, callers.as_mut_ptr(), ptr::null_mut())
        };
        TAKEN.lock().push(Taken { place, callers });
    }
    place
}

/// Stands for `TlsFree`.
unsafe extern "system" fn give_back(place: u32) -> BOOL {
    // First, since somebody else may take it as soon as it is free.
    TAKEN.lock().retain(|taken| taken.place != place);
    // SAFETY: what the caller promises.
    unsafe { TlsFree(place) }
}

/// Puts the address of a function where a library looks for another.
///
/// # Safety
///
/// The library is mapped, it looks there, and it may call the function instead.
unsafe fn redirect(slot: *mut u8, function: usize) {
    let slot = slot.cast::<usize>();
    let mut before = 0;
    // SAFETY: pages of the library, which are made writable beside being readable.
    let changed = unsafe {
        VirtualProtect(
            slot.cast(),
            size_of::<usize>(),
            PAGE_READWRITE,
            &raw mut before,
        )
    };
    if changed == 0 {
        return;
    }
    // SAFETY: the slot is aligned, was made writable, and is read by the processor as a whole.
    let shared = unsafe { AtomicUsize::from_ptr(slot) };
    shared.store(function, Ordering::Release);
    // SAFETY: as they were.
    unsafe { VirtualProtect(slot.cast(), size_of::<usize>(), before, &raw mut before) };
}
