//! What is being opened or started right now, for the case that it ends the process: the next one
//! finds it here.
//!
//! What is to become of a suspect is the kernel's business.

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    sync::Arc,
};

use parking_lot::Mutex;

use crate::{hash::ContentHash, name::PLUGIN_NAME_BYTES_MAX};

/// Bytes of one entry: hash, count and name, padded, and a newline.
const ENTRY: usize = 64 + 1 + 3 + 1 + PLUGIN_NAME_BYTES_MAX + 1;
/// How often the same content may be found here, at most.
const TIMES_MAX: u32 = 999;

/// A content that was being opened or started when a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Whose content.
    pub plugin: String,
    /// Its hash.
    pub hash: ContentHash,
    /// How many processes in a row ended so.
    pub times: u32,
}

/// The attempts of this process.
#[derive(Debug)]
pub(super) struct Trying {
    /// What the process before this one left, less what has proved to be good since.
    suspects: Mutex<Vec<Suspect>>,
    /// `None` where nothing can be written down.
    desk: Option<Arc<Mutex<Desk>>>,
}

struct Desk {
    file: File,
    /// Which entries are taken.
    taken: Vec<bool>,
}

/// An attempt to open or to start a content; over when it is dropped.
#[derive(Debug)]
pub struct Attempt(Option<(Arc<Mutex<Desk>>, usize)>);

impl Trying {
    /// Where other processes write, nothing is written down.
    pub(super) fn nowhere() -> Self {
        Self {
            suspects: Mutex::default(),
            desk: None,
        }
    }

    /// Reads what the last process left in a file, and begins it anew.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path)?;
        let mut left = Vec::new();
        // Larger is not what this writes.
        (&mut file).take(1 << 20).read_to_end(&mut left)?;
        file.set_len(0)?;
        let desk = Desk {
            file,
            taken: Vec::new(),
        };
        Ok(Self {
            suspects: Mutex::new(left.chunks(ENTRY).filter_map(read).collect()),
            desk: Some(Arc::new(Mutex::new(desk))),
        })
    }

    pub(super) fn suspects(&self) -> Vec<Suspect> {
        self.suspects.lock().clone()
    }

    pub(super) fn acquit(&self, hash: ContentHash) {
        self.suspects.lock().retain(|suspect| suspect.hash != hash);
    }

    pub(super) fn attempt(&self, plugin: &str, hash: ContentHash) -> Attempt {
        let Some(desk) = &self.desk else {
            return Attempt(None);
        };
        let before = self
            .suspects
            .lock()
            .iter()
            .find(|it| it.hash == hash)
            .map(|it| it.times);
        let times = before.unwrap_or_default().saturating_add(1).min(TIMES_MAX);
        let entry = format!("{hash} {times:03} {plugin:PLUGIN_NAME_BYTES_MAX$}\n");
        let mut open = desk.lock();
        let free = open.taken.iter().position(|taken| !taken);
        let place = free.unwrap_or_else(|| {
            open.taken.push(false);
            open.taken.len() - 1
        });
        match open.write(place, entry.as_bytes()) {
            Ok(()) => {
                open.taken[place] = true;
                Attempt(Some((desk.clone(), place)))
            }
            Err(error) => {
                log::warn!(
                    "it is not written down that plugin `{plugin}` is being opened: {error}"
                );
                Attempt(None)
            }
        }
    }
}

impl Desk {
    /// Into the system's memory, which outlives the process.
    fn write(&mut self, place: usize, entry: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start((place * ENTRY) as u64))?;
        self.file.write_all(entry)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some((desk, place)) = self.0.take() else {
            return;
        };
        let mut desk = desk.lock();
        // Where it cannot be written, it could not before.
        if desk.write(place, &[b' '; ENTRY]).is_ok() {
            desk.taken[place] = false;
        }
    }
}

fn read(entry: &[u8]) -> Option<Suspect> {
    let mut words = str::from_utf8(entry).ok()?.split_whitespace();
    let (hash, times, plugin) = (words.next()?, words.next()?, words.next()?);
    Some(Suspect {
        plugin: plugin.to_owned(),
        hash: hash.parse().ok()?,
        times: times.parse().ok()?,
    })
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(of: &str) -> ContentHash {
        ContentHash::of(of.as_bytes())
    }

    fn suspect(plugin: &str, times: u32) -> Suspect {
        Suspect {
            plugin: plugin.to_owned(),
            hash: hash(plugin),
            times,
        }
    }

    #[test]
    fn what_was_under_way_at_the_end_is_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("trying");
        let open = || Trying::open(&path).expect("a file");
        let first = open();
        assert_eq!(first.suspects(), []);
        let done = first.attempt("good", hash("good"));
        let long = "x".repeat(PLUGIN_NAME_BYTES_MAX);
        // As when the process ends: nothing is dropped.
        std::mem::forget(first.attempt(&long, hash(&long)));
        drop(done);
        std::mem::forget(first.attempt("bad", hash("bad")));
        drop(first);

        let second = open();
        let mut found = second.suspects();
        found.sort_by(|one, other| one.plugin.cmp(&other.plugin));
        assert_eq!(found, [suspect("bad", 1), suspect(&long, 1)]);
        second.acquit(hash(&long));
        std::mem::forget(second.attempt("bad", hash("bad")));
        std::mem::forget(second.attempt(&long, hash(&long)));
        drop(second);

        let third = open();
        let mut found = third.suspects();
        found.sort_by(|one, other| one.plugin.cmp(&other.plugin));
        assert_eq!(found, [suspect("bad", 2), suspect(&long, 1)]);
        drop(third);
        assert_eq!(open().suspects(), []);
    }

    #[test]
    fn what_is_no_entry_is_nothing() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("trying");
        std::fs::write(&path, b"\xff\x00 nonsense 12 \n".repeat(100)).expect("a file");
        assert_eq!(Trying::open(&path).expect("a file").suspects(), []);
    }
}
