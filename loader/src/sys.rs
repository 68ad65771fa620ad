//! What differs by platform: who may change a file, private directories, locks.
//!
//! The extension of libraries comes from the standard library; opening them is not here.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(all(test, target_os = "linux"))]
pub(crate) use unix::without_privileges;
#[cfg(unix)]
pub(crate) use unix::{
    Lock, create_private_dir, create_private_file, exposure, kind, open_source, restrict_to_user,
};
#[cfg(windows)]
pub(crate) use windows::{
    Lock, create_private_dir, create_private_file, exposure, kind, open_source, restrict_to_user,
};

/// Who, beside the current user and root, could change a file or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exposure {
    pub(crate) owner: u32,
    pub(crate) mode: u32,
    pub(crate) user: u32,
}
