//! What can be damaged in a database file, and the checksums that tell; looking for it is the job of `audit`.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::types::FromSqlError;
use rusqlite::{ErrorCode, ffi};

use super::super::change::Usage;
use super::super::record::Address;
use super::super::{StorageError, Trouble};

/// What is damaged in a database file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The pages of the file do not fit together.
    #[error("SQLite finds `{found}`")]
    Structure {
        /// SQLite's words.
        found: String,
    },
    /// There is nothing in the file.
    #[error("it is empty, expected database `{id}`")]
    Emptied {
        /// The identity of the database that was in it.
        id: String,
    },
    /// There is a log, and nothing in the file that it belongs to.
    #[error("it is {found}, expected the database whose log `{}` is there", log.display())]
    LogAlone {
        /// What is there in the place of the file.
        found: &'static str,
        /// The log, with what was written last.
        log: PathBuf,
    },
    /// The log does not fit together, and not only at its end, as a crash leaves it.
    #[error(
        "{} of its log `{}` does not match its checksum, and commits come behind it",
        log_part(*frame),
        log.display()
    )]
    Log {
        /// The log, with what was written last.
        log: PathBuf,
        /// The number of the first frame that is damaged; 0 is the head of the log.
        frame: u64,
    },
    /// The file is shorter than it was.
    #[error("it has {found} bytes, expected at least {expected}")]
    Length {
        /// How long it is.
        found: u64,
        /// How long it was.
        expected: u64,
    },
    /// The number of its format is none that there ever was.
    #[error("it has format {found}, which there never was")]
    Format {
        /// The number that is there.
        found: i64,
    },
    /// A table is missing or has another form.
    #[error("its table `{table}` is not as its format has it")]
    Table {
        /// The name of the table.
        table: &'static str,
    },
    /// What the file says of itself is missing or does not match its checksum.
    #[error("what it says of itself does not match its checksum")]
    Header,
    /// The file does not begin as a database does.
    #[error("its beginning is not that of an SQLite database")]
    Beginning,
    /// A record does not match its checksum.
    #[error("record `{namespace}/{key}` does not match its checksum")]
    Checksum {
        /// The namespace of the record.
        namespace: String,
        /// The key of the record.
        key: String,
    },
    /// A record cannot be read.
    #[error("record `{namespace}/{key}` cannot be read: {found}")]
    Record {
        /// The namespace of the record.
        namespace: String,
        /// The key of the record.
        key: String,
        /// SQLite's words.
        found: String,
    },
    /// The records that come behind one cannot be read.
    #[error("what comes behind record `{namespace}/{key}` cannot be read: {found}")]
    Behind {
        /// The namespace of the last record that can be read.
        namespace: String,
        /// The key of the last record that can be read.
        key: String,
        /// SQLite's words.
        found: String,
    },
    /// A record has a version that was not given yet.
    #[error("record `{namespace}/{key}` has version {found}, the last one given is {last}")]
    Version {
        /// The namespace of the record.
        namespace: String,
        /// The key of the record.
        key: String,
        /// The version of the record.
        found: u64,
        /// The last version that the file says to have given.
        last: u64,
    },
    /// Records are missing in a namespace, or too many.
    #[error(
        "namespace `{namespace}` has {} records of {} bytes, expected {} of {}",
        found.records, found.bytes, expected.records, expected.bytes
    )]
    Usage {
        /// The namespace.
        namespace: String,
        /// What is there.
        found: Usage,
        /// What was counted when it was written.
        expected: Usage,
    },
}

impl Damage {
    pub(super) fn checksum(at: Address<'_>) -> Self {
        Self::Checksum {
            namespace: at.namespace().to_owned(),
            key: at.key().to_owned(),
        }
    }

    pub(super) fn record(at: Address<'_>, found: &rusqlite::Error) -> Self {
        Self::Record {
            namespace: at.namespace().to_owned(),
            key: at.key().to_owned(),
            found: found.to_string(),
        }
    }

    pub(super) fn version(at: Address<'_>, found: u64, last: u64) -> Self {
        Self::Version {
            namespace: at.namespace().to_owned(),
            key: at.key().to_owned(),
            found,
            last,
        }
    }

    pub(super) fn structure(found: &str) -> Self {
        let found = found.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::Structure { found }
    }
}

fn log_part(frame: u64) -> String {
    match frame {
        0 => "the head".to_owned(),
        frame => format!("frame {frame}"),
    }
}

/// Why something was not read or written.
#[derive(Debug)]
pub(super) enum Fault {
    Sqlite(rusqlite::Error),
    Damage(Damage),
    /// A write failed, for there is no space, whatever SQLite calls it.
    Full(rusqlite::Error),
    /// The file at the path is not the one that is open.
    Replaced(Moved),
}

