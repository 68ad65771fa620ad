//! What the page of the header says in the database file itself, read past SQLite, which has newer ones in its log.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use rusqlite::{Connection, Row};

/// Where the header is in a database file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    start: u64,
    bytes: u64,
}

/// The state of a database that a file has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Written {
    id: Vec<u8>,
    last_version: u64,
}

impl Page {
    pub(super) fn find(connection: &Connection) -> rusqlite::Result<Self> {
        const ROOT: &str = "SELECT rootpage FROM sqlite_schema WHERE name = 'meta'";
        let number = |row: &Row<'_>| row.get::<_, u32>(0).map(u64::from);
        let root = connection.query_row(ROOT, [], number)?;
        let bytes = connection.pragma_query_value(None, "page_size", number)?;
        let start = root.saturating_sub(1) * bytes;
        Ok(Self { start, bytes })
    }

    /// Reads it; nothing if there is no header.
    pub(super) fn read(self, mut file: &File) -> io::Result<Option<Written>> {
        let mut page = Vec::new();
        file.seek(SeekFrom::Start(self.start))?;
        file.take(self.bytes).read_to_end(&mut page)?;
        Ok(Written::of(&page))
    }
}

impl Written {
    /// Whether a file that had `before` has this once more of its log is in it.
    pub(super) fn follows(&self, before: &Self) -> bool {
        self.id == before.id && self.last_version >= before.last_version
    }

    /// Takes the one row of the table from a page: SQLite's file format, sections 1.6 and 2.1.
    fn of(page: &[u8]) -> Option<Self> {
        let mut at = usize::from(u16::from_be_bytes([*page.get(8)?, *page.get(9)?]));
        let _row_bytes = number(page, &mut at)?;
        let _row_id = number(page, &mut at)?;
        let head = at;
        let head_bytes = number(page, &mut at)?;
        let id_type = number(page, &mut at)?;
        let version_type = number(page, &mut at)?;
        let body = head.checked_add(usize::try_from(head_bytes).ok()?)?;
        let id_bytes = usize::try_from(id_type.checked_sub(13)? / 2).ok()?;
        let (id, rest) = page.get(body..)?.split_at_checked(id_bytes)?;
        let version_bytes = match version_type {
            8 => 0,
            bytes @ 1..=4 => usize::try_from(bytes).ok()?,
            5 => 6,
            6 => 8,
            // The number 1 takes no place; others do not occur.
            9 => return Some(Self::new(id, 1)),
            _ => return None,
        };
        let version = rest.get(..version_bytes)?.iter();
        let version = version.fold(0, |all, byte| all << 8 | u64::from(*byte));
        Some(Self::new(id, version))
    }

    fn new(id: &[u8], last_version: u64) -> Self {
        let id = id.to_vec();
        Self { id, last_version }
    }
}

/// Reads a number of 7 bits in each byte, the last of which has no eighth.
pub(super) fn number(page: &[u8], at: &mut usize) -> Option<u64> {
    let mut all = 0;
    for _byte in 0..8 {
        let byte = *page.get(*at)?;
        *at += 1;
        all = all << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some(all);
        }
    }
    None
}
