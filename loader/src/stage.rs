//! Keeps private copies of plugin files, one fresh name for each generation.
//!
//! Opening a path that is mapped already answers the old library, and truncating a mapped file
//! ends the process: so what is opened is always a copy that nobody else writes to.
//! Opening it is the job of `library`.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

use crate::hash::ContentHash;
use crate::inspect::Inspection;
use crate::source::{self, SourceError};
use crate::sys::{self, Lock};

const LOCK_EXTENSION: &str = "lock";

/// The directory of staged copies of one kernel: `<data>/staged/<process>-<number>/`.
///
/// A lock file beside it, held while this value lives, tells other kernels over the same data
/// directory that the copies are in use.
/// Dropping it leaves the copies where they are, since they may be mapped; the next
/// [`StageDir::sweep`] after the process has ended removes them.
#[derive(Debug)]
pub struct StageDir {
    path: PathBuf,
    next: AtomicU64,
    _lock: Lock,
}

/// A private copy of a plugin file, whose bytes are those that were inspected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staged {
    /// Where the copy lies.
    pub path: PathBuf,
    /// Hash of its content.
    pub hash: ContentHash,
    /// Its number among the copies of this [`StageDir`], from 1.
    pub number: u64,
}

impl StageDir {
    /// Makes a fresh directory for this process under `<data>/staged`.
    ///
    /// # Errors
    /// If `<data>/staged` cannot be made, or cannot be kept from other users.
    pub fn open(data: &Path) -> Result<Self, StageError> {
        let staged = data.join("staged");
        prepare(&staged)?;
        // A number is taken if a process of this id ended and nobody has swept since, or if one
        // of another container has the same id.
        let mut number = 0_u32;
        loop {
            let path = staged.join(format!("{}-{number}", process::id()));
            let lock = hold(&path.with_extension(LOCK_EXTENSION))?;
            if let Some(_lock) = lock {
                prepare(&path)?;
                let next = AtomicU64::new(1);
                return Ok(StageDir { path, next, _lock });
            }
            number += 1;
        }
    }

    /// Where the copies lie.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Copies an inspected file under a fresh name, `<name>-<hash>-<number>.so` for example.
    ///
    /// The source is read again under the rules of the inspection, and what is written is hashed:
    /// the copy is answered only if it holds the bytes that were inspected.
    ///
    /// # Errors
    /// If the source has changed or is not acceptable any more, or the copy cannot be written.
    /// Nothing is left behind then.
    pub fn stage(&self, inspection: &Inspection) -> Result<Staged, StageError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let path = self.path.join(format!(
            "{}-{}-{number}.{}",
            inspection.manifest.name,
            inspection.hash.short(),
            std::env::consts::DLL_EXTENSION
        ));
        copy_verified(inspection, &path)?;
        Ok(Staged {
            path,
            hash: inspection.hash,
            number,
        })
    }

    /// Removes one of these copies, which must not be mapped any more on platforms that forbid that.
    ///
    /// One that is gone already is as good as removed.
    ///
    /// # Errors
    /// If `copy` does not lie directly in this directory, or the system does not remove it.
    pub fn forget(&self, copy: &Path) -> Result<(), StageError> {
        if copy.parent() != Some(&self.path) || copy.file_name().is_none() {
            return Err(StageError::Elsewhere {
                path: copy.to_owned(),
                directory: self.path.clone(),
            });
        }
        fs::remove_file(copy)
            .or_else(|error| absent_is(error, ()))
            .map_err(|source| StageError::Remove {
                path: copy.to_owned(),
                source,
            })
    }

    /// Removes the directories of kernels that have ended, and says how many.
    ///
    /// Those of kernels that still run are not touched, whichever process they run in.
    /// One that cannot be removed is logged and left for the next time.
    ///
    /// # Errors
    /// If the directory of them all cannot be listed.
    pub fn sweep(&self) -> Result<usize, StageError> {
        let staged = self.path.parent().unwrap_or(&self.path);
        let fail = |source| StageError::Directory {
            path: staged.to_owned(),
            source,
        };
        let mut removed = 0;
        for entry in fs::read_dir(staged).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.extension().is_none_or(|found| found != LOCK_EXTENSION) {
                continue;
            }
            match remove_leftover(&path) {
                Ok(true) => removed += 1,
                Ok(false) => {}
                Err(error) => log::warn!("leftover `{}` stays: {error}", path.display()),
            }
        }
        Ok(removed)
    }
}

impl Staged {
    /// A copy that somebody else has made and keeps, and nobody changes.
    pub fn made_elsewhere(path: PathBuf, hash: ContentHash) -> Self {
        Self {
            path,
            hash,
            number: 0,
        }
    }

