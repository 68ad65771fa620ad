//! What a database file says of itself: its format, its identity, its last version, its part beside another file.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row};

use super::damage::{Damage, Fault};

const READ: &str = "SELECT id, last_version, epoch, following, checksum FROM meta";
const WRITE: &str = "UPDATE meta
    SET id = ?1, last_version = ?2, epoch = ?3, following = ?4, checksum = ?5";

/// What a database file says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The format of the file.
    pub format: u32,
    /// Names the database: the same in a file and in what follows or was copied from it; empty in format 1.
    pub id: Arc<str>,
    /// The last version given.
    pub last_version: u64,
    /// Raised by each takeover: of two files with one id, the one with the higher epoch leads.
    pub epoch: u64,
    /// Whether the file only follows another database.
    pub following: bool,
}

impl Header {
    /// Reads it from a file of the present format.
    pub(super) fn read(connection: &Connection) -> Result<Self, Fault> {
        let mut statement = connection.prepare_cached(READ)?;
        let mut rows = statement.query([])?;
        let found = rows.next()?.map(Self::of).transpose()?;
        match found {
            Some((header, checksum)) if header.checksum() == checksum && rows.next()?.is_none() => {
                Ok(header)
            }
            _ => Err(Damage::Header.into()),
        }
    }

    /// Reads what there is in a file of format 1.
    pub(super) fn read_first(connection: &Connection) -> Result<Self, Fault> {
        let last_version = connection
            .query_row("SELECT last_version FROM counter", [], |row| {
                row.get::<_, i64>(0)
            })
            .optional()?
            .ok_or(Damage::Header)?;
        Ok(Self {
            format: 1,
            id: "".into(),
            last_version: last_version.cast_unsigned(),
            epoch: 0,
            following: false,
        })
    }

    /// The same at another version.
    pub(super) fn at(&self, last_version: u64) -> Self {
        Self {
            last_version,
            ..self.clone()
        }
    }

    /// Writes it over what was there.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.prepare_cached(WRITE)?.execute((
            &*self.id,
            self.last_version.cast_signed(),
            self.epoch.cast_signed(),
            self.following,
            self.checksum(),
        ))?;
        Ok(())
    }

    fn of(row: &Row<'_>) -> rusqlite::Result<(Self, u32)> {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let header = Self {
            format: super::format::FORMAT,
            id: row.get_ref(0)?.as_str()?.into(),
            last_version: number(1)?,
            epoch: number(2)?,
            following: row.get(3)?,
        };
        Ok((header, row.get(4)?))
    }

    fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(self.id.as_bytes());
        for number in [self.last_version, self.epoch, self.following.into()] {
            hasher.update(&number.to_le_bytes());
        }
        hasher.finalize()
    }
}
