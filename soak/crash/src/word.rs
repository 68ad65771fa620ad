//! What a worker tells the one that kills it: a line for each word, in one write, so that a line that was begun
//! is whole. What follows from the words is the business of `ledger`.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};

/// The name of a write: which life of the worker began it, which writer there, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id {
    pub(crate) life: u32,
    pub(crate) writer: u32,
    pub(crate) serial: u32,
}

/// What a writer is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// Writes a key that it alone writes.
    Set(u32),
    /// Deletes such a key.
    Delete(u32),
    /// Adds one to a counter that all writers share, by compare-and-set.
    Add(u32),
    /// Writes several keys together.
    Batch,
    /// Deletes them together.
    Unbatch,
    /// Appends to the end of its list.
    Append,
    /// Records a fact with an event.
    Fact,
    /// Gathers the parts of a fact, and records it whole with an event.
    Gather,
}

/// A word of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// The database is opened from now on.
    Opening,
    /// The writers begin.
    Ready,
    /// This is begun now; nothing is said of it again until it has an outcome.
    Intend(Id, Deed),
    /// It was acknowledged with this version or position.
    Done(Id, u64),
    /// It was refused: nothing of it is there.
    Refused(Id),
    /// There was an error: it was done, or not.
    Unsure(Id),
    /// The event of a fact came over the bus.
    Heard(Id),
    /// It came, and the fact could not be read.
    Early(Id),
    /// A consumer took the fact at this position.
    Took(u64, Id),
    /// Its cursor is kept at this position.
    Kept(u64),
    /// A backup is made under this number.
    Backing(u32),
    /// It is there.
    Backed(u32),
    /// A standby has everything up to this version.
    Followed(u64),
    /// Everything is done, and every event heard.
    Drained,
    /// What should not have been.
    Complaint(String),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.life, self.writer, self.serial)
    }
}

impl FromStr for Id {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Result<Vec<_>, ParseIntError> = text.split('.').map(str::parse).collect();
        match *parts.with_context(|| format!("`{text}` names no write"))? {
            [life, writer, serial] => Ok(Self {
                life,
                writer,
                serial,
            }),
            _ => bail!("`{text}` names no write"),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(slot) => write!(f, "set {slot}"),
            Self::Delete(slot) => write!(f, "delete {slot}"),
            Self::Add(counter) => write!(f, "add {counter}"),
            Self::Batch => f.write_str("batch"),
            Self::Unbatch => f.write_str("unbatch"),
            Self::Append => f.write_str("append"),
            Self::Fact => f.write_str("fact"),
            Self::Gather => f.write_str("gather"),
        }
    }
}

impl FromStr for Deed {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Ok(match word {
            "set" => Self::Set(rest.parse()?),
            "delete" => Self::Delete(rest.parse()?),
            "add" => Self::Add(rest.parse()?),
            "batch" => Self::Batch,
            "unbatch" => Self::Unbatch,
            "append" => Self::Append,
            "fact" => Self::Fact,
            "gather" => Self::Gather,
            _ => bail!("`{text}` is nothing that a writer does"),
        })
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opening => f.write_str("opening"),
            Self::Ready => f.write_str("ready"),
            Self::Intend(id, deed) => write!(f, "intend {id} {deed}"),
            Self::Done(id, at) => write!(f, "done {id} {at}"),
            Self::Refused(id) => write!(f, "refused {id}"),
            Self::Unsure(id) => write!(f, "unsure {id}"),
            Self::Heard(id) => write!(f, "heard {id}"),
            Self::Early(id) => write!(f, "early {id}"),
            Self::Took(position, id) => write!(f, "took {position} {id}"),
            Self::Kept(position) => write!(f, "kept {position}"),
            Self::Backing(number) => write!(f, "backing {number}"),
            Self::Backed(number) => write!(f, "backed {number}"),
            Self::Followed(version) => write!(f, "followed {version}"),
            Self::Drained => f.write_str("drained"),
            // One line, and short enough to be written at once.
            Self::Complaint(what) => {
                let what = what.replace('\n', " ");
                write!(f, "complaint {}", &what[..what.floor_char_boundary(2_000)])
            }
        }
    }
}

impl FromStr for Word {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
        Ok(match word {
            "opening" => Self::Opening,
            "ready" => Self::Ready,
            "intend" => Self::Intend(first.parse()?, second.parse()?),
            "done" => Self::Done(first.parse()?, second.parse()?),
            "refused" => Self::Refused(first.parse()?),
            "unsure" => Self::Unsure(first.parse()?),
            "heard" => Self::Heard(first.parse()?),
            "early" => Self::Early(first.parse()?),
            "took" => Self::Took(first.parse()?, second.parse()?),
            "kept" => Self::Kept(first.parse()?),
            "backing" => Self::Backing(first.parse()?),
            "backed" => Self::Backed(first.parse()?),
            "followed" => Self::Followed(first.parse()?),
            "drained" => Self::Drained,
            "complaint" => Self::Complaint(rest.to_owned()),
            _ => bail!("`{line}` is no word of a worker"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let id = Id {
            life: 3,
            writer: 1,
            serial: 17,
        };
        let deeds = [
            Deed::Set(4),
            Deed::Delete(0),
            Deed::Add(2),
            Deed::Batch,
            Deed::Unbatch,
            Deed::Append,
            Deed::Fact,
            Deed::Gather,
        ];
        let words = [
            Word::Opening,
            Word::Ready,
            Word::Done(id, 9),
            Word::Refused(id),
            Word::Unsure(id),
            Word::Heard(id),
            Word::Early(id),
            Word::Took(5, id),
            Word::Kept(5),
            Word::Backing(1),
            Word::Backed(1),
            Word::Followed(8),
            Word::Drained,
            Word::Complaint("storage is closed".to_owned()),
        ];
        let deeds = deeds.map(|deed| Word::Intend(id, deed));
        for word in words.into_iter().chain(deeds) {
            let told = word.to_string();
            assert_eq!(told.parse::<Word>().expect("it was told"), word);
        }
    }

    #[test]
    fn a_complaint_is_one_line_of_bounded_length() {
        let told = Word::Complaint(format!("first\n{}", "é".repeat(4_000))).to_string();
        assert!(told.starts_with("complaint first é"), "{told}");
        assert!(!told.contains('\n') && told.len() < 4_096);
    }
}
