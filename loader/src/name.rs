//! Rules for the names of plugins, topics, capabilities and namespaces.
//!
//! One place says what a name may look like, for the manifest, the configuration and the bus alike.
//! Patterns over names are the job of `pattern`.

use std::fmt;

use thiserror::Error;

/// Longest name of a topic, a capability or a namespace, and longest pattern, in bytes.
pub const NAME_BYTES_MAX: usize = 255;
/// Most segments of a topic, a capability, a namespace or a pattern.
pub const NAME_SEGMENTS_MAX: usize = 16;
/// Longest plugin name, in bytes.
pub const PLUGIN_NAME_BYTES_MAX: usize = 64;

/// What a name names; it decides what the name may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameKind {
    /// A plugin: `[a-z][a-z0-9-]*`, 1 to 64 characters.
    Plugin,
    /// A topic: 1 to 16 segments of `[A-Za-z0-9_-]+` with dots between, at most 255 bytes.
    Topic,
    /// A capability, formed as a topic is.
    Capability,
    /// A storage or state namespace, formed as a topic is.
    Namespace,
    /// A pattern over topics or capabilities: segments may also be `*`, the last one also `**`.
    Pattern,
}

impl NameKind {
    /// Checks that `text` is a well-formed name of this kind.
    ///
    /// # Errors
    /// Says which length, or which character at which position, is not allowed, and what is.
    pub fn check(self, text: &str) -> Result<(), NameError> {
        let fault = match self {
            NameKind::Plugin => plugin_fault(text),
            _ => dotted_fault(text, self == NameKind::Pattern),
        };
        match fault {
            None => Ok(()),
            Some(fault) => Err(NameError {
                kind: self,
                text: excerpt(text),
                fault,
            }),
        }
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameKind::Plugin => "plugin name",
            NameKind::Topic => "topic",
            NameKind::Capability => "capability",
            NameKind::Namespace => "namespace",
            NameKind::Pattern => "pattern",
        })
    }
}

/// A name that breaks the rules of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{kind} `{text}` {fault}")]
#[non_exhaustive]
pub struct NameError {
    /// What the name was meant to name.
    pub kind: NameKind,
    /// The name as it was found, shortened if it is very long.
    pub text: String,
    /// What is wrong with it.
    pub fault: NameFault,
}

impl NameError {
    /// Says how such a name is formed.
    pub fn hint(&self) -> Option<String> {
        let rule = match self.kind {
            NameKind::Plugin => {
                "a plugin name is a lowercase letter, then lowercase letters, digits and `-`, \
                 such as `living-room`"
            }
            NameKind::Pattern => {
                "a pattern is a name in which `*` stands for one segment and a last `**` for one \
                 or more, such as `device.*.state` or `device.**`"
            }
            _ => {
                "a name is segments of letters, digits, `_` and `-` with dots between, such as \
                 `device.state_changed`"
            }
        };
        Some(rule.to_owned())
    }
}

/// What is wrong with a name; positions count characters from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameFault {
    /// There is no character at all.
    #[error("is empty")]
    Empty,
    /// There are too many bytes.
    #[error("is {length} bytes long, at most {limit} are allowed")]
    TooLong {
        /// Bytes found.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// There are too many segments.
    #[error("has {count} segments, at most {NAME_SEGMENTS_MAX} are allowed")]
    TooManySegments {
        /// Segments found.
        count: usize,
    },
    /// Nothing stands where a segment should begin.
    #[error("has an empty segment at position {position}")]
    EmptySegment {
        /// Where the segment should begin.
        position: usize,
    },
    /// A character is not allowed where it stands.
    #[error("has `{}` at position {position}, expected {expected}", found.escape_debug())]
    Character {
        /// The character found.
        found: char,
        /// Where it stands.
        position: usize,
        /// What may stand there.
        expected: &'static str,
    },
    /// `**` stands before the end of a pattern.
    #[error("has `**` at position {position}, expected it as the last segment only")]
    EarlyRest {
        /// Where it stands.
        position: usize,
    },
}

fn plugin_fault(text: &str) -> Option<NameFault> {
    if let Some(fault) = length_fault(text, PLUGIN_NAME_BYTES_MAX) {
        return Some(fault);
    }
    text.chars().enumerate().find_map(|(index, found)| {
        let letter = found.is_ascii_lowercase();
        let (allowed, expected) = match index {
            0 => (letter, "a lowercase letter"),
            _ => (
                letter || found.is_ascii_digit() || found == '-',
                "a lowercase letter, a digit or `-`",
            ),
        };
        (!allowed).then_some(NameFault::Character {
            found,
            position: index + 1,
            expected,
        })
    })
}

