//! Parts of a fact, gathered under its key until it is whole.

use std::collections::BTreeMap;

use octa_plugin_api::Payload;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap as _};
use serde_json::value::{RawValue, to_raw_value};

use super::error::PartsFault;
use super::fact::{Gathered, Notice, Novelty, Part, Unfinished};
use super::limits::{self, MAX_PARTS};
use super::read::Held;
use super::record::{Expected, json};
use super::same::says_same;
use super::{Fact, Journal, JournalError};
use crate::{
    reload::nanos,
    storage::{Batch, Expect, StorageError},
};

/// How often a part is tried to be added: each time another part may come in between, and more
/// only if parts are dropped meanwhile.
const ATTEMPTS: usize = MAX_PARTS + 64;

/// The parts of a fact so far, as they lie in the storage.
#[derive(Serialize, Deserialize)]
struct Parts {
    /// When the first one came.
    time: u64,
    expected: Vec<String>,
    parts: BTreeMap<String, Box<RawValue>>,
}

impl Journal {
    /// Keeps a part of a fact, durably; with the last one, the whole is written in its place: an
    /// object of all parts by their names, in the order in which they are expected.
    ///
    /// The first value of a part stays, as does the first list of what is expected. The notice
    /// that counts is the one that comes with the last part.
    ///
    /// # Errors
    ///
    /// A part that is not expected, a list that is not that of before, a whole that would be too
    /// large; else as [`record`](Self::record).
    pub async fn gather(
        &self,
        key: &str,
        part: Part<'_>,
        notice: Option<Notice<'_>>,
    ) -> Result<Gathered, JournalError> {
        limits::key(key)?;
        let value = self.check_part(key, &part)?;
        notice.map_or(Ok(()), |notice| limits::topic(notice.topic))?;
        let mut mark = Expect::Absent;
        for _ in 0..ATTEMPTS {
            let (mut parts, expect) = self.parts_or_new(key, &part).await?;
            parts
                .check(&part)
                .map_err(|fault| self.refused(key, fault))?;
            if let Some(found) = parts.parts.get(part.name) {
                return Ok(Gathered {
                    position: None,
                    missing: parts.missing(),
                    novelty: Novelty::of_another(says_same_raw(found, value)),
                });
            }
            parts.parts.insert(part.name.to_owned(), value.to_owned());
            let expected = Expected {
                mark,
                parts: expect,
            };
            if let Some(gathered) = self.put(key, &part, &parts, notice, expected).await? {
                return Ok(gathered);
            }
            match self.look(key).await? {
                Held::Fact(whole) => {
                    return Ok(Gathered {
                        position: Some(whole.position),
                        missing: Vec::new(),
                        novelty: Novelty::of_another(has_part(&whole, part.name, value)),
                    });
                }
                Held::Nothing(found) => mark = found,
            }
        }
        Err(self.busy(key, ATTEMPTS))
    }

    /// Lists the facts of which parts are missing, at most `limit` after a key, in the order of
    /// the keys; where they are large there may be fewer, none only at the end.
    ///
    /// # Errors
    ///
    /// A limit of zero or above that of a page, or a storage that fails.
    pub async fn unfinished(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Unfinished>, JournalError> {
        let place = &self.place;
        after.map_or(Ok(()), limits::key)?;
        let (prefix, limit) = (place.parts(""), limits::page(limit)?);
        let after = after.map(|after| place.parts(after));
        let page = place
            .page(self.storage(), &prefix, after.as_deref(), limit)
            .await;
        let failed = place.failed(format!("list what is unfinished in {place}"));
        let page = page.map_err(failed)?;
        let entries = page.entries.iter();
        let unfinished = entries.map(|entry| {
            let parts = self.read(&entry.key, &entry.record.value)?;
            Ok(Unfinished {
                key: entry.key[prefix.len()..].to_owned(),
                time: parts.time,
                missing: parts.missing(),
                found: parts.parts.into_keys().collect(),
            })
        });
        unfinished.collect()
    }

    /// Drops the parts of a fact that is not whole; tells whether there were any.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    pub async fn drop_parts(&self, key: &str) -> Result<bool, JournalError> {
        limits::key(key)?;
        let place = &self.place;
        let dropped = self
            .storage()
            .delete(place.records(), &place.parts(key))
            .await;
        let of = place.key(key);
        dropped.map_err(place.failed(format!("drop the parts of {of}")))
    }

