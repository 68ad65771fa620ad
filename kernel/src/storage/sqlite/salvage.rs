//! Reads what can still be read of a damaged database, in order, and tells what cannot.

mod leaves;

use std::fmt;
use std::path::Path;

use rusqlite::{Connection, Row};

use super::super::Usages;
use super::super::change::Change;
use super::super::check::MAX_PAGE_ENTRIES;
use super::super::record::{Address, PAGE_BYTES};
use super::damage::{Damage, Fault};
use super::header::Header;
use super::rows::Rows;

/// Names alone, so that a value that cannot be read does not hide what comes behind it.
const NAMES: &str = "SELECT namespace, key FROM records
    WHERE (namespace, key) >= (?1, ?2) ORDER BY namespace, key";
/// How much of what is lost is told one by one: where all is lost, there is no end of it.
const TOLD: usize = 10_000;

/// The place of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Name {
    /// The namespace.
    pub namespace: String,
    /// The key.
    pub key: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.key)
    }
}

/// What cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lost {
    /// A record.
    Record {
        /// Its place.
        name: Name,
        /// What is wrong with it.
        reason: String,
    },
    /// Whatever there was between two records.
    Between {
        /// The last record before, if there is one.
        after: Option<Name>,
        /// The first record behind, if there is one.
        before: Option<Name>,
        /// What is wrong there.
        reason: String,
    },
    /// What was written last.
    Latest {
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { name, reason } => write!(f, "record `{name}`: {reason}"),
            Self::Latest { reason } => write!(f, "what was written last: {reason}"),
            Self::Between {
                after,
                before,
                reason,
            } => {
                match (after, before) {
                    (Some(after), Some(before)) => {
                        write!(f, "what was between `{after}` and `{before}`")
                    }
                    (Some(after), None) => write!(f, "what was behind `{after}`"),
                    (None, Some(before)) => write!(f, "what was before `{before}`"),
                    (None, None) => f.write_str("everything"),
                }?;
                write!(f, ": {reason}")
            }
        }
    }
}

/// Reads a damaged database from its beginning to its end, and past what cannot be read.
pub(in crate::storage) struct Salvage<'c> {
    connection: &'c Connection,
    /// The last name met.
    last: Option<Name>,
    /// There is no way back from this one.
    floor: Option<Name>,
    /// What cannot be read here: the last name before it, and why.
    gap: Option<(Option<Name>, String)>,
    /// The first name of each page that has some, in order: where to go on behind what cannot be read.
    firsts: Vec<Name>,
    /// What was counted when it was written, if that can be read.
    expected: Option<Usages>,
    /// Read, and not handed over yet.
    page: Vec<Change>,
    bytes: usize,
    last_version: Option<u64>,
    lost: Vec<Lost>,
    lost_more: u64,
}

/// What became of a damaged database.
#[derive(Debug)]
pub(in crate::storage) struct Read {
    /// What the namespaces held, if that can be told.
    pub(in crate::storage) expected: Option<Usages>,
    /// The last version that was given, if that can be told.
    pub(in crate::storage) last_version: Option<u64>,
    /// What could not be read, or the first of it.
    pub(in crate::storage) lost: Vec<Lost>,
    /// How much more could not be read.
    pub(in crate::storage) lost_more: u64,
}

impl<'c> Salvage<'c> {
    /// Reads the database in `file` on a connection to it.
    pub(in crate::storage) fn new(connection: &'c Connection, file: &Path) -> Self {
        let page_bytes = connection.pragma_query_value(None, "page_size", |row| row.get(0));
        let firsts = page_bytes.map(|bytes: u32| leaves::firsts(file, bytes as usize));
        Self {
            connection,
            last: None,
            floor: None,
            gap: None,
            firsts: firsts.unwrap_or_default(),
            // Both are asked for what they may know: they may be damaged too.
            expected: Rows(connection).usages().ok(),
            page: Vec::new(),
            bytes: 0,
            last_version: Header::read(connection)
                .map(|header| header.last_version)
                .ok(),
            lost: Vec::new(),
            lost_more: 0,
        }
    }

