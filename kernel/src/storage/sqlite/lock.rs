//! The lock that keeps a database file to one kernel: on a file beside it, which says who holds it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;

use super::open::{OpenError, io, locate, private};

/// Keeps kernels from opening a database file, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// Locked by the operating system for as long as it is open, so an end of the process ends the lock too.
    file: File,
    /// The identity of the database that was last in the file.
    id: Option<String>,
}

/// Who keeps others from opening a database file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The number of its process, if it can be told.
    pub process: Option<u32>,
}

impl Lock {
    /// Takes the lock of a database file, which need not exist; does not open it.
    ///
    /// # Errors
    ///
    /// [`OpenError::InUse`] if another kernel has it, or this one.
    pub fn take(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        Self::of(&locate(path.as_ref())?)
    }

    /// The lock is on a file of its own, and SQLite alone opens the database where there is one:
    /// closing any handle to a file ends the locks that this process has on it, SQLite's too.
    pub(super) fn of(path: &Path) -> Result<Self, OpenError> {
        let lock = lock_path(path);
        let mut file = private()
            .create(true)
            .open(&lock)
            .map_err(io("open", &lock))?;
        match file.try_lock() {
            Ok(()) => {
                let (_, id) = said(&mut file);
                let mut lock = Self { file, id: None };
                lock.say(id);
                Ok(lock)
            }
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: path.to_owned(),
                process: said(&mut file).0,
                lock,
            }),
            Err(TryLockError::Error(source)) => Err(io("lock", &lock)(source)),
        }
    }

    /// The identity of the database that was last in the file, if it had one.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Says who holds the lock, and of which database.
    ///
    /// It is a help: a full disk that does not take it must not keep a kernel from opening.
    pub(super) fn say(&mut self, id: Option<String>) {
        let lines = format!("{}\n{}\n", process::id(), id.as_deref().unwrap_or_default());
        self.id = id.filter(|id| !id.is_empty());
        let rewound = self.file.set_len(0).and_then(|()| self.file.rewind());
        drop(rewound.and_then(|()| self.file.write_all(lines.as_bytes())));
    }
}

/// Tells who holds the lock of a database file, without taking it for longer than that.
pub(super) fn holder(path: &Path) -> Result<Option<Holder>, OpenError> {
    let lock = lock_path(&locate(path)?);
    let mut file = match OpenOptions::new().read(true).open(&lock) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io("open", &lock)(e)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let (process, _) = said(&mut file);
            Ok(Some(Holder { process }))
        }
        Err(TryLockError::Error(source)) => Err(io("lock", &lock)(source)),
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// The process that holds the lock, and the database. Some systems let nobody read a locked file; then
/// nothing is known.
fn said(file: &mut File) -> (Option<u32>, Option<String>) {
    let mut text = String::new();
    if file.read_to_string(&mut text).is_err() {
        return (None, None);
    }
    let mut lines = text.lines();
    let process = lines.next().and_then(|line| line.parse().ok());
    (process, lines.next().map(str::to_owned))
}