fn dotted_fault(text: &str, wildcards: bool) -> Option<NameFault> {
    if let Some(fault) = length_fault(text, NAME_BYTES_MAX) {
        return Some(fault);
    }
    let count = text.split('.').count();
    if count > NAME_SEGMENTS_MAX {
        return Some(NameFault::TooManySegments { count });
    }
    // Everything before the first fault is ASCII, so bytes count characters here.
    let mut position = 1;
    for (index, segment) in text.split('.').enumerate() {
        let last = index + 1 == count;
        if let Some(fault) = segment_fault(segment, position, wildcards, last) {
            return Some(fault);
        }
        position += segment.len() + 1;
    }
    None
}

fn segment_fault(segment: &str, position: usize, wildcards: bool, last: bool) -> Option<NameFault> {
    match segment {
        "" => return Some(NameFault::EmptySegment { position }),
        "*" if wildcards => return None,
        "**" if wildcards && last => return None,
        "**" if wildcards => return Some(NameFault::EarlyRest { position }),
        _ => {}
    }
    let expected = match wildcards {
        true => "a letter, a digit, `_`, `-`, or `*` or `**` as a whole segment",
        false => "a letter, a digit, `_` or `-`",
    };
    let wrong = |found: &char| !(found.is_ascii_alphanumeric() || matches!(found, '_' | '-'));
    let (index, found) = segment
        .chars()
        .enumerate()
        .find(|(_, found)| wrong(found))?;
    Some(NameFault::Character {
        found,
        position: position + index,
        expected,
    })
}

fn length_fault(text: &str, limit: usize) -> Option<NameFault> {
    match text.len() {
        0 => Some(NameFault::Empty),
        length if length > limit => Some(NameFault::TooLong { length, limit }),
        _ => None,
    }
}

/// Keeps a message readable when the name is a page long or holds control characters.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 80;
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: NameKind, text: &str, expected: &str) {
        let found = match kind.check(text) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn plugin_names() {
        check(NameKind::Plugin, "living-room2", "ok");
        check(NameKind::Plugin, "", "plugin name `` is empty");
        check(
            NameKind::Plugin,
            "Echo",
            "plugin name `Echo` has `E` at position 1, expected a lowercase letter",
        );
        check(
            NameKind::Plugin,
            "лампа",
            "plugin name `лампа` has `л` at position 1, expected a lowercase letter",
        );
        check(
            NameKind::Plugin,
            "a.b",
            "plugin name `a.b` has `.` at position 2, expected a lowercase letter, a digit or `-`",
        );
        let long = "a".repeat(65);
        check(
            NameKind::Plugin,
            &long,
            &format!("plugin name `{long}` is 65 bytes long, at most 64 are allowed"),
        );
    }

    #[test]
    fn dotted_names() {
        check(NameKind::Capability, "LOAD_CONFIG", "ok");
        check(NameKind::Topic, "device.lamp-1.state", "ok");
        check(NameKind::Topic, &["a"; 16].join("."), "ok");
        check(
            NameKind::Topic,
            "a..b",
            "topic `a..b` has an empty segment at position 3",
        );
        check(
            NameKind::Topic,
            "a.",
            "topic `a.` has an empty segment at position 3",
        );
        check(
            NameKind::Topic,
            "a.b\n",
            "topic `a.b\\n` has `\\n` at position 4, expected a letter, a digit, `_` or `-`",
        );
        check(
            NameKind::Topic,
            "a.*",
            "topic `a.*` has `*` at position 3, expected a letter, a digit, `_` or `-`",
        );
        let many = ["a"; 17].join(".");
        check(
            NameKind::Namespace,
            &many,
            &format!("namespace `{many}` has 17 segments, at most 16 are allowed"),
        );
        let long = "a".repeat(256);
        let shown = "a".repeat(80);
        check(
            NameKind::Capability,
            &long,
            &format!("capability `{shown}…` is 256 bytes long, at most 255 are allowed"),
        );
    }

    #[test]
    fn patterns() {
        check(NameKind::Pattern, "**", "ok");
        check(NameKind::Pattern, "device.*.state.**", "ok");
        check(
            NameKind::Pattern,
            "a.**.b",
            "pattern `a.**.b` has `**` at position 3, expected it as the last segment only",
        );
        check(
            NameKind::Pattern,
            "a.b*",
            "pattern `a.b*` has `*` at position 4, expected a letter, a digit, `_`, `-`, \
             or `*` or `**` as a whole segment",
        );
    }
}
