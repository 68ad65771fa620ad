//! Opens a database file: finds it, locks it, knows its format, looks for damage, creates it where there is none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::super::Trouble;
use super::audit;
use super::damage::{self, Damage, Fault};
use super::files;
use super::format::{self, APPLICATION, Content, FORMAT};
use super::header::Header;
use super::lock::Lock;
use super::log;
use super::place::Place;

/// What is kept of a log that a long snapshot let grow.
const LOG_BYTES: i64 = 16 << 20;

/// Why a database file was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Something else than a file is there.
    #[error("storage `{}` is {found}, expected a database file", path.display())]
    NotAFile {
        /// The path asked for.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// A file or directory cannot be reached or made.
    #[error("cannot {action} `{}` for the storage", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Another kernel has it open.
    #[error(
        "storage `{}` is in use by another kernel{}, which holds `{}`",
        path.display(),
        process.map(|id| format!(" (process {id})")).unwrap_or_default(),
        lock.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// The number of the other kernel's process, if it can be told.
        process: Option<u32>,
        /// The locked file beside it.
        lock: PathBuf,
    },
    /// The file is not an SQLite database.
    #[error("storage `{}` is not an SQLite database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is another program's database.
    #[error("storage `{}` is a database of another program (application id {found:#x}, expected {APPLICATION:#x})", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its application id.
        found: i64,
    },
    /// A newer kernel wrote the file.
    #[error("storage `{}` has format {found}, this kernel reads formats up to {FORMAT}", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// The file is damaged.
    #[error("storage `{}` is damaged: {damage}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is damaged in it.
        damage: Box<Damage>,
    },
    /// SQLite refused.
    #[error("cannot open storage `{}`", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// SQLite's reason.
        source: rusqlite::Error,
    },
    /// The writer's thread cannot be started.
    #[error("cannot start the thread that writes the storage")]
    Thread {
        /// The operating system's reason.
        source: io::Error,
    },
}

impl OpenError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::InUse { .. } => "stop the other kernel, or give this one another data directory",
            Self::NewerFormat { .. } => {
                "run the newer kernel that wrote it, or choose another path"
            }
            Self::NotAFile { .. } | Self::NotADatabase { .. } | Self::Foreign { .. } => {
                "choose another path for the storage; a new file is made there"
            }
            Self::Io { path, source, .. } if is_full(source) => {
                return Trouble::Full.hint(&path.to_string_lossy());
            }
            Self::Damaged { damage, .. } if matches!(**damage, Damage::LogAlone { .. }) => {
                "bring the database file back beside its log; to begin anew, move the log away"
            }
            Self::Damaged { damage, .. } if matches!(**damage, Damage::Emptied { .. }) => {
                "restore it with `octa storage restore BACKUP --force`, or go on with its standby, if it has one: \
                 `octa storage takeover`; to begin anew, delete it"
            }
            Self::Damaged { .. } => {
                "restore it with `octa storage restore BACKUP --force`, which keeps the damaged file, or go on with \
                 its standby, if it has one: `octa storage takeover`; with neither, save what can be read: \
                 `octa storage salvage --to NEW`"
            }
            Self::Io { .. } => "let this user read and write the file and its directory",
            Self::Sqlite { path, source } => {
                return damage::trouble(source).hint(&path.to_string_lossy());
            }
            Self::Thread { .. } => return None,
        };
        Some(hint.to_owned())
    }

    fn damaged(path: PathBuf, damage: Damage) -> Self {
        let damage = Box::new(damage);
        Self::Damaged { path, damage }
    }

    fn of(path: &Path, fault: Fault) -> Self {
        let path = path.to_owned();
        match fault {
            Fault::Damage(damage) => Self::damaged(path, damage),
            Fault::Sqlite(e) if e.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                Self::NotADatabase { path }
            }
            // What is asked of a file of ours is always the same: what SQLite finds wrong is in the file.
            Fault::Sqlite(e)
                if matches!(damage::trouble(&e), Trouble::Corrupt | Trouble::Other) =>
            {
                Self::damaged(path, Damage::structure(&e.to_string()))
            }
            Fault::Sqlite(source) | Fault::Full(source) => Self::Sqlite { path, source },
            Fault::Replaced(moved) => Self::Io {
                action: "watch",
                path,
                source: io::Error::other(moved),
            },
        }
    }
}

/// Whether there is no space for a write, of whatever kind.
pub(super) fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// A database that is ours until `lock` is dropped, with the connection that writes.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) header: Header,
    pub(super) place: Place,
    pub(super) lock: Lock,
}

pub(super) fn open(path: &Path, is_checked: bool) -> Result<Opened, OpenError> {
    let path = locate(path)?;
    let mut lock = Lock::of(&path)?;
    refuse_log_alone(&path)?;
    refuse_damaged_log(&path)?;
    let is_there = path.exists();
    // Declared before the connection, so that it is closed after it.
    let file = files::private()
        .create(true)
        .open(&path)
        .map_err(io("open", &path))?;
    // It was a database of ours when it was open last.
    let known = |error| match (error, lock.id()) {
        (OpenError::NotADatabase { path }, Some(_)) => OpenError::damaged(path, Damage::Beginning),
        (error, _) => error,
    };
    let connected = connect(&path).map_err(|e| OpenError::of(&path, e.into()));
    let mut connection = connected.map_err(known)?;
    let content = recognise(&path, &connection).map_err(known)?;
    if let (Content::Nothing, Some(id), true) = (content, lock.id(), is_there) {
        let id = id.to_owned();
        return Err(OpenError::of(&path, Damage::Emptied { id }.into()));
    }
    if let (Content::Nothing, Some(id)) = (content, lock.id()) {
        ::log::warn!(
            "storage `{}`: the database `{id}` that was here is gone; an empty one takes its place",
            path.display()
        );
    }
    let header =
        prepare(&mut connection, content, is_checked).map_err(|e| OpenError::of(&path, e))?;
    lock.say(Some(header.id.to_string()));
    let place = Place::new(&path, file, &connection).map_err(|e| OpenError::of(&path, e))?;
    Ok(Opened {
        path,
        connection,
        header,
        place,
        lock,
    })
}

