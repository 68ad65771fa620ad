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

/// Where a letter is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The key of its first record. It names the kernel, too: several may use a storage, each
    /// with numbers of its own. Older ones left that out.
    head: Arc<str>,
    /// How many records it takes.
    pub(super) records: usize,
}

impl Place {
    /// Where a kernel writes a letter down.
    pub(super) fn new(letter: &DeadLetter, kernel: &str) -> Self {
        Self {
            head: format!("{:020}/{kernel}", letter.id).into(),
            records: count(letter),
        }
    }

    /// The key of its record number `piece`. They sort by number, kernel and piece.
    pub(super) fn key(&self, piece: usize) -> String {
        match piece {
            0 => self.head.to_string(),
            piece => format!("{}.{piece:08}", self.head),
        }
    }
}

/// A key of a record.
#[derive(Debug)]
pub(super) struct Key<'a> {
    /// The key of the letter's first record.
    pub(super) head: &'a str,
    /// The letter's number.
    pub(super) id: u64,
    /// Who wrote it; nobody in what older kernels wrote.
    pub(super) kernel: &'a str,
    piece: usize,
}

impl<'a> Key<'a> {
    pub(super) fn of(key: &'a str) -> Option<Self> {
        let (head, piece) = match key.split_once('.') {
            None => (key, 0),
            Some((head, piece)) => (head, piece.parse().ok()?),
        };
        let (id, kernel) = head.split_once('/').unwrap_or((head, ""));
        Some(Self {
            head,
            id: id.parse().ok()?,
            kernel,
            piece,
        })
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
    place: Place,
    head: Option<Head>,
    payload: Vec<u8>,
    is_unreadable: bool,
}

/// What came of the records of one letter.
#[derive(Debug)]
pub(super) enum Found {
    /// A letter.
    Letter(DeadLetter, Place),
    /// One that was not written to the end, or not deleted to the end.
    Remains(u64, Place),
    /// Something that another kernel wrote, perhaps.
    Unreadable(u64),
}

impl Partial {
    pub(super) fn new(key: &Key<'_>) -> Self {
        let (head, records) = (key.head.into(), 0);
        Self {
            id: key.id,
            place: Place { head, records },
            head: None,
            payload: Vec::new(),
            is_unreadable: false,
        }
    }

    /// Takes in the next record.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub(super) fn push(&mut self, key: &Key<'_>, value: &[u8]) -> serde_json::Result<()> {
        self.place.records = key.piece + 1;
        let taken = self.take_in(key.piece, value);
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

    /// Whether it is the letter of a key.
    pub(super) fn is_of(&self, key: &Key<'_>) -> bool {
        *self.place.head == *key.head
    }

    pub(super) fn finish(self) -> Found {
        let (id, payload) = (self.id, self.payload);
        match self.head {
            _ if self.is_unreadable => Found::Unreadable(id),
            Some(head) if head.event.bytes == payload.len() => {
                Found::Letter(head.letter(id, payload), self.place)
            }
            _ => Found::Remains(id, self.place),
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
