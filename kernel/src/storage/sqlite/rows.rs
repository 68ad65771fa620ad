//! Records and counts as rows of the tables; transactions are begun and ended by the users of this.

use std::sync::Arc;

use octa_plugin_api::Payload;
use rusqlite::{Connection, OptionalExtension, Row};

use super::super::change::{Change, Usage};
use super::super::plan::{Found, Present};
use super::super::record::{Address, Entry, Page, Query, Record};
use super::damage::{Damage, Fault, checksum};

const GET: &str = "SELECT version, checksum, value FROM records
    WHERE namespace = ?1 AND key = ?2";
/// The end of a prefix is found while reading: rows come one by one, in the order of the keys' bytes.
const LIST: &str = "SELECT version, checksum, value, key FROM records
    WHERE namespace = ?1 AND key >= ?2 ORDER BY key";
const ALL: &str = "SELECT version, checksum, value, key, namespace FROM records
    WHERE (namespace, key) > (?1, ?2) ORDER BY namespace, key";
/// The length of a value stands before it: the pages of a large one are not read.
const FOUND: &str = "SELECT version, length(value) FROM records
    WHERE namespace = ?1 AND key = ?2";
const PUT: &str = "INSERT INTO records (namespace, key, version, checksum, value)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT DO UPDATE SET
    version = excluded.version, checksum = excluded.checksum, value = excluded.value";
const DELETE: &str = "DELETE FROM records WHERE namespace = ?1 AND key = ?2";
const USAGE: &str = "SELECT records, bytes FROM usage WHERE namespace = ?1";
const USAGES: &str = "SELECT records, bytes, namespace FROM usage ORDER BY namespace";
const COUNT: &str = "INSERT INTO usage (namespace, records, bytes) VALUES (?1, ?2, ?3)
    ON CONFLICT DO UPDATE SET records = excluded.records, bytes = excluded.bytes";
const UNCOUNT: &str = "DELETE FROM usage WHERE namespace = ?1";

/// The rows that a connection sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows<'a>(pub(super) &'a Connection);

impl Rows<'_> {
    pub(super) fn get(self, at: Address<'_>) -> Result<Option<Record>, Fault> {
        let named = |e| Fault::at(at, e);
        let mut statement = self.0.prepare_cached(GET)?;
        let mut rows = statement.query((at.namespace(), at.key())).map_err(named)?;
        let row = rows.next().map_err(named)?;
        row.map(|row| record(at, row)).transpose()
    }

    pub(super) fn page(self, query: Query<'_>) -> Result<Page, Fault> {
        let mut statement = self.0.prepare_cached(LIST)?;
        let entry = |row: &Row<'_>| {
            let key = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
            let record = record(Address::checked(query.namespace(), key), row)?;
            Ok(Entry::new(key, record))
        };
        let rows = statement.query_map((query.namespace(), query.start()), |row| Ok(entry(row)))?;
        query.page(rows.map(|row| row.map_err(Fault::from).flatten()))
    }

    /// Hands over all records behind an address, in order, until `take` wants no more.
    pub(super) fn walk(
        self,
        behind: (&str, &str),
        mut take: impl FnMut(Address<'_>, Record) -> bool,
    ) -> Result<(), Fault> {
        let mut statement = self.0.prepare_cached(ALL)?;
        let mut rows = statement.query(behind)?;
        let mut last: Option<(String, String)> = None;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(()),
                Err(e) => return Err(Fault::behind(last, e)),
            };
            let (namespace, key) = (namespace(row)?, key(row)?);
            let at = Address::checked(&namespace, &key);
            if !take(at, record(at, row)?) {
                return Ok(());
            }
            last = Some((namespace, key));
        }
    }

    /// Puts a record in the place of what is there.
    pub(super) fn put(self, at: Address<'_>, version: u64, value: &[u8]) -> rusqlite::Result<()> {
        let checksum = checksum(at, version, value);
        let version = version.cast_signed();
        let row = (at.namespace(), at.key(), version, checksum, value);
        self.0.prepare_cached(PUT)?.execute(row)?;
        Ok(())
    }

    /// Does to a record what was decided.
    pub(super) fn change(self, change: &Change) -> rusqlite::Result<()> {
        let at = Address::checked(&change.namespace, &change.key);
        match &change.value {
            Some(value) => self.put(at, change.version, value),
            None => {
                let row = (at.namespace(), at.key());
                self.0.prepare_cached(DELETE)?.execute(row)?;
                Ok(())
            }
        }
    }

    /// Says what a namespace holds.
    pub(super) fn count(self, namespace: &str, usage: Usage) -> rusqlite::Result<()> {
        if usage == Usage::default() {
            self.0.prepare_cached(UNCOUNT)?.execute([namespace])?;
            return Ok(());
        }
        let row = (
            namespace,
            usage.records.cast_signed(),
            usage.bytes.cast_signed(),
        );
        self.0.prepare_cached(COUNT)?.execute(row)?;
        Ok(())
    }

    /// What each namespace holds, in the order of their names.
    pub(super) fn usages(self) -> Result<Vec<(Arc<str>, Usage)>, Fault> {
        let mut statement = self.0.prepare_cached(USAGES)?;
        let rows = statement.query_map([], |row| {
            Ok((row.get_ref(2)?.as_str()?.into(), usage(row)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Present for Rows<'_> {
    type Error = Fault;

    fn found(&mut self, at: Address<'_>) -> Result<Option<Found>, Fault> {
        let found = |row: &Row<'_>| {
            Ok(Found {
                version: row.get::<_, i64>(0)?.cast_unsigned(),
                bytes: at.key().len() as u64 + row.get::<_, i64>(1)?.cast_unsigned(),
            })
        };
        self.0
            .prepare_cached(FOUND)?
            .query_row((at.namespace(), at.key()), found)
            .optional()
            .map_err(|e| Fault::at(at, e))
    }

    fn usage(&mut self, namespace: &str) -> Result<Usage, Fault> {
        let found = self
            .0
            .prepare_cached(USAGE)?
            .query_row([namespace], usage)
            .optional()?;
        Ok(found.unwrap_or_default())
    }
}

fn usage(row: &Row<'_>) -> rusqlite::Result<Usage> {
    Ok(Usage {
        records: row.get::<_, i64>(0)?.cast_unsigned(),
        bytes: row.get::<_, i64>(1)?.cast_unsigned(),
    })
}

/// Reads what is stored at an address, which is what its checksum says or damaged.
fn record(at: Address<'_>, row: &Row<'_>) -> Result<Record, Fault> {
    let read = || {
        let version = row.get::<_, i64>(0)?.cast_unsigned();
        let expected: u32 = row.get(1)?;
        let value = row.get_ref(2)?.as_blob()?;
        let is_whole = checksum(at, version, value) == expected;
        Ok(is_whole.then(|| Record::new(Payload::from(value), version)))
    };
    let read = read().map_err(|e| Fault::at(at, e))?;
    read.ok_or_else(|| Damage::checksum(at).into())
}

fn key(row: &Row<'_>) -> rusqlite::Result<String> {
    Ok(row.get_ref(3)?.as_str()?.to_owned())
}

fn namespace(row: &Row<'_>) -> rusqlite::Result<String> {
    Ok(row.get_ref(4)?.as_str()?.to_owned())
}
