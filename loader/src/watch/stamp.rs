//! What is seen of a file without opening it: enough to tell whether it is still the same.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

/// What is at a path, links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    Missing,
    Directory,
    File(Traits),
    /// Something that the system does not let us see.
    Hidden(io::ErrorKind),
}

/// What is at a path, and whether a link led to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) stamp: Stamp,
    pub(super) is_link: bool,
}

impl Sight {
    pub(super) fn of(path: &Path) -> Self {
        let found = fs::symlink_metadata(path);
        let is_link = found.as_ref().is_ok_and(Metadata::is_symlink);
        let found = if is_link { fs::metadata(path) } else { found };
        let stamp = match found {
            Ok(found) if found.is_dir() => Stamp::Directory,
            Ok(found) => Stamp::File(traits(&found)),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Stamp::Missing,
                kind => Stamp::Hidden(kind),
            },
        };
        Sight { stamp, is_link }
    }
}

/// File, size, and the times of its content and of its status. The latter finds a file that was
/// written in place with the times of another, as archives and `cp -p` do.
#[cfg(unix)]
type Traits = ((u64, u64), u64, (i64, i64), (i64, i64));

#[cfg(unix)]
fn traits(found: &Metadata) -> Traits {
    use std::os::unix::fs::MetadataExt as _;

    (
        (found.dev(), found.ino()),
        found.size(),
        (found.mtime(), found.mtime_nsec()),
        (found.ctime(), found.ctime_nsec()),
    )
}

/// Attributes, size, and the times of creation and of the last write.
#[cfg(windows)]
type Traits = (u32, u64, u64, u64);

#[cfg(windows)]
fn traits(found: &Metadata) -> Traits {
    use std::os::windows::fs::MetadataExt as _;

    (
        found.file_attributes(),
        found.file_size(),
        found.creation_time(),
        found.last_write_time(),
    )
}

/// Tells one directory from another at the same path, and finds the same under two paths.
#[cfg(unix)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

/// Tells one directory from another at the same path by the time when it was made.
#[cfg(windows)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    path: std::path::PathBuf,
    created: u64,
}

impl Identity {
    #[cfg(unix)]
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt as _;

        let found = fs::metadata(directory)?;
        Ok(Identity {
            device: found.dev(),
            inode: found.ino(),
        })
    }

    #[cfg(windows)]
    pub(super) fn of(directory: &Path) -> io::Result<Self> {
        use std::os::windows::fs::MetadataExt as _;

        let found = fs::metadata(directory)?;
        Ok(Identity {
            path: directory.to_owned(),
            created: found.creation_time(),
        })
    }
}