/// Reads what a file says of itself, whoever has it open; nothing if there is no database yet.
pub(super) fn header(path: &Path) -> Result<Option<Header>, OpenError> {
    let path = locate(path)?;
    refuse_log_alone(&path)?;
    if !path.exists() {
        return Ok(None);
    }
    refuse_damaged_log(&path)?;
    let connection = connect(&path).map_err(|e| OpenError::of(&path, e.into()))?;
    let header = match recognise(&path, &connection)? {
        Content::Nothing => return Ok(None),
        Content::Format(1) => Header::read_first(&connection),
        _ => Header::read(&connection),
    };
    header.map(Some).map_err(|e| OpenError::of(&path, e))
}

/// Opens a copy of a database for what can still be read of it, with the damage in its log, which is read as far as
/// it goes.
pub(in crate::storage) fn salvaged(path: &Path) -> Result<(Connection, Option<Damage>), OpenError> {
    refuse_log_alone(path)?;
    let damage = damage_of_log(path)?;
    let mut connection = connect(path).map_err(|e| OpenError::of(path, e.into()))?;
    let fault = match recognise(path, &connection)? {
        Content::Nothing => Some(Damage::structure("there is nothing in it").into()),
        Content::Format(1) => format::migrate(&mut connection).err(),
        _ => None,
    };
    match fault {
        None => Ok((connection, damage)),
        Some(fault) => Err(OpenError::of(path, fault)),
    }
}

fn damage_of_log(path: &Path) -> Result<Option<Damage>, OpenError> {
    log::damage(path).map_err(io("read", &files::log(path)))
}

/// SQLite takes damage in a log for its end, and drops what was acknowledged behind it.
fn refuse_damaged_log(path: &Path) -> Result<(), OpenError> {
    match damage_of_log(path)? {
        None => Ok(()),
        Some(damage) => Err(OpenError::damaged(path.to_owned(), damage)),
    }
}

/// SQLite deletes a log that it finds beside an empty file, and all that was acknowledged and is only there.
fn refuse_log_alone(path: &Path) -> Result<(), OpenError> {
    let length = |path: &Path| match fs::metadata(path) {
        Ok(there) => Ok(Some(there.len())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io("find", path)(e)),
    };
    let found = match length(path)? {
        None => "missing",
        Some(0) => "empty",
        Some(_) => return Ok(()),
    };
    let log = files::log(path);
    match length(&log)? {
        None | Some(0) => Ok(()),
        Some(_) => Err(OpenError::damaged(
            path.to_owned(),
            Damage::LogAlone { found, log },
        )),
    }
}

/// Finds the one path of the file, whatever links lead there, so that two kernels meet at one lock.
pub(super) fn locate(path: &Path) -> Result<PathBuf, OpenError> {
    let not_a_file = |found| {
        Err(OpenError::NotAFile {
            path: path.to_owned(),
            found,
        })
    };
    match fs::metadata(path) {
        Ok(there) if there.is_file() => return path.canonicalize().map_err(io("find", path)),
        Ok(there) if there.is_dir() => return not_a_file("a directory"),
        Ok(_) => return not_a_file("not a regular file"),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(io("find", path)(e)),
    }
    let Some(name) = path.file_name() else {
        return not_a_file("not the name of a file");
    };
    let directory = files::directory(path);
    if !directory.exists() {
        files::create_directory(directory).map_err(io("create directory", directory))?;
    }
    let directory = directory.canonicalize().map_err(io("find", directory))?;
    Ok(directory.join(name))
}

pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io {
        action,
        path,
        source,
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // In KiB: small, for the operating system has the file in its own cache.
    connection.pragma_update(None, "cache_size", -1_024)?;
    Ok(connection)
}

fn recognise(path: &Path, connection: &Connection) -> Result<Content, OpenError> {
    let path = path.to_owned();
    match format::recognise(connection) {
        Ok(Content::Foreign(found)) => Err(OpenError::Foreign { path, found }),
        Ok(Content::Newer(found)) => Err(OpenError::NewerFormat { path, found }),
        Ok(content) => Ok(content),
        Err(fault) => Err(OpenError::of(&path, fault)),
    }
}

/// Makes of what is there a whole database of the present format.
fn prepare(
    connection: &mut Connection,
    content: Content,
    is_checked: bool,
) -> Result<Header, Fault> {
    // SQLite opens a file for reading only if its head says that it is for newer versions to write.
    if connection.is_readonly(MAIN_DB)? {
        return Err(Damage::structure("the file is for newer versions to write").into());
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    if is_checked {
        audit::structure(connection).map_err(|found| audit::name(connection, found))?;
    }
    match content {
        Content::Nothing => format::create(connection)?,
        Content::Format(1) => format::migrate(connection)?,
        _ => {}
    }
    // The file is to have its header in it; where that finds no space, it comes there later.
    drop(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"));
    if is_checked {
        audit::content(connection)?;
        connection.execute_batch("PRAGMA shrink_memory")?;
    }
    Header::read(connection)
}
