//! Unix: owners and modes, and `flock`, which ends with its process however that ends.

use std::fs::{self, DirBuilder, File, FileType, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _,
    PermissionsExt as _,
};
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock};

use super::Exposure;

/// Opens a file for reading; a pipe is opened too, rather than waited for.
pub(crate) fn open_source(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

/// Names what a file is, with its article.
pub(crate) fn kind(file_type: FileType) -> &'static str {
    match file_type {
        kind if kind.is_dir() => "a directory",
        kind if kind.is_symlink() => "a symbolic link",
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        kind if kind.is_file() => "a regular file",
        _ => "something unknown",
    }
}

/// Says who else could change the file, if anybody.
pub(crate) fn exposure(metadata: &Metadata) -> Option<Exposure> {
    const OTHERS_WRITE: u32 = 0o022;
    let user = rustix::process::geteuid().as_raw();
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    let private = (owner == user || owner == 0) && mode & OTHERS_WRITE == 0;
    (!private).then_some(Exposure { owner, mode, user })
}

/// Creates a directory, and those above it, for the current user alone.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Takes the permissions of everybody else from a directory.
pub(crate) fn restrict_to_user(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))
}

/// Creates a file for the current user alone; it must not exist.
pub(crate) fn create_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Takes everybody's permission to write to a file that is open for writing, which it stays.
pub(crate) fn seal(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o400))
}

/// Opens a file or directory so that `sync_all` brings its content to the disk.
pub(crate) fn open_to_sync(path: &Path) -> io::Result<Option<File>> {
    File::open(path).map(Some)
}

/// Lets go of the lock on a file, whichever it is.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    file.unlock()
}

/// A lock file, held until it is dropped or its process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Creates a lock file and holds it; `None` if the name is taken, or was lost in a race.
    pub(crate) fn create(path: &Path) -> io::Result<Option<Self>> {
        let file = match create_private_file(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            file => file?,
        };
        Lock::hold(file, path)
    }

    /// Takes over a lock file that nobody holds any more; `None` if somebody does.
    pub(crate) fn take_over(path: &Path) -> io::Result<Option<Self>> {
        // Opened for writing, since network file systems lock nothing exclusively without.
        Lock::hold(OpenOptions::new().write(true).open(path)?, path)
    }

    /// Removes the lock file, and lets go.
    pub(crate) fn remove(self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Between opening and locking, another process may have taken the file for a leftover and
    /// removed it, and a third may have made one of the same name: then the lock is worth nothing.
    fn hold(file: File, path: &Path) -> io::Result<Option<Self>> {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let lock = Lock { file };
        Ok(lock.is_at(path)?.then_some(lock))
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let held = self.file.metadata()?;
        match fs::metadata(path) {
            Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Runs `work` on a thread of a user who is not root, whoever runs the tests.
#[cfg(all(test, target_os = "linux"))]
pub(crate) fn without_privileges<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    use rustix::process::Uid;

    let work = || {
        if rustix::process::geteuid().is_root() {
            let nobody = Uid::from_raw(65534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("another user");
        }
        work()
    };
    std::thread::scope(|scope| scope.spawn(work).join().expect("no panic"))
}
