//! Saves what can still be read of a damaged database into a new one. The damaged one is only copied.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc;

use super::super::copy::{self, Contents, CopyError, Progress, Step};
use super::super::sqlite::{self, Damage, Lock, Lost, files};
use super::super::{OpenError, Sqlite, StorageAdapter, StorageError, Usage, Usages};
use super::error::{BackupError, READ, about, io};
use super::made::{Made, Target};
use super::{directory_of, put, refuse_taken, set_aside};

/// How many pages may have been read and not been written yet.
const AHEAD: usize = 2;
/// How much is given up where the system cannot read: the smallest part that disks have.
const BLOCK: u64 = 4_096;

/// What was saved of a damaged database.
#[derive(Debug)]
#[non_exhaustive]
pub struct Salvaged {
    /// What the new one holds.
    pub contents: Contents,
    /// What could not be read, in order; at most 10,000 of it.
    pub lost: Vec<Lost>,
    /// How much more could not be read.
    pub lost_more: u64,
    /// How many bytes the system could not read; they count as zeros.
    pub unread: u64,
    /// Namespaces that do not hold what was counted in them, or nothing if the counts cannot be read.
    pub missing: Option<Vec<Missing>>,
    /// Whether the last version that was given is known; if not, it is the highest one found.
    pub is_version_known: bool,
    /// Where what was at the place of the new file is kept.
    pub aside: Option<PathBuf>,
}

/// A namespace that was not saved whole, or some of it as it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Missing {
    /// The namespace.
    pub namespace: Arc<str>,
    /// What was saved of it.
    pub saved: Usage,
    /// What it held.
    pub of: Usage,
}

/// Why nothing was saved of a damaged database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SalvageError {
    /// The new file is to be where the damaged one is.
    #[error("`{}` belongs to the damaged storage, expected another file", path.display())]
    Same {
        /// The new file.
        path: PathBuf,
    },
    /// The new file cannot be made, or the damaged one cannot be copied.
    #[error(transparent)]
    File(#[from] BackupError),
    /// Somebody has the damaged one open, or nothing in it can be read.
    #[error("nothing can be saved of `{}`", path.display())]
    Unreadable {
        /// The damaged database.
        path: PathBuf,
        /// Why.
        source: OpenError,
    },
    /// Nothing in it can be read, though it is a database.
    #[error("nothing can be saved of `{}`: {}", path.display(), lost.first().map_or_else(String::new, Lost::to_string))]
    Nothing {
        /// The damaged database.
        path: PathBuf,
        /// What cannot be read.
        lost: Vec<Lost>,
    },
    /// The thread that reads cannot be started.
    #[error("cannot start the thread that reads the damaged storage")]
    Thread(#[source] io::Error),
}

impl SalvageError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Same { .. } => Some("name a new file".to_owned()),
            Self::File(error) => error.hint(),
            Self::Unreadable {
                source: OpenError::InUse { .. },
                ..
            } => Some("stop that kernel first".to_owned()),
            Self::Unreadable { .. } | Self::Nothing { .. } => {
                Some("restore a backup, or go on with its standby, if it has one".to_owned())
            }
            Self::Thread(_) => None,
        }
    }
}