/// A file is no longer where it was opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is {found}, expected the file that was opened")]
pub(super) struct Moved {
    pub(super) path: String,
    pub(super) found: &'static str,
}

impl Moved {
    /// What cannot be looked at might as well be elsewhere.
    pub(super) fn out_of_reach(path: &Path) -> impl FnOnce(io::Error) -> Fault {
        let path = path.display().to_string();
        move |_| {
            let found = "out of reach";
            Self { path, found }.into()
        }
    }
}

impl Fault {
    /// Names the record that a read failed on, if it failed on the file's content.
    pub(super) fn at(at: Address<'_>, error: rusqlite::Error) -> Self {
        match trouble(&error) {
            Trouble::Corrupt => Self::Damage(Damage::record(at, &error)),
            _ => Self::Sqlite(error),
        }
    }

    /// Names the last record that was read before a read failed on the file's content.
    pub(super) fn behind(last: Option<(String, String)>, error: rusqlite::Error) -> Self {
        match (trouble(&error), last) {
            (Trouble::Corrupt, Some((namespace, key))) => Self::Damage(Damage::Behind {
                namespace,
                key,
                found: error.to_string(),
            }),
            _ => Self::Sqlite(error),
        }
    }

    pub(super) fn trouble(&self) -> Trouble {
        match self {
            Self::Sqlite(error) => trouble(error),
            Self::Damage(_) => Trouble::Corrupt,
            Self::Full(_) => Trouble::Full,
            Self::Replaced(_) => Trouble::Replaced,
        }
    }

    /// Whether nobody knows any more what a further write would do.
    ///
    /// After a failed sync nobody knows what is on the disk. A write that failed is written again by the next
    /// one, so that is no reason.
    pub(super) fn ends_writes(&self) -> bool {
        match self {
            Self::Replaced(_) | Self::Damage(Damage::Length { .. }) => true,
            Self::Damage(_) | Self::Full(_) => false,
            Self::Sqlite(error) => trouble(error) == Trouble::Io && !is_failed_write(error),
        }
    }

    pub(super) fn into_error(self, store: &Arc<str>) -> StorageError {
        let trouble = self.trouble();
        let source: Arc<dyn Error + Send + Sync> = match self {
            Self::Sqlite(error) | Self::Full(error) => Arc::new(error),
            Self::Damage(damage) => Arc::new(damage),
            Self::Replaced(moved) => Arc::new(moved),
        };
        StorageError::Unavailable {
            store: store.clone(),
            trouble,
            source,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<FromSqlError> for Fault {
    fn from(error: FromSqlError) -> Self {
        Self::Sqlite(error.into())
    }
}

impl From<Moved> for Fault {
    fn from(moved: Moved) -> Self {
        Self::Replaced(moved)
    }
}

impl From<Damage> for Fault {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

/// Whether a write failed for a reason that SQLite does not tell: it knows one kind of full disk, and
/// neither a user's share of it nor a limit on the size of files.
pub(super) fn is_failed_write(error: &rusqlite::Error) -> bool {
    error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_WRITE)
}

pub(super) fn trouble(error: &rusqlite::Error) -> Trouble {
    use rusqlite::Error;
    match error {
        // No column of ours has another type than it is read with.
        Error::InvalidColumnType(..)
        | Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::Utf8Error(..) => return Trouble::Corrupt,
        _ => {}
    }
    // Of the failures of input and output, the one to enlarge the memory that connections share: it lies in
    // a file, and SQLite fills its new pages so as to find out here whether there is space for them.
    if error.sqlite_extended_error_code() == Some(ffi::SQLITE_IOERR_SHMSIZE) {
        return Trouble::Full;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Trouble::Full,
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            Trouble::Permission
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Trouble::Corrupt,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::Busy,
        Some(ErrorCode::SystemIoFailure) => Trouble::Io,
        _ => Trouble::Other,
    }
}

/// The bytes that are gathered before they are added up: both names in any case, and a small value.
const GATHERED: usize = 1_024;

/// Computes the checksum of a record; a name has no NUL, so the parts cannot be shifted.
pub(super) fn checksum(at: Address<'_>, version: u64, value: &[u8]) -> u32 {
    // Each piece costs a beginning of its own, and short ones are not added up many bytes at a time.
    let mut gathered = [0; GATHERED];
    let mut length = 0;
    let mut gather = |bytes: &[u8]| {
        let fits = bytes.len().min(GATHERED - length);
        gathered[length..length + fits].copy_from_slice(&bytes[..fits]);
        length += fits;
        fits
    };
    gather(at.namespace().as_bytes());
    gather(&[0]);
    gather(at.key().as_bytes());
    gather(&[0]);
    gather(&version.to_le_bytes());
    let fits = gather(value);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&gathered[..length]);
    hasher.update(&value[fits..]);
    hasher.finalize()
}
