//! The form in which a letter is written down: one record, and more if its event is large. When
//! that happens is decided by `keeper`.

use std::{fmt::Write as _, sync::Arc};

use octa_plugin_api::Payload;
use serde::{Deserialize, Serialize};

use crate::{bus::Event, status::DeadLetter};

/// So many bytes of a payload lie in one record: with every one of them escaped, and all else, it
/// stays below the most that a value may have.
const PIECE: usize = 128 << 10;

/// How many records a letter takes.
pub(super) fn count(letter: &DeadLetter) -> usize {
    letter.event.payload.len().div_ceil(PIECE).max(1)
}

/// The key of a letter's record number `piece`. They sort by letter and piece.
pub(super) fn key(id: u64, piece: usize) -> String {
    match piece {
        0 => format!("{id:020}"),
        piece => format!("{id:020}.{piece:08}"),
    }
}

/// The letter and the piece that a key is of.
pub(super) fn of_key(key: &str) -> Option<(u64, usize)> {
    match key.split_once('.') {
        None => Some((key.parse().ok()?, 0)),
        Some((id, piece)) => Some((id.parse().ok()?, piece.parse().ok()?)),
    }
}

/// A letter's record number `piece`.
pub(super) fn encode(letter: &DeadLetter, piece: usize) -> Option<Payload> {
    let event = &letter.event;
    let bytes = event.payload.chunks(PIECE).nth(piece).unwrap_or_default();
    let content = Piece::of(bytes);
    if piece > 0 {
        return Payload::json(&content).ok();
    }
    let head = Head {
        time: letter.time,
        plugin: letter.plugin.clone(),
        subscription: letter.subscription.clone(),
        which: letter.which,
        cause: letter.cause.clone(),
        kind: letter.kind.clone(),
        attempts: letter.attempts,
        event: Envelope {
            id: event.id,
            topic: event.topic.to_string(),
            source: event.source.to_string(),
            time: event.time,
            sequence: event.sequence,
            correlation: format!("{:032x}", event.correlation),
            content_type: event.content_type,
            bytes: event.payload.len(),
        },
        payload: content,
    };
    Payload::json(&head).ok()
}

/// A letter as far as it has been read, record after record.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) id: u64,
    head: Option<Head>,
    payload: Vec<u8>,
    /// One more than the number of the last record.
    records: usize,
    is_unreadable: bool,
}

/// What came of the records of one letter.
#[derive(Debug)]
pub(super) enum Found {
    /// A letter that takes so many records.
    Letter(DeadLetter, usize),
    /// As many at most of one that was not written to the end, or not deleted to the end.
    Remains(u64, usize),
    /// Something that another kernel wrote, perhaps.
    Unreadable(u64),
}

impl Partial {
    pub(super) fn new(id: u64) -> Self {
        Self {
            id,
            head: None,
            payload: Vec::new(),
            records: 0,
            is_unreadable: false,
        }
    }

    /// Takes in the next record.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub(super) fn push(&mut self, piece: usize, value: &[u8]) -> serde_json::Result<()> {
        self.records = piece + 1;
        let taken = self.take_in(piece, value);
        self.is_unreadable |= taken.is_err();
        taken
    }

    fn take_in(&mut self, piece: usize, value: &[u8]) -> serde_json::Result<()> {
        let content = if piece == 0 {
            let head = self.head.insert(serde_json::from_slice(value)?);
            std::mem::replace(&mut head.payload, Piece::Text(String::new()))
        } else {
            serde_json::from_slice(value)?
        };
        self.payload.extend(content.into_bytes());
        Ok(())
    }

    pub(super) fn finish(self) -> Found {
        let (id, payload) = (self.id, self.payload);
        match self.head {
            _ if self.is_unreadable => Found::Unreadable(id),
            Some(head) if head.event.bytes == payload.len() => {
                Found::Letter(head.letter(id, payload), self.records)
            }
            _ => Found::Remains(id, self.records),
        }
    }
}

/// All of a letter but the rest of a large payload. Fields that are not known are passed over.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    time: u64,
    plugin: String,
    subscription: String,
    which: usize,
    cause: String,
    kind: String,
    attempts: u32,
    event: Envelope,
    payload: Piece,
}

#[derive(Debug, Serialize, Deserialize)]
struct Envelope {
    id: u64,
    topic: String,
    source: String,
    time: u64,
    sequence: u64,
    /// In hex.
    correlation: String,
    content_type: u32,
    /// How long the payload is.
    bytes: usize,
}

/// Some bytes of a payload.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Piece {
    Text(String),
    Hex(String),
}

impl Head {
    fn letter(self, id: u64, payload: Vec<u8>) -> DeadLetter {
        let event = Event {
            id: self.event.id,
            topic: self.event.topic.into(),
            source: self.event.source.into(),
            time: self.event.time,
            sequence: self.event.sequence,
            correlation: u128::from_str_radix(&self.event.correlation, 16).unwrap_or_default(),
            content_type: self.event.content_type,
            payload: payload.into(),
        };
        DeadLetter {
            id,
            time: self.time,
            plugin: self.plugin,
            subscription: self.subscription,
            which: self.which,
            cause: self.cause,
            kind: self.kind,
            attempts: self.attempts,
            event: Arc::new(event),
        }
    }
}

impl Piece {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex(hex(bytes)),
        }
    }

    /// What is no hex is left out, and missed by who counts.
    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Hex(text) => {
                let pairs = text.as_bytes().chunks(2);
                let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                pairs.filter_map(byte).collect()
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // A string takes everything.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
