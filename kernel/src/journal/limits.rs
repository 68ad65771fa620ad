//! The limits of the journal, checked before anything is written.

use octa_loader::NameKind;
use serde_json::value::RawValue;

use super::error::{JournalError, NameFault};
use crate::storage::{MAX_PAGE_ENTRIES, MAX_VALUE_BYTES};

/// The most bytes of the name of a stream, a consumer or a part.
pub const MAX_NAME_BYTES: usize = 128;
/// The most bytes of an idempotency key.
pub const MAX_KEY_BYTES: usize = 256;
/// The most parts of one fact.
pub const MAX_PARTS: usize = 1_000;
/// The most bytes of a fact, and of the parts of one together with the names of what is expected.
pub const MAX_FACT_BYTES: usize = MAX_VALUE_BYTES - ENVELOPE_BYTES;
/// Room for what is written beside a fact: names, each byte of which may take two, and numbers.
const ENVELOPE_BYTES: usize = 4 << 10;

/// The characters of a name that are shown.
const SHOWN: usize = 64;

/// Checks the name of a stream or a consumer; these are parts of a path.
pub(super) fn name(what: &'static str, name: &str) -> Result<(), JournalError> {
    text(what, name, MAX_NAME_BYTES, |c| c == '/' || c.is_control())
}

/// Checks the name of a part.
pub(super) fn part(name: &str) -> Result<(), JournalError> {
    text("part", name, MAX_NAME_BYTES, char::is_control)
}

/// Checks an idempotency key.
pub(super) fn key(key: &str) -> Result<(), JournalError> {
    text("idempotency key", key, MAX_KEY_BYTES, char::is_control)
}

/// Checks the topic of an event.
pub(super) fn topic(topic: &str) -> Result<(), JournalError> {
    Ok(NameKind::Topic.check(topic)?)
}

/// Checks how much is asked for at once.
pub(super) fn page(limit: usize) -> Result<usize, JournalError> {
    match limit {
        1..=MAX_PAGE_ENTRIES => Ok(limit),
        found => Err(JournalError::Size {
            what: "the limit of a page".to_owned(),
            found,
            unit: "entries",
            limit: MAX_PAGE_ENTRIES,
        }),
    }
}

/// Reads a fact or a part as JSON; `what` says of which key.
pub(super) fn json(value: &[u8], what: impl Fn() -> String) -> Result<&RawValue, JournalError> {
    bytes(value.len(), &what)?;
    let text = std::str::from_utf8(value).map_err(|error| error.to_string());
    let json = text.and_then(|text| serde_json::from_str(text).map_err(|error| error.to_string()));
    json.map_err(|reason| JournalError::NotJson {
        what: what(),
        reason,
    })
}

/// Checks the size of a fact or of parts.
pub(super) fn bytes(found: usize, what: impl Fn() -> String) -> Result<(), JournalError> {
    if found <= MAX_FACT_BYTES {
        return Ok(());
    }
    Err(JournalError::Size {
        what: what(),
        found,
        unit: "bytes",
        limit: MAX_FACT_BYTES,
    })
}

fn text(
    what: &'static str,
    name: &str,
    limit: usize,
    is_wrong: impl Fn(char) -> bool,
) -> Result<(), JournalError> {
    let wrong = name.char_indices().find(|(_, c)| is_wrong(*c));
    let fault = match wrong {
        _ if name.is_empty() => NameFault::Empty { limit },
        _ if name.len() > limit => NameFault::Long {
            found: name.len(),
            limit,
        },
        Some((position, character)) => NameFault::Character {
            character,
            position,
        },
        None => return Ok(()),
    };
    Err(JournalError::Name {
        what,
        name: shorten(name),
        fault,
    })
}

fn shorten(name: &str) -> String {
    let shown = name.chars().take(SHOWN).flat_map(char::escape_debug);
    let mut shown: String = shown.collect();
    if name.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
