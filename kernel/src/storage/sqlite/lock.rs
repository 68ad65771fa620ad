//! The lock that keeps a database file to one kernel: on a file beside it, which says who holds it.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;

use super::files;
use super::open::{OpenError, io, locate};

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
        let lock = files::lock(path);
        let mut file = files::private()
            .create(true)
            .open(&lock)
            .map_err(io("open", &lock))?;
        lock_file(&mut file, lock, path)?;
        let (_, id) = said(&mut file);
        let mut lock = Self { file, id: None };
        lock.say(id);
        Ok(lock)
    }

    /// Takes the lock of a database file without writing anything; nothing if it never had one.
    pub(in crate::storage) fn take_as_it_is(path: &Path) -> Result<Option<Self>, OpenError> {
        let lock = files::lock(path);
        let mut file = match File::open(&lock) {
            Err(error) if files::is_absent(&error) => return Ok(None),
            opened => opened.map_err(io("open", &lock))?,
        };
        lock_file(&mut file, lock, path)?;
        Ok(Some(Self { file, id: None }))
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
    let lock = files::lock(&locate(path)?);
    let mut file = match File::open(&lock) {
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

/// Keeps others from the file `lock` for as long as it is open here, and so from the database at `path`.
fn lock_file(file: &mut File, lock: PathBuf, path: &Path) -> Result<(), OpenError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
            // It is a help where it can be read.
            process: said(file).0,
            lock,
        }),
        Err(TryLockError::Error(source)) => Err(io("lock", &lock)(source)),
    }
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
