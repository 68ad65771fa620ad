//! Reads what can still be read of a damaged database, page by page, and tells what cannot.

use std::fmt;
use std::sync::Arc;

use rusqlite::{Connection, Row};

use super::super::change::{Change, Usage};
use super::super::check::MAX_PAGE_ENTRIES;
use super::super::record::{Address, PAGE_BYTES};
use super::damage::{Damage, Fault};
use super::header::Header;
use super::rows::Rows;

/// Names alone, so that a value that cannot be read does not hide what comes behind it.
const NAMES: &str = "SELECT namespace, key FROM records
    WHERE (namespace, key) >= (?1, ?2) ORDER BY namespace, key";
const NAMES_BACK: &str = "SELECT namespace, key FROM records
    WHERE (namespace, key) < (?1, ?2) ORDER BY namespace DESC, key DESC";
/// The characters that names are mostly made of, in the order of their bytes.
const USUAL: std::ops::RangeInclusive<char> = ' '..='~';

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
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record { name, reason } => write!(f, "record `{name}`: {reason}"),
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
    /// What was counted when it was written.
    expected: Vec<(Arc<str>, Usage)>,
    /// Read, and not handed over yet.
    page: Vec<Change>,
    bytes: usize,
    last_version: u64,
    lost: Vec<Lost>,
}

/// What became of a damaged database.
#[derive(Debug)]
pub(in crate::storage) struct Read {
    /// What the namespaces held, as far as it can be told.
    pub(in crate::storage) expected: Vec<(Arc<str>, Usage)>,
    /// The last version that was given, as far as it can be told.
    pub(in crate::storage) last_version: u64,
    /// What could not be read.
    pub(in crate::storage) lost: Vec<Lost>,
}

impl<'c> Salvage<'c> {
    pub(in crate::storage) fn new(connection: &'c Connection) -> Self {
        // Both are asked for what they may know: they may be damaged too.
        let expected = Rows(connection).usages().unwrap_or_default();
        Self {
            connection,
            last: None,
            floor: None,
            gap: None,
            expected,
            page: Vec::new(),
            bytes: 0,
            last_version: Header::read(connection).map_or(0, |header| header.last_version),
            lost: Vec::new(),
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
            self.lost.push(Lost::Between {
                after,
                before,
                reason,
            });
        }
    }

    /// Finds the first name behind what cannot be read, which was met on the way from `from`.
    fn jump(&mut self, from: &Name, fault: &Fault) -> Option<Name> {
        if self.gap.is_none() {
            self.gap = Some((self.last.clone(), told(fault)));
        }
        // Seen on the way back, a name may be out of reach from the front: what is behind it is looked for then.
        let met = self.last.as_ref().max(Some(from));
        self.floor = self.floor.as_ref().max(met).cloned();
        let floor = self.floor.clone().unwrap_or_default();
        let near = candidates(&floor, &self.expected).find_map(|name| {
            let found = self.first(&name).ok().flatten();
            found.filter(|name| *name > floor)
        });
        self.first_back(near.as_ref(), &floor).or(near)
    }

    /// The name that comes last on the way back to `floor` from another one, or from the end.
    fn first_back(&self, from: Option<&Name>, floor: &Name) -> Option<Name> {
        let end = Name {
            namespace: char::MAX.to_string(),
            key: String::new(),
        };
        let from = from.unwrap_or(&end);
        let statement = self.connection.prepare_cached(NAMES_BACK);
        let mut statement = statement.ok()?;
        let mut rows = statement.query((&from.namespace, &from.key)).ok()?;
        let mut first: Option<Name> = None;
        while let Ok(Some(row)) = rows.next() {
            match name(row) {
                Ok(name) if name < *first.as_ref().unwrap_or(from) && name > *floor => {
                    first = Some(name);
                }
                _ => break,
            }
        }
        first
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
                self.last_version = self.last_version.max(record.version);
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
        self.lost.push(Lost::Record { name, reason });
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

/// Where to look for what can be read behind a name: the nearest first.
fn candidates(from: &Name, known: &[(Arc<str>, Usage)]) -> impl Iterator<Item = Name> {
    let own = later(&from.key).map(|key| Name {
        namespace: from.namespace.clone(),
        key,
    });
    let known = known.iter().map(|(namespace, _)| namespace.to_string());
    let mut namespaces: Vec<String> = known.filter(|it| *it > from.namespace).collect();
    if namespaces.is_empty() {
        namespaces.extend(later(&from.namespace));
    }
    let others = namespaces.into_iter().flat_map(|namespace| {
        let keys = std::iter::once(String::new()).chain(later(""));
        keys.map(move |key| Name {
            namespace: namespace.clone(),
            key,
        })
    });
    own.chain(others)
}

/// Texts that come behind another one, in their order: it with one more character, and with its last, the one
/// before that and so on replaced by a later one.
fn later(text: &str) -> impl Iterator<Item = String> {
    let replaced = text.char_indices().rev().map(|(at, last)| (at, Some(last)));
    let ends = std::iter::once((text.len(), None)).chain(replaced);
    ends.flat_map(move |(at, last)| {
        let usual = USUAL.filter(move |new| last.is_none_or(|last| *new > last));
        usual.map(move |new| format!("{}{new}", &text[..at]))
    })
}
