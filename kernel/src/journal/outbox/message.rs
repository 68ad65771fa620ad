//! An event as it lies in the outbox: all that it tells but the position of its fact, which is
//! known once both are written.

use std::borrow::Cow;

use octa_plugin_api::Payload;
use serde::{Deserialize, Serialize};

use super::super::fact::{Notice, Telling, Written};
use super::super::place::Place;
use crate::storage::Entry;

/// By how much the version of an event is above the position of its fact.
const BEHIND: u64 = 2;

/// What is written.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Message<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    /// In hex.
    correlation: String,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    fact: Written<'a>,
}

/// What is published.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) topic: String,
    pub(super) correlation: u128,
    pub(super) source: String,
    pub(super) payload: Payload,
}

impl<'a> Message<'a> {
    pub(in super::super) fn new(
        place: &'a Place,
        written: &'a Written<'a>,
        notice: Notice<'a>,
    ) -> Self {
        Self {
            topic: notice.topic.into(),
            correlation: format!("{:032x}", notice.correlation_id),
            namespace: place.namespace().into(),
            stream: place.stream().into(),
            fact: written.borrowed(),
        }
    }
}

impl Told {
    /// Reads an entry; the key tells the version, also if the entry was taken over.
    pub(super) fn of(entry: &Entry) -> Result<Self, String> {
        let message: Message<'_> =
            serde_json::from_slice(&entry.record.value).map_err(|error| error.to_string())?;
        let version = version(&entry.key).ok_or("its key has no version")?;
        let fact = &message.fact;
        let telling = Telling {
            stream: &message.stream,
            position: version.saturating_sub(BEHIND),
            key: &fact.key,
            time: fact.time,
            source: &fact.source,
            fact: fact.fact,
        };
        let correlation = u128::from_str_radix(&message.correlation, 16);
        Ok(Self {
            payload: Payload::json(&telling).map_err(|error| error.to_string())?,
            correlation: correlation.map_err(|error| error.to_string())?,
            source: fact.source.to_string(),
            topic: message.topic.into_owned(),
        })
    }
}

/// The version at the end of a key.
pub(super) fn version(key: &str) -> Option<u64> {
    key.rsplit('/').next()?.parse().ok()
}
