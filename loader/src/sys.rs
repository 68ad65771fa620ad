//! What differs by platform: who may change a file, private directories, locks, what reaches the
//! disk.
//!
//! The extension of libraries comes from the standard library; opening them is not here.

use std::path::Path;
use std::{fs, io};

#[cfg(all(feature = "unload", target_os = "linux", target_env = "gnu"))]
mod glibc;
#[cfg(unix)]
mod unix;
#[cfg(not(any(
    windows,
    all(feature = "unload", target_os = "linux", target_env = "gnu")
)))]
mod unseen;
#[cfg(windows)]
mod windows;

#[cfg(all(feature = "unload", target_os = "linux", target_env = "gnu"))]
pub(crate) use glibc::{Code, after_plugin};
#[cfg(all(test, target_os = "linux"))]
pub(crate) use unix::without_privileges;
#[cfg(unix)]
pub(crate) use unix::{
    Lock, create_private_file, exposure, kind, open_source, open_to_sync, seal, unlock,
};
#[cfg(not(any(
    windows,
    all(feature = "unload", target_os = "linux", target_env = "gnu")
)))]
pub(crate) use unseen::{Code, after_plugin};
#[cfg(windows)]
pub(crate) use windows::{
    Code, Lock, after_plugin, create_private_file, exposure, kind, open_source, open_to_sync, seal,
    unlock,
};

#[cfg(unix)]
use unix::{create_private_dir, restrict_to_user};
#[cfg(windows)]
use windows::{create_private_dir, restrict_to_user};

/// Who, beside the current user and root, could change a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exposure {
    pub(crate) owner: u32,
    pub(crate) mode: u32,
    pub(crate) user: u32,
}

/// The number of this thread in the system, where it has one.
pub(crate) fn thread_number() -> Option<u64> {
    #[cfg(target_os = "linux")]
    return u64::try_from(rustix::thread::gettid().as_raw_pid()).ok();
    #[cfg(windows)]
    return Some(windows::thread_number());
    #[cfg(not(any(target_os = "linux", windows)))]
    None
}

/// Whether there is no thread of this number any more, for sure.
pub(crate) fn has_thread_ended(number: u64) -> bool {
    cfg!(target_os = "linux") && !Path::new(&format!("/proc/self/task/{number}")).exists()
}

/// Makes a directory for the current user alone, and says if it belongs to somebody else.
pub(crate) fn prepare_private_dir(directory: &Path) -> io::Result<Option<Exposure>> {
    create_private_dir(directory)?;
    restrict_to_user(directory)?;
    Ok(exposure(&fs::metadata(directory)?))
}
