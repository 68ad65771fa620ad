//! Opens a database file: locks it, knows its format, creates it where there is none.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::trouble;

/// The format written and read; `PRAGMA user_version` of the file.
const FORMAT: i64 = 1;
/// `PRAGMA application_id` of our files: "Octa".
const APPLICATION: i64 = 0x4F63_7461;

const SCHEMA: &str = "
    CREATE TABLE records (
        namespace TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (namespace, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE counter (last_version INTEGER NOT NULL) STRICT;
    INSERT INTO counter VALUES (0);
";

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
    #[error("storage `{}` is in use by another kernel, which holds `{}`", path.display(), lock.display())]
    InUse {
        /// The database.
        path: PathBuf,
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
            Self::Io { .. } => "let this user read and write the file and its directory",
            Self::Sqlite { path, source } => {
                return trouble(source).hint(&path.to_string_lossy());
            }
            Self::Thread { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// A database that is ours until `lock` is dropped, with the connection that writes.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) last_version: u64,
    pub(super) lock: File,
}

pub(super) fn open(path: &Path) -> Result<Opened, OpenError> {
    let path = locate(path)?;
    let lock = lock(&path)?;
    create(&path)?;
    match connect(&path) {
        Ok((connection, last_version)) => Ok(Opened {
            path,
            connection,
            last_version,
            lock,
        }),
        Err(Refusal::Foreign(found)) => Err(OpenError::Foreign { path, found }),
        Err(Refusal::NewerFormat(found)) => Err(OpenError::NewerFormat { path, found }),
        Err(Refusal::Sqlite(e)) if e.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            Err(OpenError::NotADatabase { path })
        }
        Err(Refusal::Sqlite(source)) => Err(OpenError::Sqlite { path, source }),
    }
}

/// Finds the one path of the file, whatever links lead there, so that two kernels meet at one lock.
fn locate(path: &Path) -> Result<PathBuf, OpenError> {
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
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(directory).map_err(io("create directory", directory))?;
    let directory = directory.canonicalize().map_err(io("find", directory))?;
    Ok(directory.join(name))
}

/// The lock is on a file of its own, and SQLite alone opens the database where there is one:
/// closing any handle to a file ends the locks that this process has on it, SQLite's too.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let file = private()
        .create(true)
        .open(&lock)
        .map_err(io("open", &lock))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
            lock,
        }),
        Err(TryLockError::Error(source)) => Err(io("lock", &lock)(source)),
    }
}

/// Makes the file, if there is none, for its owner only; SQLite gives its files beside it the same mode.
fn create(path: &Path) -> Result<(), OpenError> {
    match private().create_new(true).open(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(io("create", path)(e)),
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Io {
        action,
        path,
        source,
    }
}

enum Refusal {
    Foreign(i64),
    NewerFormat(i64),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The format is known before anything is changed: the file may be someone else's.
fn connect(path: &Path) -> Result<(Connection, u64), Refusal> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    let is_new = is_new(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    if is_new {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        initialise(transaction)?;
    }
    let last_version: i64 =
        connection.query_row("SELECT last_version FROM counter", [], |row| row.get(0))?;
    Ok((connection, last_version.cast_unsigned()))
}

fn is_new(connection: &Connection) -> Result<bool, Refusal> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && tables == 0 {
        return Ok(true);
    }
    if application != APPLICATION {
        return Err(Refusal::Foreign(application));
    }
    match pragma("user_version")? {
        format if format > FORMAT => Err(Refusal::NewerFormat(format)),
        _ => Ok(false),
    }
}

fn initialise(transaction: Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}
