//! Notices when a database file is replaced, moved, deleted, cut or overwritten while it is open.

use std::fs::{self, File, Metadata};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::damage::{Damage, Fault, Moved};
use super::files;
use super::open::is_full;
use super::page::{Page, Written};

/// The files that a database consists of, and where they must still be found.
#[derive(Debug)]
pub(super) struct Place {
    database: Watched,
    /// It has what was acknowledged and is not in the database file yet.
    log: Watched,
    stamp: Stamp,
    /// What is in the file: every commit changes it in the log, and it comes into the file when that is emptied.
    /// Stamps alone do not tell who wrote: other programs may empty the log, and some file systems are late.
    written: Option<Written>,
    page: Page,
    /// Open for as long as the database: its number cannot be given to another file meanwhile.
    /// Dropped behind SQLite's handles, since closing it ends their locks.
    file: File,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    identity: Identity,
}

/// How long the file is, and when it was written last.
type Stamp = (u64, Option<SystemTime>);

impl Place {
    /// Remembers the files of a database that is open, `file` being the one at `path`.
    pub(super) fn new(path: &Path, file: File, connection: &Connection) -> Result<Self, Fault> {
        let log = files::log(path);
        let metadata = file.metadata().map_err(Moved::out_of_reach(path))?;
        let beside = fs::metadata(&log).map_err(Moved::out_of_reach(&log))?;
        let mut place = Self {
            database: Watched::new(path.to_owned(), &metadata),
            log: Watched::new(log, &beside),
            stamp: (0, None),
            written: None,
            page: Page::find(connection)?,
            file,
        };
        place.settle()?;
        Ok(place)
    }

    /// Compares what is at the paths with what was left there.
    pub(super) fn check(&mut self) -> Result<(), Fault> {
        self.log.check()?;
        let stamp = self.database.check()?;
        let (found, expected) = (stamp.0, self.stamp.0);
        if found < expected {
            return Err(Damage::Length { found, expected }.into());
        }
        if stamp != self.stamp {
            let written = self.read()?;
            let is_ours = match (&written, &self.written) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(written), Some(before)) => written.follows(before),
            };
            if !is_ours {
                return Err(self.database.moved("overwritten").into());
            }
            self.written = written;
        }
        self.stamp = stamp;
        Ok(())
    }

    /// The same behind a commit, which may have emptied the log into the file.
    pub(super) fn settle(&mut self) -> Result<(), Fault> {
        self.log.check()?;
        let stamp = self.database.check()?;
        let (found, expected) = (stamp.0, self.stamp.0);
        if found < expected {
            return Err(Damage::Length { found, expected }.into());
        }
        if stamp != self.stamp {
            self.written = self.read()?;
        }
        self.stamp = stamp;
        Ok(())
    }

    /// Leaves the files to what was done to them, once that was noticed.
    ///
    /// A file that was moved away gets everything acknowledged. Then nothing stays in the log, which SQLite
    /// would take for that of what is at the path now.
    pub(super) fn leave(&self, connection: &Connection) -> rusqlite::Result<()> {
        match self.database.check() {
            Ok(_) if self.log.check().is_ok() => {
                connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
                let log = File::options().write(true).open(&self.log.path);
                // If that fails, what is in the file is told to be damaged when it is opened again.
                drop(log.and_then(|log| log.set_len(0)));
                Ok(())
            }
            _ => connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"),
        }
    }

    /// Tells whether there is no space for more in the log, or for what is in it in the database file.
    pub(super) fn is_full(&self, connection: &Connection) -> bool {
        let attempt = || {
            let log = fs::metadata(&self.log.path)?.len();
            let length = log.max(whole(connection).saturating_sub(4_096));
            let mut file = tempfile::tempfile_in(files::directory(&self.log.path))?;
            file.seek(SeekFrom::Start(length))?;
            file.write_all(&[0; 4_096])?;
            file.sync_all()
        };
        attempt().is_err_and(|error| is_full(&error))
    }

    fn read(&self) -> Result<Option<Written>, Fault> {
        let read = self.page.read(&self.file);
        read.map_err(Moved::out_of_reach(&self.database.path))
    }
}

/// How long the database file is to be with what is in the log; 0 if that cannot be told.
fn whole(connection: &Connection) -> u64 {
    let sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
    let bytes = connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    bytes.map_or(0, i64::cast_unsigned)
}

impl Watched {
    fn new(path: PathBuf, metadata: &Metadata) -> Self {
        let identity = identity(metadata);
        Self { path, identity }
    }

    fn check(&self) -> Result<Stamp, Fault> {
        match fs::metadata(&self.path) {
            Ok(there) if identity(&there) == self.identity => {
                Ok((there.len(), there.modified().ok()))
            }
            Ok(_) => Err(self.moved("another file").into()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(self.moved("gone").into()),
            Err(e) => Err(Moved::out_of_reach(&self.path)(e)),
        }
    }

    fn moved(&self, found: &'static str) -> Moved {
        let path = self.path.display().to_string();
        Moved { path, found }
    }
}

#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere the system keeps open files from being replaced.
#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {}
