//! Why the journal did not do what it was asked for.

use octa_loader::NameError;

use super::limits::MAX_PARTS;
use super::outbox::namespace_of;
use crate::storage::StorageError;

/// Why an operation on the journal was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The namespace or the topic is not a name.
    #[error(transparent)]
    Form(#[from] NameError),
    /// A stream, a key, a part or a consumer is not called so.
    #[error("{what} `{name}` {fault}")]
    Name {
        /// What it was to be.
        what: &'static str,
        /// The name, escaped and shortened.
        name: String,
        /// What is wrong with it.
        fault: NameFault,
    },
    /// The fact or the part is not JSON.
    #[error("{what} is not JSON: {reason}")]
    NotJson {
        /// Which.
        what: String,
        /// What is wrong, and where.
        reason: String,
    },
    /// Something is larger than its limit, or a limit of zero was asked for.
    #[error("{what} has {found} {unit}, expected 1 to {limit}")]
    Size {
        /// What was measured.
        what: String,
        /// Its size.
        found: usize,
        /// What is counted.
        unit: &'static str,
        /// The most it may be.
        limit: usize,
    },
    /// The parts that are expected cannot be, or are not those of before.
    #[error("{what} {fault}")]
    Parts {
        /// Of which key.
        what: String,
        /// What is wrong with them.
        fault: PartsFault,
    },
    /// A consumer acknowledges what it cannot have seen.
    #[error("consumer `{consumer}` of {what} acknowledges {position}, where there is no fact")]
    NoFact {
        /// The consumer.
        consumer: String,
        /// Of which stream.
        what: String,
        /// The position.
        position: u64,
    },
    /// Others wrote the same again and again.
    #[error("{what} was written by others {attempts} times meanwhile")]
    Busy {
        /// What.
        what: String,
        /// How often it was tried.
        attempts: usize,
    },
    /// What is there is not what the journal wrote.
    #[error("`{namespace}/{key}` in the storage is not what the journal writes: {reason}")]
    Unreadable {
        /// The namespace of the record.
        namespace: String,
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The storage did not do it.
    #[error("{what}")]
    Storage {
        /// What was not done.
        what: String,
        /// Why.
        source: StorageError,
    },
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// It is empty.
    #[error("is empty, expected 1 to {limit} bytes")]
    Empty {
        /// The most it may have.
        limit: usize,
    },
    /// It is too long.
    #[error("has {found} bytes, expected 1 to {limit}")]
    Long {
        /// How many it has.
        found: usize,
        /// The most it may have.
        limit: usize,
    },
    /// It has a character that it may not have.
    #[error("has the character `{}` at byte {position}", character.escape_default())]
    Character {
        /// The character.
        character: char,
        /// Its place.
        position: usize,
    },
}

/// What is wrong with the parts that are expected of a fact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartsFault {
    /// There are none, or too many.
    #[error("is to have {found} parts, expected 1 to {MAX_PARTS}")]
    Count {
        /// How many.
        found: usize,
    },
    /// One is named twice.
    #[error("is to have part `{part}` twice")]
    Twice {
        /// The part.
        part: String,
    },
    /// The part that comes is not among them.
    #[error("has no part `{part}`, expected one of {}", list(.expected))]
    Unexpected {
        /// The part.
        part: String,
        /// Those that are expected.
        expected: Vec<String>,
    },
    /// They are not those that were expected with the first part.
    #[error("is to have the parts {}, but was begun with {}", list(.found), list(.expected))]
    Changed {
        /// What is expected now.
        found: Vec<String>,
        /// What was expected first.
        expected: Vec<String>,
    },
}

impl JournalError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Form(error) => return error.hint(),
            Self::Storage {
                source: StorageError::Quota(spent),
                ..
            } if namespace_of(&spent.namespace).is_some() => {
                "so much waits to be published: see which subscription has no room for it; what \
                 a kernel left that is gone is taken over when one starts; or raise the quota in \
                 the configuration"
            }
            Self::Storage { source, .. } => return source.hint(),
            Self::NotJson { .. } => "a text is a JSON string only in double quotes",
            Self::Size { unit: "bytes", .. } => {
                "keep what is large in the storage, and its key in the fact"
            }
            Self::Parts {
                fault: PartsFault::Changed { .. },
                ..
            } => "expect the same parts each time, or drop those that are there",
            Self::NoFact { .. } => "acknowledge the position of a fact that was read",
            Self::Busy { .. } => "try again",
            Self::Unreadable { .. } => "a newer kernel may have written it: update this one",
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// What the storage said, if it was that.
    pub fn storage(&self) -> Option<&StorageError> {
        match self {
            Self::Storage { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Some names, the first few of many.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`"));
    let mut list = shown.collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        list += &format!(" and {} more", names.len() - SHOWN);
    }
    list
}
