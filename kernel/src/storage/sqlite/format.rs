//! The formats that a database file has had, and the way from each to the present one.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use super::super::change::Usage;
use super::super::record::Address;
use super::damage::{Damage, Fault};
use super::header::Header;
use super::rows::Rows;

/// The format written; `PRAGMA user_version` of the file.
pub(super) const FORMAT: u32 = 2;
/// `PRAGMA application_id` of our files: "Octa".
pub(super) const APPLICATION: i64 = 0x4F63_7461;

/// The tables of the present format, word for word as SQLite keeps them.
const TABLES: [(&str, &str); 3] = [
    (
        "meta",
        "CREATE TABLE meta (
    id TEXT NOT NULL,
    last_version INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    following INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT",
    ),
    (
        "usage",
        "CREATE TABLE usage (
    namespace TEXT NOT NULL PRIMARY KEY,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID",
    ),
    (
        "records",
        "CREATE TABLE records (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID",
    ),
];

/// What is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Nothing,
    /// A database of ours, of this format.
    Format(u32),
    /// A database of another program, with this application id.
    Foreign(i64),
    /// A database of ours, of a format not known here.
    Newer(i64),
}

/// Looks at a file without changing it: it may be someone else's.
pub(super) fn recognise(connection: &Connection) -> Result<Content, Fault> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && tables == 0 {
        return Ok(Content::Nothing);
    }
    if application != APPLICATION {
        return Ok(Content::Foreign(application));
    }
    let format = pragma("user_version")?;
    Ok(match u32::try_from(format) {
        Ok(known @ 1..=FORMAT) => Content::Format(known),
        Ok(0) => return Err(Damage::Format { found: format }.into()),
        _ => Content::Newer(format),
    })
}

/// Makes the tables in an empty file.
pub(super) fn create(connection: &mut Connection) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    fill(&transaction, 0)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    Ok(transaction.commit()?)
}

/// Brings a file of format 1 to the present one, wholly or not at all.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let last_version = Header::read_first(&transaction)?.last_version;
    transaction.execute_batch("ALTER TABLE records RENAME TO before")?;
    fill(&transaction, last_version)?;
    copy(&transaction, last_version)?;
    transaction.execute_batch("DROP TABLE before; DROP TABLE counter")?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    Ok(transaction.commit()?)
}

/// Tells whether the tables are as they were made.
pub(super) fn check_tables(connection: &Connection) -> Result<(), Fault> {
    const SQL: &str = "SELECT sql FROM sqlite_schema WHERE name = ?1";
    for (table, expected) in TABLES {
        let found = connection
            .query_row(SQL, [table], |row| row.get::<_, String>(0))
            .optional()?;
        if found.as_deref() != Some(expected) {
            return Err(Damage::Table { table }.into());
        }
    }
    Ok(())
}

fn fill(transaction: &Transaction<'_>, last_version: u64) -> Result<(), Fault> {
    for (_, sql) in TABLES {
        transaction.execute_batch(sql)?;
    }
    let random = "SELECT lower(hex(randomblob(16)))";
    let id: String = transaction.query_row(random, [], |row| row.get(0))?;
    let header = Header {
        format: FORMAT,
        id: id.into(),
        last_version,
        epoch: 0,
        following: false,
    };
    transaction.execute("INSERT INTO meta VALUES ('', 0, 0, 0, 0)", [])?;
    Ok(header.write(transaction)?)
}

/// Copies what format 1 had, and counts it.
fn copy(transaction: &Transaction<'_>, last_version: u64) -> Result<(), Fault> {
    const ALL: &str = "SELECT namespace, key, version, value FROM before ORDER BY namespace, key";
    let to = Rows(transaction);
    let mut usages = BTreeMap::<String, Usage>::new();
    let mut statement = transaction.prepare(ALL)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (namespace, key) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        let version = row.get::<_, i64>(2)?.cast_unsigned();
        let value = row.get_ref(3)?.as_blob()?;
        let at = Address::checked(namespace, key);
        if version > last_version {
            return Err(Damage::version(at, version, last_version).into());
        }
        to.put(at, version, value)?;
        let bytes = (key.len() + value.len()) as u64;
        let usage = usages.entry(namespace.to_owned()).or_default();
        *usage = usage.replaced(None, Some(bytes));
    }
    for (namespace, usage) in usages {
        to.count(&namespace, usage)?;
    }
    Ok(())
}