/// Saves what can still be read of the damaged database file `damaged` into a new one at `path`, which appears there
/// only when it is complete and synced; what cannot be read is told.
///
/// Each record that is saved matches its checksum. With `force` the new file takes the place of one that is there,
/// which is kept under another name.
///
/// # Errors
///
/// If a kernel has the damaged file open, it cannot be copied, nothing in it can be read, or the new one cannot be
/// made.
pub async fn salvage(
    damaged: &Path,
    path: &Path,
    force: bool,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Salvaged, SalvageError> {
    let directory = directory_of(path)?;
    if Sqlite::is_part(damaged, path) {
        return Err(SalvageError::Same { path: path.into() });
    }
    refuse_taken(path, force)?;
    let there = fs::metadata(damaged).map_err(io(READ, damaged))?;
    if !there.is_file() {
        let path = damaged.into();
        return Err(BackupError::NotAFile { path }.into());
    }
    let unreadable = |source| SalvageError::Unreadable {
        path: damaged.into(),
        source: about(source, damaged),
    };
    // Its disk may take no writes any more.
    let lock = Lock::take_as_it_is(&files::resolve(damaged)).map_err(unreadable)?;
    let (copy, unread) = copied(damaged, directory)?;
    drop(lock);
    let (connection, log_damage) = sqlite::salvaged(&copy.file).map_err(unreadable)?;
    let made = Made::new(directory, path)?;
    let failed = |source| BackupError::Make {
        path: path.into(),
        source,
    };
    let target = Target::take(path).map_err(failed)?;
    let to = Sqlite::open(&made.file).map_err(failed)?;

    let (pages, mut read) = mpsc::channel(AHEAD);
    let reader = thread::Builder::new().name("octa-salvage".to_owned());
    let reader = reader.spawn(move || {
        let salvage = sqlite::Salvage::new(&connection, &copy.file);
        salvage.read(|page| pages.blocking_send(page).is_ok())
    });
    let reader = reader.map_err(SalvageError::Thread)?;
    let unwritten = |error: StorageError| BackupError::Copy {
        path: path.into(),
        source: CopyError::Write(error),
    };
    let (mut done, mut last_version) = (0, 0);
    while let Some(page) = read.recv().await {
        let versions = page.iter().map(|change| change.version);
        last_version = versions.max().unwrap_or(0).max(last_version);
        done += page.len() as u64;
        to.replicate(&page, last_version).await.map_err(unwritten)?;
        progress(Progress {
            step: Step::Copying,
            done,
            of: done,
        });
    }
    // It has dropped its end of the channel last of all, unless it has panicked, which was told.
    let Ok(mut found) = reader.join() else {
        let error = io::Error::other("the thread that reads it panicked");
        return Err(SalvageError::Thread(error));
    };
    if let Some(Damage::Log { frame, .. }) = log_damage {
        let log = files::log(damaged);
        let reason = Damage::Log { log, frame }.to_string();
        found.lost.push(Lost::Latest { reason });
    }
    if done == 0 && !found.lost.is_empty() {
        let path = damaged.into();
        let lost = found.lost;
        return Err(SalvageError::Nothing { path, lost });
    }
    let is_version_known = found.last_version.is_some();
    let last_version = last_version.max(found.last_version.unwrap_or(0));
    to.replicate(&[], last_version).await.map_err(unwritten)?;
    let saved = to.usage().await.map_err(unwritten)?;
    let contents = copy::contents(&to, progress).await.map_err(unwritten)?;
    to.close().await.map_err(unwritten)?;
    let aside = set_aside(path)?;
    let put = put(made, path, &target);
    put.map_err(|error| error.kept(aside.as_slice()))?;
    Ok(Salvaged {
        contents,
        lost: found.lost,
        lost_more: found.lost_more,
        unread,
        missing: found.expected.map(|expected| missing(&saved, &expected)),
        is_version_known,
        aside,
    })
}

/// A copy of a database and its log, to be opened without touching it.
fn copied(damaged: &Path, directory: &Path) -> Result<(Made, u64), BackupError> {
    let copy = Made::new(directory, damaged)?;
    let (log, log_copy) = (files::log(damaged), files::log(&copy.file));
    let mut unread = copy_readable(damaged, &copy.file, directory)?;
    if files::is_taken(&log) {
        unread += copy_readable(&log, &log_copy, directory)?;
    }
    lengthen(&copy.file).map_err(io("write a copy of it to", directory))?;
    Ok((copy, unread))
}

/// Copies what can be read of a file; tells how many bytes cannot.
fn copy_readable(from: &Path, to: &Path, directory: &Path) -> Result<u64, BackupError> {
    let source = File::open(from).map_err(io(READ, from))?;
    let bytes = source.metadata().map_err(io(READ, from))?.len();
    let copy = files::private().create_new(true).open(to);
    let copied = copy.and_then(|to| copy_blocks(source, to, bytes));
    copied.map_err(io("write a copy of it to", directory))
}

/// Copies so many bytes; blocks that cannot be read are left out, as zeros. Only writing fails.
fn copy_blocks(mut from: impl Read + Seek, mut to: File, bytes: u64) -> io::Result<u64> {
    let mut block = vec![0; BLOCK as usize];
    let mut unread = 0;
    for at in (0..bytes).step_by(BLOCK as usize) {
        let length = BLOCK.min(bytes - at);
        let block = &mut block[..length as usize];
        let read = from
            .seek(SeekFrom::Start(at))
            .and_then(|_| from.read_exact(block));
        match read {
            Ok(()) => to.write_all(block)?,
            Err(_) => {
                unread += length;
                to.seek(SeekFrom::Start(at + length))?;
            }
        }
    }
    to.set_len(bytes)?;
    Ok(unread)
}

/// Gives a file that was cut off its old length: SQLite reads nothing of one that is shorter than it says.
fn lengthen(file: &Path) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(file)?;
    let mut head = [0; 32];
    if file.read_exact(&mut head).is_err() || !head.starts_with(b"SQLite format 3\0") {
        return Ok(());
    }
    // The format of a database file, <https://www.sqlite.org/fileformat.html>: 1 stands for 65,536.
    let page = match u16::from_be_bytes([head[16], head[17]]) {
        1 => 65_536,
        page => u64::from(page),
    };
    let pages = u32::from_be_bytes([head[28], head[29], head[30], head[31]]);
    let length = page * u64::from(pages);
    if file.metadata()?.len() < length {
        // No space is taken for what was lost.
        file.set_len(length)?;
    }
    Ok(())
}

fn missing(saved: &Usages, expected: &Usages) -> Vec<Missing> {
    let of = |namespace: &Arc<str>| {
        let saved = saved.iter().find(|(other, _)| other == namespace);
        saved.map_or_else(Usage::default, |(_, usage)| *usage)
    };
    let all = expected.iter().map(|(namespace, usage)| Missing {
        namespace: namespace.clone(),
        saved: of(namespace),
        of: *usage,
    });
    all.filter(|it| it.saved != it.of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cannot be read in one place.
    struct Scratched(io::Cursor<Vec<u8>>, u64);

    impl Read for Scratched {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let at = self.0.position();
            match (at..at + to.len() as u64).contains(&self.1) {
                true => Err(io::Error::other("on purpose")),
                false => self.0.read(to),
            }
        }
    }

    impl Seek for Scratched {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn what_cannot_be_read_is_left_out_and_counted() {
        let bytes: Vec<u8> = (0..10_000_u32).map(|at| at as u8 | 1).collect();
        let copy = tempfile::NamedTempFile::new().expect("a file");
        for (scratch, from, to) in [(5_000, 4_096, 8_192), (9_999, 8_192, 10_000), (0, 0, 4_096)] {
            let source = Scratched(io::Cursor::new(bytes.clone()), scratch);
            let file = File::create(copy.path()).expect("a file");
            let unread = copy_blocks(source, file, 10_000).expect("it is written");
            assert_eq!(unread, (to - from) as u64);
            let mut expect = bytes.clone();
            expect[from..to].fill(0);
            assert!(
                fs::read(copy.path()).expect("a file") == expect,
                "{scratch}"
            );
        }
    }
}
