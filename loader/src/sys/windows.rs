//! Windows: access lists of the user's own directories protect files, and a file that is opened
//! without sharing is a lock, which ends with its process however that ends.

mod code;
mod imports;
mod locals;
mod modules;
mod threads;

use std::fs::{self, DirBuilder, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::windows::{fs::OpenOptionsExt as _, io::AsRawHandle as _};
use std::path::Path;

use windows_sys::Win32::{Storage::FileSystem::UnlockFile, System::Threading::GetCurrentThreadId};

pub(crate) use self::code::{Code, after_plugin};
use super::Exposure;

/// `ERROR_SHARING_VIOLATION`: somebody has the file open and does not share it.
const SHARING_VIOLATION: i32 = 32;

/// The number of this thread.
pub(crate) fn thread_number() -> u64 {
    // SAFETY: asks for a number, and touches nothing.
    u64::from(unsafe { GetCurrentThreadId() })
}

/// Opens a file for reading.
pub(crate) fn open_source(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Names what a file is, with its article.
pub(crate) fn kind(file_type: FileType) -> &'static str {
    match file_type {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_file() => "a regular file",
        _ => "something unknown",
    }
}

/// Says who else could change the file, if anybody; access lists are not read.
pub(crate) fn exposure(_: &Metadata) -> Option<Exposure> {
    None
}

/// Creates a directory, and those above it; it inherits the access list of its parent.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).create(path)
}

/// Leaves the inherited access list as it is.
pub(crate) fn restrict_to_user(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Creates a file; it must not exist.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Leaves a file as it is: one that is read-only could not be removed.
pub(crate) fn seal(_: &File) -> io::Result<()> {
    Ok(())
}

/// Opens a file so that `sync_all` brings its content to the disk, which asks for writing.
/// Directories cannot be synced: the file system keeps a journal of names.
pub(crate) fn open_to_sync(path: &Path) -> io::Result<Option<File>> {
    if fs::metadata(path)?.is_dir() {
        return Ok(None);
    }
    OpenOptions::new().write(true).open(path).map(Some)
}

/// Lets go of the lock on a file, of which there must be one, shared or not.
///
/// The standard library unlocks a second time, in case there are both, and Wine answers that in
/// another way than Windows.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    // SAFETY: asks for nothing but a handle; the whole file is what the standard library locks.
    let unlocked = unsafe { UnlockFile(file.as_raw_handle(), 0, 0, u32::MAX, u32::MAX) };
    match unlocked {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// A lock file, held until it is dropped or its process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Creates a lock file and holds it; `None` if the name is taken.
    pub(crate) fn create(path: &Path) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        match options
            .write(true)
            .create_new(true)
            .share_mode(0)
            .open(path)
        {
            Ok(file) => Ok(Some(Lock { _file: file })),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes over a lock file that nobody holds any more; `None` if somebody does.
    pub(crate) fn take_over(path: &Path) -> io::Result<Option<Self>> {
        match OpenOptions::new().write(true).share_mode(0).open(path) {
            Ok(file) => Ok(Some(Lock { _file: file })),
            Err(error) if error.raw_os_error() == Some(SHARING_VIOLATION) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets go, and removes the lock file: what is open without sharing cannot be removed.
    pub(crate) fn remove(self, path: &Path) -> io::Result<()> {
        drop(self);
        fs::remove_file(path)
    }
}