    /// Removes the copy, which must not be mapped any more on platforms that forbid that.
    ///
    /// # Errors
    /// If the system does not remove it.
    pub fn remove(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

fn hold(path: &Path) -> Result<Option<Lock>, StageError> {
    Lock::create(path).map_err(|source| StageError::Lock {
        path: path.to_owned(),
        source,
    })
}

fn prepare(directory: &Path) -> Result<(), StageError> {
    let fail = |source| StageError::Directory {
        path: directory.to_owned(),
        source,
    };
    match sys::prepare_private_dir(directory).map_err(fail)? {
        None => Ok(()),
        Some(sys::Exposure { owner, user, .. }) => Err(StageError::ForeignDirectory {
            path: directory.to_owned(),
            owner,
            user,
        }),
    }
}

fn copy_verified(inspection: &Inspection, path: &Path) -> Result<(), StageError> {
    let from = || inspection.path.clone();
    let fail = |source| StageError::Copy {
        path: from(),
        copy: path.to_owned(),
        source,
    };
    if let Some(bytes) = inspection.held.take() {
        let mut copy = sys::create_private_file(path).map_err(fail)?;
        return copy.write_all(&bytes).map_err(|error| {
            remove_unfinished(path);
            fail(error)
        });
    }
    let (source, _) =
        source::open(&inspection.path, inspection.rules).map_err(|source| StageError::Source {
            path: from(),
            source,
        })?;
    let copy = sys::create_private_file(path).map_err(fail)?;
    let outcome = match source::copy(source, copy, inspection.size) {
        Ok(found) if found == inspection.hash => return Ok(()),
        Ok(found) => StageError::Changed {
            path: from(),
            found,
            inspected: inspection.hash,
        },
        Err(error) => fail(error),
    };
    remove_unfinished(path);
    Err(outcome)
}

fn remove_unfinished(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        log::warn!("unfinished copy `{}` stays: {error}", path.display());
    }
}

/// Removes what belongs to a lock file, unless somebody holds it; answers whether it did.
fn remove_leftover(lock_path: &Path) -> io::Result<bool> {
    let lock = match Lock::take_over(lock_path) {
        Ok(Some(lock)) => lock,
        Ok(None) => return Ok(false),
        Err(error) => return absent_is(error, false),
    };
    // The lock goes last: a sweep that is cut off here is taken up by the next one.
    fs::remove_dir_all(lock_path.with_extension("")).or_else(|error| absent_is(error, ()))?;
    lock.remove(lock_path)
        .or_else(|error| absent_is(error, ()))?;
    Ok(true)
}

fn absent_is<T>(error: io::Error, value: T) -> io::Result<T> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(value),
        _ => Err(error),
    }
}

/// A plugin file that could not be staged, or nowhere to stage one.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StageError {
    /// The directory cannot be made or listed.
    #[error("staging directory `{}` cannot be used", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The directory belongs to somebody else.
    #[error(
        "staging directory `{}` belongs to user {owner}, expected user {user} or root",
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
    /// The lock file cannot be made or held.
    #[error("lock file `{}` cannot be held", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The source cannot be read, or is not acceptable any more.
    #[error("plugin file `{}` cannot be staged", path.display())]
    Source {
        /// The source.
        path: PathBuf,
        /// Why not.
        #[source]
        source: SourceError,
    },
    /// The source is not what was inspected.
    #[error(
        "plugin file `{}` has changed since it was inspected: found content `{}`, expected `{}`",
        path.display(), found.short(), inspected.short()
    )]
    Changed {
        /// The source.
        path: PathBuf,
        /// The content found; of a file that has grown, the beginning.
        found: ContentHash,
        /// The content that was inspected.
        inspected: ContentHash,
    },
    /// The bytes did not arrive.
    #[error("plugin file `{}` cannot be copied to `{}`", path.display(), copy.display())]
    Copy {
        /// The source.
        path: PathBuf,
        /// The copy.
        copy: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A copy is to be removed that was not staged here.
    #[error(
        "copy `{}` is not in the staging directory, expected a file in `{}`",
        path.display(), directory.display()
    )]
    Elsewhere {
        /// What is to be removed.
        path: PathBuf,
        /// Where the copies lie.
        directory: PathBuf,
    },
    /// A copy stays.
    #[error("staged copy `{}` cannot be removed", path.display())]
    Remove {
        /// The copy.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl StageError {
    /// Says what the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            StageError::Directory { .. } | StageError::ForeignDirectory { .. } => Some(
                "choose a data directory that belongs to the user that runs the kernel".to_owned(),
            ),
            StageError::Lock { .. } => {
                Some("the data directory must be on a file system that has locks".to_owned())
            }
            StageError::Source { path, source } => source.hint(path),
            StageError::Changed { .. } => Some(
                "it is being written: wait until it is complete, and replace such files by \
                 renaming a finished one"
                    .to_owned(),
            ),
            StageError::Copy { source, .. } => (source.kind() == io::ErrorKind::StorageFull)
                .then(|| "make room where the data directory lies".to_owned()),
            StageError::Elsewhere { .. } => None,
            StageError::Remove { .. } => {
                Some("it is removed by the next kernel over this data directory".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests;
