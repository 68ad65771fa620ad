//! What is written and read: facts, parts, and what came of them.

use std::borrow::Cow;

use octa_plugin_api::Payload;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::JournalError;
use super::place::Place;
use super::same::says_same;
use crate::storage::Entry;

/// A fact of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fact {
    /// Its place in the stream, the same for ever.
    pub position: u64,
    /// The key that it was written under.
    pub key: String,
    /// When it was written, in nanoseconds since 1970.
    pub time: u64,
    /// Who wrote it: the name of a plugin, or `host`.
    pub source: String,
    /// What it says, in JSON.
    pub value: Payload,
}

/// The event that tells of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice<'a> {
    /// The topic to publish on.
    pub topic: &'a str,
    /// Ties together what belongs to one operation; 0 is none.
    pub correlation_id: u128,
}

impl<'a> From<&'a str> for Notice<'a> {
    fn from(topic: &'a str) -> Self {
        Self {
            topic,
            correlation_id: 0,
        }
    }
}

/// A part of a fact.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What it says, in JSON.
    pub value: &'a [u8],
    /// All parts of the fact.
    pub expected: &'a [&'a str],
}

/// Whether something was new to the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Novelty {
    /// It was, and is written now.
    New,
    /// It was there before, the same.
    Repeated,
    /// Something else was there before, and stays.
    Different,
}

/// What came of recording a fact: its key has one from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// The position of the fact that the key has.
    pub position: u64,
    /// Whether it is the one that was given.
    pub novelty: Novelty,
}

/// What came of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gathered {
    /// The position of the whole, once it is written.
    pub position: Option<u64>,
    /// The parts that it waits for.
    pub missing: Vec<String>,
    /// Whether the part was new.
    pub novelty: Novelty,
}

/// A fact of which parts are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unfinished {
    /// Its key.
    pub key: String,
    /// When its first part came, in nanoseconds since 1970.
    pub time: u64,
    /// The parts that are there.
    pub found: Vec<String>,
    /// The parts that are not.
    pub missing: Vec<String>,
}

/// A fact as it lies in the storage, where its key tells the position.
#[derive(Serialize, Deserialize)]
pub(super) struct Written<'a> {
    #[serde(borrow)]
    pub(super) key: Cow<'a, str>,
    pub(super) time: u64,
    #[serde(borrow)]
    pub(super) source: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) fact: &'a RawValue,
}

/// A fact as it is told, to plugins and in its event.
#[derive(Serialize)]
pub(crate) struct Telling<'a> {
    pub(crate) stream: &'a str,
    pub(crate) position: u64,
    pub(crate) key: &'a str,
    pub(crate) time: u64,
    pub(crate) source: &'a str,
    pub(crate) fact: &'a RawValue,
}

impl Fact {
    /// Reads a record of the log.
    pub(super) fn of(place: &Place, entry: &Entry) -> Result<Self, JournalError> {
        let unreadable = |reason: &dyn std::fmt::Display| place.unreadable(&entry.key, reason);
        let written: Written<'_> =
            serde_json::from_slice(&entry.record.value).map_err(|error| unreadable(&error))?;
        let digits = entry.key.rsplit('/').next().unwrap_or_default();
        Ok(Self {
            position: digits.parse().map_err(|error| unreadable(&error))?,
            key: written.key.into_owned(),
            time: written.time,
            source: written.source.into_owned(),
            value: Payload::from(written.fact.get().as_bytes()),
        })
    }

    /// Whether it says the same as another value, however that is written.
    pub(super) fn says(&self, value: &RawValue) -> bool {
        says_same(&self.value, value.get().as_bytes())
    }
}

impl Written<'_> {
    /// The same, sharing what it says.
    pub(super) fn borrowed(&self) -> Written<'_> {
        Written {
            key: Cow::Borrowed(&self.key),
            time: self.time,
            source: Cow::Borrowed(&self.source),
            fact: self.fact,
        }
    }
}

impl Novelty {
    /// Of what was there before.
    pub(super) fn of_another(is_same: bool) -> Self {
        match is_same {
            true => Self::Repeated,
            false => Self::Different,
        }
    }
}
