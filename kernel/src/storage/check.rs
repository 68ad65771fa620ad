//! The limits of names and values, checked once at the edge; adapters rely on them.

use octa_loader::{NameError, NameKind};
use serde::de::IgnoredAny;

use super::record::Address;

/// The most bytes a value may have.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// The most bytes a key may have.
pub const MAX_KEY_BYTES: usize = 512;
/// The most entries one page may be asked for.
pub const MAX_PAGE_ENTRIES: usize = 1_000;
/// The most writes in one batch.
pub const MAX_BATCH_WRITES: usize = 1_000;
/// The most bytes of keys and values in one batch.
pub const MAX_BATCH_BYTES: usize = 16 << 20;

/// A name or a value that state and storage do not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// The namespace is not a name.
    #[error(transparent)]
    Namespace(#[from] NameError),
    /// The key is empty.
    #[error("a key in namespace `{namespace}` is empty, expected 1 to {MAX_KEY_BYTES} bytes")]
    EmptyKey {
        /// Where the key was to be.
        namespace: String,
    },
    /// The key or prefix has a control character.
    #[error(
        "key `{key}` in namespace `{namespace}` has the control character `{}` at byte {position}",
        character.escape_default()
    )]
    ControlCharacter {
        /// Where the key was to be.
        namespace: String,
        /// The key, escaped and shortened.
        key: String,
        /// The character.
        character: char,
        /// Its place.
        position: usize,
    },
    /// The value is not JSON.
    #[error("the value for `{namespace}/{key}` is not JSON: {reason}")]
    NotJson {
        /// The namespace of the record.
        namespace: String,
        /// The key of the record.
        key: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// Something is larger than its limit, or a limit of zero was asked for.
    #[error("{what} has {found} {unit}, expected 1 to {limit}")]
    Size {
        /// The thing that was measured.
        what: String,
        /// Its size.
        found: usize,
        /// What is counted.
        unit: &'static str,
        /// The most it may be.
        limit: usize,
    },
}

impl Invalid {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Namespace(name) => return name.hint(),
            Self::NotJson { .. } => "a text is a JSON string only in double quotes",
            Self::Size { unit: "bytes", .. } => "split it over several keys",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

pub(super) fn namespace(name: &str) -> Result<(), Invalid> {
    Ok(NameKind::Namespace.check(name)?)
}

pub(super) fn key(namespace: &str, key: &str) -> Result<(), Invalid> {
    if key.is_empty() {
        return Err(Invalid::EmptyKey {
            namespace: namespace.to_owned(),
        });
    }
    prefix(namespace, key)
}

pub(super) fn prefix(namespace: &str, prefix: &str) -> Result<(), Invalid> {
    if prefix.len() > MAX_KEY_BYTES {
        let what = format!("key `{}` in namespace `{namespace}`", shorten(prefix));
        return Err(too_large(what, prefix.len(), "bytes", MAX_KEY_BYTES));
    }
    match prefix.char_indices().find(|(_, c)| c.is_control()) {
        Some((position, character)) => Err(Invalid::ControlCharacter {
            namespace: namespace.to_owned(),
            key: shorten(prefix),
            character,
            position,
        }),
        None => Ok(()),
    }
}

pub(crate) fn value(at: Address<'_>, value: &[u8]) -> Result<(), Invalid> {
    if value.len() > MAX_VALUE_BYTES {
        let what = format!("the value for `{at}`");
        return Err(too_large(what, value.len(), "bytes", MAX_VALUE_BYTES));
    }
    json(value).map_err(|reason| Invalid::NotJson {
        namespace: at.namespace().to_owned(),
        key: at.key().to_owned(),
        reason,
    })
}

pub(super) fn too_large(what: String, found: usize, unit: &'static str, limit: usize) -> Invalid {
    Invalid::Size {
        what,
        found,
        unit,
        limit,
    }
}

/// Skipping a value does not look at the encoding of its strings, so that comes first.
fn json(value: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(value).map_err(|e| e.to_string())?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|e| e.to_string())?;
    Ok(())
}

fn shorten(name: &str) -> String {
    const SHOWN: usize = 64;
    let mut shown: String = name
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if name.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(namespace: &str, key: &str, value: &[u8], expect: Result<(), &str>) {
        let found = Address::new(namespace, key).and_then(|at| super::value(at, value));
        assert_eq!(
            found.map_err(|e| e.to_string()),
            expect.map_err(str::to_owned)
        );
    }

    #[test]
    fn takes_names_and_values_at_their_limits() {
        check("devices.lamps_2", "lamp_1", b"{}", Ok(()));
        check(&"n".repeat(255), &"k".repeat(512), b" [1, null] ", Ok(()));
        let largest = format!("\"{}\"", "x".repeat(MAX_VALUE_BYTES - 2));
        check("a", "%_\u{10FFFF} /\"'", largest.as_bytes(), Ok(()));
    }

    #[test]
    fn names_what_was_found_and_what_was_expected() {
        check("", "k", b"1", Err("namespace `` is empty"));
        check(
            "a..b",
            "k",
            b"1",
            Err("namespace `a..b` has an empty segment at position 3"),
        );
        check(
            "a",
            "",
            b"1",
            Err("a key in namespace `a` is empty, expected 1 to 512 bytes"),
        );
        check(
            "a",
            "k\u{7}",
            b"1",
            Err("key `k\\u{7}` in namespace `a` has the control character `\\u{7}` at byte 1"),
        );
        let long = "x".repeat(513);
        let shown = "x".repeat(64);
        check(
            "a",
            &long,
            b"1",
            Err(&format!(
                "key `{shown}…` in namespace `a` has 513 bytes, expected 1 to 512"
            )),
        );
        check(
            "a",
            "k",
            &vec![b' '; MAX_VALUE_BYTES + 1],
            Err("the value for `a/k` has 1048577 bytes, expected 1 to 1048576"),
        );
    }

    #[test]
    fn says_where_a_value_is_not_json() {
        let at = "the value for `a/k` is not JSON:";
        check(
            "a",
            "k",
            b"{\"on\": tru}",
            Err(&format!("{at} expected ident at line 1 column 11")),
        );
        check(
            "a",
            "k",
            b"1 2",
            Err(&format!("{at} trailing characters at line 1 column 3")),
        );
        check(
            "a",
            "k",
            b"\"\xff\"",
            Err(&format!(
                "{at} invalid utf-8 sequence of 1 bytes from index 1"
            )),
        );
    }
}
