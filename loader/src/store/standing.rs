//! What the store remembers of a plugin: what serves, what served before it, what was refused.
//!
//! Where the file lies and that it is written durably is the job of `store`.

use std::io;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::hash::ContentHash;

/// The format that is written.
const FORMAT: u32 = 1;

/// What a restart and a rollback of one plugin go by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The name of the file that it came from, in the plugin directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The generation that served last.
    pub current: Option<Served>,
    /// The one that served before it, of another content.
    pub previous: Option<Served>,
    /// Contents that were refused, the newest last, at most [`Standing::REFUSED_MAX`].
    pub refused: Vec<Refused>,
}

/// A generation that served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    /// Hash of its file's content.
    pub hash: ContentHash,
    /// Its version.
    pub version: String,
    /// Its number among the generations of its plugin.
    pub generation: u64,
    /// Since when it serves, in nanoseconds since 1970.
    pub since: u64,
    /// What it saved when it was replaced.
    pub state: Option<SavedState>,
}

/// A saved state whose bytes are in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedState {
    /// The version of the state, as the plugin that saved it declares it.
    pub version: u32,
    /// Hash of its bytes.
    pub hash: ContentHash,
    /// When it was saved, in nanoseconds since 1970.
    pub at: u64,
}

/// A content that is not to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Hash of the file's content.
    pub hash: ContentHash,
    /// Why it was refused.
    pub why: String,
    /// When it was refused, in nanoseconds since 1970.
    pub at: u64,
    /// It ends the process that opens it, and is not to be opened in the kernel's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_fatal: bool,
}

impl Standing {
    /// How many refusals are remembered.
    pub const REFUSED_MAX: usize = 16;

    /// Enters what serves from now on, and what the one before it saved when it was replaced.
    ///
    /// A refusal of its content is forgotten, unless it ends processes.
    /// If the one before it has the same content, the one before that stays the previous one, since
    /// going back to the same content leads nowhere.
    pub fn serve(&mut self, next: Served, saved: Option<SavedState>) {
        // It may have served where it can end nothing else.
        let stays = |it: &Refused| it.hash != next.hash || it.is_fatal;
        self.refused.retain(stays);
        let replaced = self.current.replace(next);
        if let Some(replaced) = replaced
            && Some(replaced.hash) != self.current.as_ref().map(|current| current.hash)
        {
            self.previous = Some(Served {
                state: saved,
                ..replaced
            });
        }
    }

    /// Enters a refusal; one before of the same content is forgotten, and so are the oldest.
    pub fn refuse(&mut self, refusal: Refused) {
        self.refused.retain(|refused| refused.hash != refusal.hash);
        self.refused.push(refusal);
        let surplus = self.refused.len().saturating_sub(Self::REFUSED_MAX);
        self.refused.drain(..surplus);
    }

    /// Tells whether a content was refused, and why.
    pub fn refusal(&self, hash: ContentHash) -> Option<&Refused> {
        self.refused.iter().find(|refused| refused.hash == hash)
    }
}

/// The form of the file.
#[derive(Serialize, Deserialize)]
struct Sheet<T> {
    format: u32,
    standing: T,
}

/// A text that is no standing.
#[derive(Debug)]
pub(super) enum Unreadable {
    Newer { found: u32, known: u32 },
    Corrupt(serde_json::Error),
}

pub(super) fn to_json(standing: &Standing) -> io::Result<Vec<u8>> {
    let format = FORMAT;
    Ok(serde_json::to_vec_pretty(&Sheet { format, standing })?)
}

