//! What can be wrong with a database after a crash, and how much of it was seen.

use std::collections::BTreeMap;
use std::fmt;

/// A kind of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Something acknowledged is not there.
    Lost,
    /// Something is there twice.
    Doubled,
    /// Of what belongs together, only a part is there.
    Half,
    /// Something is there that nobody wanted.
    Unintended,
    /// An event was published before its fact was there.
    Early,
    /// The event of a fact was never published.
    Silent,
    /// A consumer left out facts, or got them in another order.
    Skipped,
    /// A version or position was not above those before.
    Backward,
    /// A standby or a backup is none.
    Copy,
    /// The worker itself, or the database, was not as it should be.
    Other,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) kind: Kind,
    pub(crate) what: String,
}

/// How often each kind was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Damages(BTreeMap<Kind, u64>);

impl Damage {
    pub(crate) fn new(kind: Kind, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { kind, what }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.what)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Half => "half",
            Self::Unintended => "unintended",
            Self::Early => "early",
            Self::Silent => "silent",
            Self::Skipped => "skipped",
            Self::Backward => "backward",
            Self::Copy => "copy",
            Self::Other => "other",
        })
    }
}

impl Damages {
    pub(crate) fn add(&mut self, damage: &Damage) {
        *self.0.entry(damage.kind).or_default() += 1;
    }

    pub(crate) fn add_all(&mut self, others: &Self) {
        for (kind, count) in &others.0 {
            *self.0.entry(*kind).or_default() += count;
        }
    }

    /// How often one of these was seen.
    pub(crate) fn of(&self, kinds: &[Kind]) -> u64 {
        kinds.iter().filter_map(|kind| self.0.get(kind)).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
