//! Looks through a whole database file for damage.

use std::sync::Arc;

use rusqlite::Connection;

use super::super::change::Usage;
use super::super::record::Address;
use super::damage::{Damage, Fault};
use super::format;
use super::header::Header;
use super::rows::Rows;

/// Checks how the pages fit together, whatever the format.
pub(super) fn structure(connection: &Connection) -> Result<(), Fault> {
    let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(Damage::structure(&found).into()),
    }
}

/// Checks every record, and that they are all there; the present format alone has what it takes.
pub(super) fn content(connection: &Connection) -> Result<(), Fault> {
    format::check_tables(connection)?;
    let header = Header::read(connection)?;
    let rows = Rows(connection);
    let mut count = Count {
        last_version: header.last_version,
        namespaces: Vec::new(),
        damage: None,
    };
    rows.walk(("", ""), |at, record| {
        count.add(at, record.version, record.value.len())
    })?;
    count.compare(&rows.usages()?).map_err(Fault::Damage)
}

/// Names what is damaged as closely as can be: a record rather than a page.
pub(super) fn name(connection: &Connection, found: Fault) -> Fault {
    match content(connection) {
        Err(Fault::Damage(
            damage @ (Damage::Checksum { .. } | Damage::Record { .. } | Damage::Behind { .. }),
        )) => Fault::Damage(damage),
        _ => found,
    }
}

/// What was met on the way through all records.
struct Count {
    last_version: u64,
    namespaces: Vec<(Arc<str>, Usage)>,
    damage: Option<Damage>,
}

impl Count {
    /// Tells whether to go on.
    fn add(&mut self, at: Address<'_>, version: u64, bytes: usize) -> bool {
        if version > self.last_version {
            self.damage = Some(Damage::version(at, version, self.last_version));
            return false;
        }
        if self
            .namespaces
            .last()
            .is_none_or(|(name, _)| **name != *at.namespace())
        {
            self.namespaces
                .push((at.namespace().into(), Usage::default()));
        }
        if let Some((_, usage)) = self.namespaces.last_mut() {
            *usage = usage.replaced(None, Some((at.key().len() + bytes) as u64));
        }
        true
    }

    /// Both are in the order of the names.
    fn compare(self, expected: &[(Arc<str>, Usage)]) -> Result<(), Damage> {
        if let Some(damage) = self.damage {
            return Err(damage);
        }
        let of = |list: &[(Arc<str>, Usage)], name: &Arc<str>| {
            let at = list.binary_search_by(|(other, _)| other.cmp(name));
            at.map_or_else(|_| Usage::default(), |at| list[at].1)
        };
        for (name, _) in self.namespaces.iter().chain(expected) {
            let (found, expected) = (of(&self.namespaces, name), of(expected, name));
            if found != expected {
                return Err(Damage::Usage {
                    namespace: name.to_string(),
                    found,
                    expected,
                });
            }
        }
        Ok(())
    }
}