pub(super) fn from_json(json: &[u8]) -> Result<Standing, Unreadable> {
    // The format decides how the rest is to be read.
    let Sheet::<IgnoredAny> { format, .. } =
        serde_json::from_slice(json).map_err(Unreadable::Corrupt)?;
    if format > FORMAT {
        return Err(Unreadable::Newer {
            found: format,
            known: FORMAT,
        });
    }
    let sheet: Sheet<Standing> = serde_json::from_slice(json).map_err(Unreadable::Corrupt)?;
    Ok(sheet.standing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(content: &[u8], generation: u64) -> Served {
        Served {
            hash: ContentHash::of(content),
            version: "0.1.0".to_owned(),
            generation,
            since: generation,
            state: None,
        }
    }

    fn saved(content: &[u8]) -> Option<SavedState> {
        Some(SavedState {
            version: 1,
            hash: ContentHash::of(content),
            at: 1,
        })
    }

    fn generations(standing: &Standing) -> (u64, Option<u64>) {
        let number = |served: &Served| served.generation;
        let current = standing.current.as_ref().map(number);
        (
            current.expect("one serves"),
            standing.previous.as_ref().map(number),
        )
    }

    #[test]
    fn what_is_replaced_becomes_the_previous_one_with_its_state() {
        let mut standing = Standing::default();
        standing.serve(served(b"a", 1), None);
        assert_eq!(generations(&standing), (1, None));
        standing.serve(served(b"b", 2), saved(b"state of a"));
        assert_eq!(generations(&standing), (2, Some(1)));
        let previous = standing.previous.clone().expect("it served");
        assert_eq!(previous.state, saved(b"state of a"));
        standing.serve(served(b"b", 3), saved(b"state of b"));
        assert_eq!(
            generations(&standing),
            (3, Some(1)),
            "b again is no way back"
        );
        assert_eq!(standing.previous, Some(previous));
        standing.serve(served(b"a", 4), saved(b"state of b"));
        assert_eq!(
            generations(&standing),
            (4, Some(3)),
            "a rollback can be undone"
        );
    }

    #[test]
    fn refusals_are_few_and_end_when_the_content_serves() {
        let mut standing = Standing::default();
        let refused = |content: usize, at: u64| Refused {
            hash: ContentHash::of(&content.to_le_bytes()),
            why: "its `start` panicked".to_owned(),
            at,
            is_fatal: false,
        };
        let first = refused(0, 1);
        standing.refuse(first.clone());
        standing.refuse(refused(0, 2));
        assert_eq!(standing.refused, [refused(0, 2)], "the newer one stands");
        for content in 1..=Standing::REFUSED_MAX {
            standing.refuse(refused(content, 3));
        }
        assert_eq!(standing.refused.len(), Standing::REFUSED_MAX);
        assert_eq!(
            standing.refusal(first.hash),
            None,
            "the oldest is forgotten"
        );
        let last = standing.refused.last().cloned().expect("a refusal");
        assert_eq!(standing.refusal(last.hash), Some(&last));
        let mut next = served(b"", 1);
        next.hash = last.hash;
        standing.serve(next, None);
        assert_eq!(standing.refusal(last.hash), None);
    }

    #[test]
    fn a_newer_format_is_told_apart_from_damage() {
        let check = |json: &str, expect: &str| {
            let error = from_json(json.as_bytes()).expect_err("it cannot be read");
            let found = match error {
                Unreadable::Newer { found, known } => format!("{found} over {known}"),
                Unreadable::Corrupt(error) => error.to_string(),
            };
            assert!(found.starts_with(expect), "{json}: {found}");
        };
        check(r#"{"format": 2, "standing": {"heir": "b"}}"#, "2 over 1");
        check(r#"{"format": 2, "standing": [1], "more": 1}"#, "2 over 1");
        check(
            r#"{"format": 1, "standing": {"heir": 1}}"#,
            "unknown field `heir`",
        );
        check(r#"{"format": 1, "standing": {"curr"#, "EOF while parsing");
        check("", "EOF while parsing");
        check("\0\0\0\0", "expected value");
    }

    /// The file as it was written first; it must be read for ever.
    #[test]
    fn the_first_format_is_read() {
        let json = include_str!("standing/format-1.json");
        let standing = from_json(json.as_bytes()).expect("a standing");
        let mut expected = Standing::default();
        expected.serve(served(b"a", 1), None);
        expected.serve(served(b"b", 2), saved(b"state of a"));
        expected.refuse(Refused {
            hash: ContentHash::of(b"c"),
            why: "its `start` panicked".to_owned(),
            at: 3,
            is_fatal: false,
        });
        assert_eq!(standing, expected);
        let written = String::from_utf8(to_json(&expected).expect("JSON"));
        assert_eq!(written.as_deref(), Ok(json.trim_end()), "it is written so");
    }
}
