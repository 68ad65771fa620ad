//! Why the store cannot do what it is asked.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::hash::ContentHash;
use crate::inspect::InspectError;
use crate::name::NameError;
use crate::source::SourceError;

/// What keeps the store from taking something in, finding it again or recording it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A directory cannot be made or listed.
    #[error("directory `{}` of the store cannot be used", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A directory belongs to somebody else.
    #[error(
        "directory `{}` of the store belongs to user {owner}, expected user {user} or root",
        path.display()
    )]
    ForeignDirectory {
        /// The directory.
        path: PathBuf,
        /// The user id that it belongs to.
        owner: u32,
        /// The user id that the kernel runs as.
        user: u32,
    },
    /// The lock files cannot be made or held.
    #[error("store `{}` cannot be locked", path.display())]
    Lock {
        /// The directory of the store.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file to be kept cannot be read, or is not acceptable any more.
    #[error("plugin file `{}` cannot be kept", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: SourceError,
    },
    /// The file to be kept is not what was inspected.
    #[error(
        "plugin file `{}` has changed since it was inspected: found content `{}`, expected `{}`",
        path.display(), found.short(), inspected.short()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// The content found; of a file that has grown, the beginning.
        found: ContentHash,
        /// The content that was inspected.
        inspected: ContentHash,
    },
    /// A file of the store cannot be written.
    #[error("file `{}` cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file of the store cannot be read.
    #[error("file `{}` cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file of the store is not needed and stays.
    #[error("file `{}` cannot be removed", path.display())]
    Remove {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What was written did not reach the disk.
    #[error("file `{}` cannot be brought to the disk", path.display())]
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something did not reach the disk earlier; nobody knows what is there.
    #[error("nothing is recorded in `{}` any more, since writing to the disk failed", path.display())]
    Unsynced {
        /// The directory of the store.
        path: PathBuf,
    },
    /// The standing of a plugin was written by a newer kernel.
    #[error(
        "standing `{}` has format {found}, expected at most {known}",
        path.display()
    )]
    NewerStanding {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that is understood.
        known: u32,
    },
    /// The standing of a plugin cannot be understood.
    #[error("standing `{}` is damaged", path.display())]
    CorruptStanding {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A kept file or state has other bytes than its name says.
    #[error(
        "kept file `{}` is damaged: found content `{}`, expected `{}`",
        path.display(), found.short(), expected.short()
    )]
    Torn {
        /// The file.
        path: PathBuf,
        /// The content found.
        found: ContentHash,
        /// The content that was kept.
        expected: ContentHash,
    },
    /// A kept file or state is gone.
    #[error("kept file `{}` is gone", path.display())]
    Missing {
        /// Where it was expected.
        path: PathBuf,
    },
    /// A kept file is whole, and not accepted as a plugin.
    #[error("kept file `{}` is not accepted any more", path.display())]
    Unacceptable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: InspectError,
    },
    /// No plugin can have this name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl StoreError {
    /// Says what the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            StoreError::Directory { .. } | StoreError::ForeignDirectory { .. } => {
                "choose a data directory that belongs to the user that runs the kernel"
            }
            StoreError::Lock { .. } => "the data directory must be on a file system that has locks",
            StoreError::Source { path, source } => return source.hint(path),
            StoreError::Changed { .. } => {
                "it is being written: wait until it is complete, and replace such files by \
                 renaming a finished one"
            }
            StoreError::Write { source, .. } | StoreError::Sync { source, .. }
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                "make room where the data directory lies"
            }
            StoreError::Write { .. } | StoreError::Remove { .. } => {
                "the data directory must be writable for the user that runs the kernel"
            }
            StoreError::Read { path, .. } => {
                return Some(format!(
                    "the user that runs the kernel must be able to read it: `ls -l {}`",
                    path.display()
                ));
            }
            StoreError::Sync { .. } | StoreError::Unsynced { .. } => {
                "look at the disk (`dmesg`), then restart the kernel; until then plugins go on, and \
                 a restart starts what was recorded before"
            }
            StoreError::NewerStanding { path, .. } => {
                return Some(format!(
                    "run the newer kernel that wrote it, or give up what it could roll back to: \
                     `rm {}`",
                    path.display()
                ));
            }
            StoreError::CorruptStanding { path, .. } => {
                return Some(format!(
                    "give up what it could roll back to: `rm {}`; the plugin then starts from the \
                     plugin directory",
                    path.display()
                ));
            }
            StoreError::Torn { .. } | StoreError::Missing { .. } => {
                "put that build into the plugin directory again, or go on with another"
            }
            StoreError::Unacceptable { source, .. } => return source.hint(),
            StoreError::Name(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }
}