    fn check_part<'a>(&self, key: &str, part: &Part<'a>) -> Result<&'a RawValue, JournalError> {
        let what = || {
            format!(
                "part `{}` of {}",
                part.name.escape_debug(),
                self.place.key(key)
            )
        };
        let refused = |fault| self.refused(key, fault);
        limits::part(part.name)?;
        let expected = part.expected;
        if expected.is_empty() || expected.len() > MAX_PARTS {
            let found = expected.len();
            return Err(refused(PartsFault::Count { found }));
        }
        let mut names: Vec<_> = expected.to_vec();
        names.iter().try_for_each(|name| limits::part(name))?;
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|two| two[0] == two[1]) {
            let part = twice[0].to_owned();
            return Err(refused(PartsFault::Twice { part }));
        }
        limits::json(part.value, what)
    }

    /// The parts that are there, and what to expect when they are written.
    async fn parts_or_new(
        &self,
        key: &str,
        part: &Part<'_>,
    ) -> Result<(Parts, Expect), JournalError> {
        let (place, at) = (&self.place, self.place.parts(key));
        let found = self.storage().get(place.records(), &at).await;
        let of = place.key(key);
        let found = found.map_err(place.failed(format!("read the parts of {of}")))?;
        let Some(record) = found else {
            let parts = Parts {
                time: nanos(self.shared.clock.wall()),
                expected: part.expected.iter().map(|&name| name.to_owned()).collect(),
                parts: BTreeMap::new(),
            };
            return Ok((parts, Expect::Absent));
        };
        Ok((
            self.read(&at, &record.value)?,
            Expect::Version(record.version),
        ))
    }

    /// Writes the parts with the new one, or the whole; nothing if others were faster.
    async fn put(
        &self,
        key: &str,
        part: &Part<'_>,
        parts: &Parts,
        notice: Option<Notice<'_>>,
        expected: Expected,
    ) -> Result<Option<Gathered>, JournalError> {
        let of = self.place.key(key);
        let payload = json(parts);
        let what = || format!("with part `{}`, {of}", part.name.escape_debug());
        limits::bytes(payload.len(), what)?;
        let missing = parts.missing();
        let position = if missing.is_empty() {
            let whole = to_raw_value(&Whole(parts));
            let whole =
                whole.map_err(|error| self.place.unreadable(&self.place.parts(key), error))?;
            let Some(position) = self.write(key, &whole, notice, expected).await? else {
                return Ok(None);
            };
            Some(position)
        } else {
            let kept = self.keep(key, payload, expected).await;
            let failed = self.place.failed(format!("keep a part of {of}"));
            if !kept.map_err(failed)? {
                return Ok(None);
            }
            None
        };
        Ok(Some(Gathered {
            position,
            missing,
            novelty: Novelty::New,
        }))
    }

    /// Keeps parts, unless others were faster or there is a fact already: deleting what is to be
    /// absent changes nothing, and a mark whose fact is lost is of no more use.
    async fn keep(
        &self,
        key: &str,
        parts: Payload,
        expected: Expected,
    ) -> Result<bool, StorageError> {
        let (place, records) = (&self.place, self.place.records());
        let mut batch = Batch::new();
        batch.delete(records, &place.marker(key), expected.mark)?;
        batch.put(records, &place.parts(key), expected.parts, parts)?;
        match self.storage().apply(batch).await {
            Ok(_) => Ok(true),
            Err(StorageError::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read(&self, at: &str, value: &[u8]) -> Result<Parts, JournalError> {
        serde_json::from_slice(value).map_err(|error| self.place.unreadable(at, error))
    }

    fn refused(&self, key: &str, fault: PartsFault) -> JournalError {
        let what = self.place.key(key).to_string();
        JournalError::Parts { what, fault }
    }
}

impl Parts {
    fn check(&self, part: &Part<'_>) -> Result<(), PartsFault> {
        let mut known: Vec<&str> = self.expected.iter().map(String::as_str).collect();
        let mut named = part.expected.to_vec();
        known.sort_unstable();
        named.sort_unstable();
        if known != named {
            return Err(PartsFault::Changed {
                found: part.expected.iter().map(|&name| name.to_owned()).collect(),
                expected: self.expected.clone(),
            });
        }
        if !known.contains(&part.name) {
            return Err(PartsFault::Unexpected {
                part: part.name.to_owned(),
                expected: self.expected.clone(),
            });
        }
        Ok(())
    }

    fn missing(&self) -> Vec<String> {
        let expected = self.expected.iter();
        let missing = expected.filter(|name| !self.parts.contains_key(*name));
        missing.cloned().collect()
    }
}

/// All parts as one object.
struct Whole<'a>(&'a Parts);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Parts {
            expected, parts, ..
        } = self.0;
        let mut whole = serializer.serialize_map(Some(expected.len()))?;
        for name in expected {
            whole.serialize_entry(name, &parts.get(name))?;
        }
        whole.end()
    }
}

/// Whether a fact has a part that says the same.
fn has_part(whole: &Fact, part: &str, value: &RawValue) -> bool {
    let parts: Result<BTreeMap<String, &RawValue>, _> = serde_json::from_slice(&whole.value);
    let found = parts.ok().and_then(|parts| parts.get(part).copied());
    found.is_some_and(|found| says_same_raw(found, value))
}

fn says_same_raw(one: &RawValue, other: &RawValue) -> bool {
    says_same(one.get().as_bytes(), other.get().as_bytes())
}