    /// Hands over what can be read, some at a time, until `take` wants no more.
    ///
    /// Where a page is in the place of another one, its records come twice.
    pub(in crate::storage) fn read(mut self, mut take: impl FnMut(Vec<Change>) -> bool) -> Read {
        let mut next = Some(Name::default());
        while let Some(from) = next {
            next = match self.walk(&from, &mut take) {
                Ok(()) => None,
                Err(fault) => self.jump(&from, &fault),
            };
        }
        self.close_gap(None);
        if !self.page.is_empty() {
            take(self.page);
        }
        Read {
            expected: self.expected,
            last_version: self.last_version,
            lost: self.lost,
            lost_more: self.lost_more,
        }
    }

    /// Reads from this name on to the end, or to what cannot be read.
    fn walk(
        &mut self,
        from: &Name,
        take: &mut impl FnMut(Vec<Change>) -> bool,
    ) -> Result<(), Fault> {
        let mut statement = self.connection.prepare_cached(NAMES)?;
        let mut rows = statement.query((&from.namespace, &from.key))?;
        while let Some(row) = rows.next()? {
            let name = name(row)?;
            self.close_gap(Some(&name));
            if let Some(change) = self.record(&name) {
                self.bytes += change.bytes();
                self.page.push(change);
            }
            self.last = Some(name);
            if self.page.len() == MAX_PAGE_ENTRIES || self.bytes >= PAGE_BYTES {
                self.bytes = 0;
                if !take(std::mem::take(&mut self.page)) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn close_gap(&mut self, before: Option<&Name>) {
        if let Some((after, reason)) = self.gap.take() {
            let before = before.cloned();
            self.lose(Lost::Between {
                after,
                before,
                reason,
            });
        }
    }

    fn lose(&mut self, lost: Lost) {
        match self.lost.len() < TOLD {
            true => self.lost.push(lost),
            false => self.lost_more += 1,
        }
    }

    /// Finds the first name behind what cannot be read, which was met on the way from `from`.
    fn jump(&mut self, from: &Name, fault: &Fault) -> Option<Name> {
        if self.gap.is_none() {
            self.gap = Some((self.last.clone(), told(fault)));
        }
        // What was aimed at and not found is not aimed at again.
        let met = self.last.as_ref().max(Some(from));
        self.floor = self.floor.as_ref().max(met).cloned();
        let floor = self.floor.clone().unwrap_or_default();
        let begin = self.firsts.partition_point(|first| *first <= floor);
        let behind = |first| {
            self.first(first)
                .ok()
                .flatten()
                .filter(|name| *name > floor)
        };
        self.firsts[begin..].iter().find_map(behind)
    }

    /// The first name from this one on.
    fn first(&self, from: &Name) -> Result<Option<Name>, Fault> {
        let mut statement = self.connection.prepare_cached(NAMES)?;
        let mut rows = statement.query((&from.namespace, &from.key))?;
        rows.next()?.map(name).transpose()
    }

    /// Reads one record; what cannot be read is noted.
    fn record(&mut self, name: &Name) -> Option<Change> {
        let found = Address::new(&name.namespace, &name.key)
            .map_err(|error| error.to_string())
            .and_then(|at| Rows(self.connection).get(at).map_err(|fault| told(&fault)));
        let reason = match found {
            Ok(Some(record)) => {
                let (namespace, key) = (&*name.namespace, &*name.key);
                return Some(Change::new(
                    namespace,
                    key,
                    record.version,
                    Some(record.value),
                ));
            }
            Ok(None) => "it is not found under its key".to_owned(),
            Err(reason) => reason,
        };
        let name = name.clone();
        self.lose(Lost::Record { name, reason });
        None
    }
}

fn told(fault: &Fault) -> String {
    match fault {
        Fault::Damage(Damage::Checksum { .. }) => "it does not match its checksum".to_owned(),
        Fault::Damage(Damage::Record { found, .. }) => found.clone(),
        Fault::Damage(damage) => damage.to_string(),
        Fault::Sqlite(error) | Fault::Full(error) => error.to_string(),
        Fault::Replaced(moved) => moved.to_string(),
    }
}

fn name(row: &Row<'_>) -> Result<Name, Fault> {
    let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?.to_owned());
    Ok(Name {
        namespace: text(0)?,
        key: text(1)?,
    })
}
