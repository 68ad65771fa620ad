//! What lies in the file: records, what each namespace holds, and two numbers.

use octa_kernel::Payload;
use octa_kernel::storage::{Address, Change, Found, Present, Record, Usage};
use redb::{Database, ReadableTable, Table, TableDefinition, WriteTransaction};

/// Namespace and key, and under them version and value. Text sorts by its bytes, as lists and snapshots do.
pub(crate) const RECORDS: TableDefinition<'_, (&str, &str), (u64, &[u8])> =
    TableDefinition::new("records");
/// What each namespace holds that holds anything: records, and bytes of their keys and values.
pub(crate) const USAGE: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("usage");
/// Numbers under their names. The last version is here, and not the highest one among the records: a deletion
/// takes a version too, and none may be given twice.
pub(crate) const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
pub(crate) const LAST_VERSION: &str = "last_version";

/// The format that this adapter writes; a file says which one it has.
pub(crate) const FORMAT: u64 = 1;

/// The tables of one transaction that writes.
pub(crate) struct Tables<'a> {
    records: Table<'a, (&'static str, &'static str), (u64, &'static [u8])>,
    usage: Table<'a, &'static str, (u64, u64)>,
    numbers: Table<'a, &'static str, u64>,
}

impl<'a> Tables<'a> {
    /// Makes the tables of a new file; returns the format and the last version.
    pub(crate) fn create(database: &Database) -> Result<(u64, u64), redb::Error> {
        let transaction = database.begin_write()?;
        let numbers = {
            let mut tables = Tables::open(&transaction)?;
            let found = tables.numbers.get("format")?.map(|found| found.value());
            let format = found.unwrap_or(FORMAT);
            tables.numbers.insert("format", format)?;
            (format, tables.last_version()?)
        };
        transaction.commit()?;
        Ok(numbers)
    }

    pub(crate) fn open(transaction: &'a WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            usage: transaction.open_table(USAGE)?,
            numbers: transaction.open_table(NUMBERS)?,
        })
    }

    pub(crate) fn last_version(&self) -> Result<u64, redb::Error> {
        let found = self.numbers.get(LAST_VERSION)?;
        Ok(found.map_or(0, |found| found.value()))
    }

    pub(crate) fn set_last_version(&mut self, version: u64) -> Result<(), redb::Error> {
        self.numbers.insert(LAST_VERSION, version)?;
        Ok(())
    }

    /// Writes or deletes a record; what its namespace holds is counted apart.
    pub(crate) fn put(&mut self, change: &Change) -> Result<(), redb::Error> {
        let at = (&*change.namespace, &*change.key);
        match &change.value {
            Some(value) => drop(self.records.insert(at, (change.version, &value[..]))?),
            None => drop(self.records.remove(at)?),
        }
        Ok(())
    }

    pub(crate) fn set_usage(&mut self, namespace: &str, usage: Usage) -> Result<(), redb::Error> {
        match usage.records {
            0 => drop(self.usage.remove(namespace)?),
            records => drop(self.usage.insert(namespace, (records, usage.bytes))?),
        }
        Ok(())
    }
}

/// What a plan asks of the database.
impl Present for Tables<'_> {
    type Error = redb::Error;

    fn found(&mut self, at: Address<'_>) -> Result<Option<Found>, redb::Error> {
        let found = self.records.get((at.namespace(), at.key()))?;
        Ok(found.map(|found| {
            let (version, value) = found.value();
            let bytes = (at.key().len() + value.len()) as u64;
            Found { version, bytes }
        }))
    }

    fn usage(&mut self, namespace: &str) -> Result<Usage, redb::Error> {
        let found = self.usage.get(namespace)?;
        Ok(found.map_or_else(Usage::default, |found| usage(found.value())))
    }
}

pub(crate) fn record((version, value): (u64, &[u8])) -> Record {
    Record::new(Payload::from(value), version)
}

pub(crate) fn usage((records, bytes): (u64, u64)) -> Usage {
    Usage { records, bytes }
}
