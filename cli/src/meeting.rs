//! Where kernels and those who talk to them meet: a private directory with one socket for each
//! running kernel, and a record beside it that tells it from the others.

mod claim;
mod error;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::world::{self, World};

pub(crate) use error::MeetingError;

/// Longest name of a kernel.
const NAME_BYTES_MAX: usize = 32;
/// Longest path of a socket that every system accepts (macOS has the least room).
const SOCKET_BYTES_MAX: usize = 103;

/// The directory of this user's sockets.
#[derive(Debug, Clone)]
pub(crate) struct Meeting {
    directory: PathBuf,
}

/// What tells one running kernel from another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// What it is called: given by its user, or made from its data directory.
    pub(crate) name: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Its data directory.
    pub(crate) data: String,
    /// Its plugin directory.
    pub(crate) plugins: String,
    /// When it was started, in nanoseconds since 1970.
    pub(crate) started: u64,
}

/// The name of a kernel that was given none: eight digits made from its data directory.
pub(crate) fn name_of(data: &Path) -> String {
    let hash = blake3::hash(data.as_os_str().as_encoded_bytes());
    hash.to_hex().chars().take(8).collect()
}

/// Checks a name that a user gave a kernel.
pub(crate) fn check_name(name: &str) -> Result<(), MeetingError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(fits) {
        return Err(MeetingError::BadName {
            name: name.to_owned(),
        });
    }
    Ok(())
}

impl Meeting {
    /// The directory for this user: in the runtime directory, else in the temporary one.
    ///
    /// A socket's path must be short, so a place that is too deep is passed over.
    pub(crate) fn of(world: &World) -> Self {
        let own = format!("octa-{}", world::user());
        let runtime = world.runtime_directory().map(|path| path.join("octa"));
        let places = [
            runtime,
            Some(world.temporary_directory().join(&own)),
            Some(Path::new("/tmp").join(&own)),
        ];
        let room = SOCKET_BYTES_MAX - NAME_BYTES_MAX - "/.sock".len();
        let mut fitting = places.into_iter().flatten();
        let directory = fitting.find(|path| path.as_os_str().len() <= room);
        Self {
            directory: directory.unwrap_or_else(|| Path::new("/tmp").join(own)),
        }
    }

    /// The socket of a kernel.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.sock"))
    }

    fn record(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.json"))
    }

    /// The kernels that run, by name.
    pub(crate) fn kernels(&self) -> Result<Vec<Record>, MeetingError> {
        if !self.directory.exists() {
            return Ok(Vec::new());
        }
        self.check_private()?;
        let entries = fs::read_dir(&self.directory);
        let entries = entries.map_err(|source| self.unusable(source))?;
        let is_record = |path: &PathBuf| path.extension().is_some_and(|is| is == "json");
        let mut kernels: Vec<Record> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(is_record)
            .filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok())
            .filter(|record| self.is_alive(record))
            .collect();
        kernels.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(kernels)
    }

    /// Whether somebody listens; the record of a dead kernel may be left over.
    fn is_alive(&self, record: &Record) -> bool {
        check_name(&record.name).is_ok() && UnixStream::connect(self.socket(&record.name)).is_ok()
    }

    /// The kernel that is meant, by its name or data directory; the only one if nothing is said.
    pub(crate) fn find(&self, wanted: Option<&str>) -> Result<Record, MeetingError> {
        let mut running = self.kernels()?;
        let Some(wanted) = wanted else {
            return match running.len() {
                0 => Err(MeetingError::NoKernel),
                1 => Ok(running.remove(0)),
                _ => Err(MeetingError::Several { running }),
            };
        };
        let data = fs::canonicalize(wanted).map(|path| text_of(&path));
        let is_meant = |record: &Record| {
            record.name == wanted || data.as_ref().is_ok_and(|data| *data == record.data)
        };
        match running.iter().position(is_meant) {
            Some(index) => Ok(running.swap_remove(index)),
            None => Err(MeetingError::NotRunning {
                wanted: wanted.to_owned(),
                running,
            }),
        }
    }

    fn make_private(&self) -> Result<(), MeetingError> {
        let made = fs::DirBuilder::new().mode(0o700).create(&self.directory);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(self.unusable(error)),
            _ => self.check_private(),
        }
    }

    /// Refuses a directory in which somebody else could put a socket of their own.
    fn check_private(&self) -> Result<(), MeetingError> {
        let metadata = fs::symlink_metadata(&self.directory);
        let metadata = metadata.map_err(|source| self.unusable(source))?;
        let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
        if metadata.is_dir() && owner == world::user() && mode & 0o077 == 0 {
            return Ok(());
        }
        Err(MeetingError::NotPrivate {
            path: self.directory.clone(),
            is_directory: metadata.is_dir(),
            owner,
            mode,
            user: world::user(),
        })
    }

    fn unusable(&self, source: io::Error) -> MeetingError {
        MeetingError::Unusable {
            path: self.directory.clone(),
            source,
        }
    }
}

/// A path as records keep it.
pub(crate) fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
