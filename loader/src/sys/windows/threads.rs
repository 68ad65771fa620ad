//! The threads of this process, and where they began.

use std::{ffi::c_void, io, ops::Range, ptr};

use windows_sys::{
    Wdk::System::Threading::{NtQueryInformationThread, ThreadQuerySetWin32StartAddress},
    Win32::{
        Foundation::{
            CloseHandle, ERROR_INVALID_PARAMETER, HANDLE, INVALID_HANDLE_VALUE,
            RtlNtStatusToDosError, WAIT_OBJECT_0,
        },
        System::{
            Diagnostics::ToolHelp::{
                CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First,
                Thread32Next,
            },
            Threading::{
                OpenThread, THREAD_QUERY_INFORMATION, THREAD_SYNCHRONIZE, WaitForSingleObject,
            },
        },
    },
};

/// A handle that is closed in the end.
struct Handle(HANDLE);

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: opened by who made this, and closed once.
        unsafe { CloseHandle(self.0) };
    }
}

/// How many threads of this process began in code that lies there.
pub(super) fn begun_in(span: &Range<usize>) -> io::Result<usize> {
    let mut count = 0;
    for thread in all()? {
        let start = start_of(thread)?;
        count += usize::from(start.is_some_and(|start| span.contains(&start)));
    }
    Ok(count)
}

/// The numbers of the threads of this process.
fn all() -> io::Result<Vec<u32>> {
    // SAFETY: asks for a list; 0 is this process, and does not matter for threads.
    let list = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if list == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    let list = Handle(list);
    let mut entry = THREADENTRY32 {
        dwSize: u32::try_from(size_of::<THREADENTRY32>()).unwrap_or(0),
        ..Default::default()
    };
    let mut threads = Vec::new();
    // SAFETY: a list of threads, and a place whose size is told in it.
    let mut is_there = unsafe { Thread32First(list.0, &raw mut entry) } != 0;
    while is_there {
        if entry.th32OwnerProcessID == std::process::id() {
            threads.push(entry.th32ThreadID);
        }
        // SAFETY: as above.
        is_there = unsafe { Thread32Next(list.0, &raw mut entry) } != 0;
    }
    Ok(threads)
}

/// Where a thread began; `None` if it has ended.
fn start_of(thread: u32) -> io::Result<Option<usize>> {
    // SAFETY: asks for a handle.
    let handle = unsafe { OpenThread(THREAD_QUERY_INFORMATION | THREAD_SYNCHRONIZE, 0, thread) };
    if handle.is_null() {
        let error = io::Error::last_os_error();
        let is_gone = error.raw_os_error() == Some(ERROR_INVALID_PARAMETER.cast_signed());
        return if is_gone { Ok(None) } else { Err(error) };
    }
    let handle = Handle(handle);
    let mut start: *mut c_void = ptr::null_mut();
    let size = u32::try_from(size_of::<*mut c_void>()).unwrap_or(0);
    // SAFETY: a thread's handle, and a place for an address, whose size is told.
    let status = unsafe {
        NtQueryInformationThread(
            handle.0,
            ThreadQuerySetWin32StartAddress,
            (&raw mut start).cast(),
            size,
            ptr::null_mut(),
        )
    };
    // SAFETY: a thread's handle; it is not waited for.
    let has_ended = unsafe { WaitForSingleObject(handle.0, 0) } == WAIT_OBJECT_0;
    match status {
        _ if has_ended => Ok(None),
        0.. => Ok(Some(start.addr())),
        // SAFETY: asks for nothing.
        _ => Err(io::Error::from_raw_os_error(
            unsafe { RtlNtStatusToDosError(status) }.cast_signed(),
        )),
    }
}
