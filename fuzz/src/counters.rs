//! The counters of the ways that an input takes, shared with processes that are forked: what they
//! reach is seen here, however they end.

use std::{io, ptr};

unsafe extern "C" {
    /// The linker's names for the two ends of their section.
    static __start___sancov_cntrs: u8;
    static __stop___sancov_cntrs: u8;
}

/// Bytes of a page, here.
const PAGE: usize = 4096;

/// Puts shared memory in the place of the counters. Those at the two ends, which share a page with
/// something else, stay as they are.
///
/// # Errors
///
/// The system gives no memory.
///
/// # Panics
///
/// There are too few counters: the program was built without.
pub fn share() -> io::Result<()> {
    let begin = (&raw const __start___sancov_cntrs)
        .addr()
        .next_multiple_of(PAGE);
    let end = (&raw const __stop___sancov_cntrs).addr() / PAGE * PAGE;
    assert!(begin < end, "the counters fill no page");
    let place = (&raw const __start___sancov_cntrs)
        .with_addr(begin)
        .cast_mut();
    let bytes = end - begin;
    // SAFETY: the pages lie between the two ends, so they hold counters and nothing else, each of
    // which may have any value.
    let counted = unsafe { std::slice::from_raw_parts(place, bytes) }.to_vec();
    let (access, kind) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
    );
    // SAFETY: what was there are those counters, and counters are there afterwards.
    let mapped = unsafe { libc::mmap(place.cast(), bytes, access, kind, -1, 0) };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: they were mapped just now, and are as many.
    unsafe { ptr::copy_nonoverlapping(counted.as_ptr(), place, bytes) };
    Ok(())
}
