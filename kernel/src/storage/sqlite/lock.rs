//! The lock that keeps a database file to one kernel: on a file beside it, which says who holds it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::process;
use std::thread;
use std::time::Duration;

use super::files;
use super::open::{OpenError, io, locate};

/// How often, and how far apart, a lock is tried that this process seems to have.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

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
        let open = |lock: &Path| files::private().create(true).open(lock);
        let mut file = locked(path, open)?;
        let (_, id) = said(&mut file);
        let mut lock = Self { file, id: None };
        lock.say(id);
        Ok(lock)
    }

    /// Takes the lock of a database file without writing anything; nothing if it never had one.
    pub(in crate::storage) fn take_as_it_is(path: &Path) -> Result<Option<Self>, OpenError> {
        match locked(path, |lock| File::open(lock)) {
            Ok(file) => Ok(Some(Self { file, id: None })),
            Err(OpenError::Io { source, .. }) if files::is_absent(&source) => Ok(None),
            Err(error) => Err(error),
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
        // Cut behind the write: where there is no space for it, what was said before stays.
        let rewound = self.file.rewind();
        let written = rewound.and_then(|()| self.file.write_all(lines.as_bytes()));
        drop(written.and_then(|()| self.file.set_len(lines.len() as u64)));
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

/// Opens and locks the file that keeps others from the database at `path`, for as long as it is open here.
fn locked(path: &Path, open: impl Fn(&Path) -> io::Result<File>) -> Result<File, OpenError> {
    let lock = files::lock(path);
    loop {
        let mut file = open(&lock).map_err(io("open", &lock))?;
        lock_file(&mut file, &lock, path, || thread::park_timeout(PAUSE))?;
        // One that was removed meanwhile has no name, and keeps nobody out.
        if is_at(&file, &lock).map_err(io("find", &lock))? {
            return Ok(file);
        }
    }
}

/// A process that this one starts has its open files until it becomes another program, and so what was locked
/// here a moment ago: what this process itself seems to have is tried again for a while.
fn lock_file(
    file: &mut File,
    lock: &Path,
    path: &Path,
    mut pause: impl FnMut(),
) -> Result<(), OpenError> {
    for tries in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {
                // It is a help where it can be read.
                let (process, _) = said(file);
                if process != Some(process::id()) || tries > TRIES {
                    return Err(OpenError::InUse {
                        path: path.to_owned(),
                        process,
                        lock: lock.to_owned(),
                    });
                }
                pause();
            }
            Err(TryLockError::Error(source)) => return Err(io("lock", lock)(source)),
        }
    }
    Ok(())
}

/// Whether an open file is the one at a path.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let open = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((open.dev(), open.ino()) == (there.dev(), there.ino())),
        Err(error) if files::is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere a file that is open has its name until it is closed.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    fs::metadata(path).map(|_| true)
}

/// The process that holds the lock, and the database. Some systems let nobody read a locked file; then
/// nothing is known.
fn said(file: &mut File) -> (Option<u32>, Option<String>) {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
    if read.is_err() {
        return (None, None);
    }
    let mut lines = text.lines();
    let process = lines.next().and_then(|line| line.parse().ok());
    (process, lines.next().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn database() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.db");
        (home, path)
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_without_a_name_is_not_held() {
        let (_home, path) = database();
        let lock = files::lock(&path);
        let former = Lock::take(&path).expect("is free");
        let opened = std::cell::Cell::new(0);
        let former = std::cell::Cell::new(Some(former));
        let file = locked(&path, |lock| {
            opened.set(opened.get() + 1);
            let file = files::private().create(true).open(lock)?;
            // Removed by who has it, behind the opening and ahead of the locking.
            if let Some(former) = former.take() {
                fs::remove_file(lock)?;
                drop(former);
            }
            Ok(file)
        });
        let file = file.expect("is free");
        assert_eq!(opened.get(), 2);
        assert!(is_at(&file, &lock).expect("is there"));
        let other = Lock::take(&path).expect_err("is held");
        assert!(matches!(other, OpenError::InUse { .. }), "{other}");
    }

    #[test]
    fn what_this_process_gave_back_is_tried_again() {
        let (_home, path) = database();
        let lock = files::lock(&path);
        let open = || File::open(&lock).expect("is there");
        drop(Lock::take(&path).expect("is free"));
        let held = open();
        held.lock().expect("is free");
        let mut held = Some(held);
        let mut pauses = 0;
        let mut file = open();
        let taken = lock_file(&mut file, &lock, &path, || {
            pauses += 1;
            drop(held.take_if(|_| pauses == 3));
        });
        taken.expect("it is given back");
        assert_eq!(pauses, 3);
        // For a while.
        pauses = 0;
        let error = lock_file(&mut open(), &lock, &path, || pauses += 1);
        let error = error.expect_err("is held");
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        assert_eq!(pauses, TRIES);
        // What another one has is not.
        fs::write(&lock, "1\n\n").expect("writes");
        let error = lock_file(&mut open(), &lock, &path, || panic!("tried again"));
        let error = error.expect_err("is held");
        assert!(
            matches!(
                error,
                OpenError::InUse {
                    process: Some(1),
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_lock_says_its_own_words_only() {
        let (_home, path) = database();
        let lock = files::lock(&path);
        fs::write(&lock, format!("1\nid\n{}", "longer ".repeat(9))).expect("writes");
        let mut held = Lock::take(&path).expect("is free");
        let text = || fs::read_to_string(&lock).expect("reads");
        assert_eq!(text(), format!("{}\nid\n", process::id()));
        held.say(Some("i".to_owned()));
        assert_eq!(text(), format!("{}\ni\n", process::id()));
    }
}
