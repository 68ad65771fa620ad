//! Copies everything of one database into another empty one, whatever adapters they have, and compares.
//!
//! Files, names and what becomes of them is the job of `backup`.

use std::fmt;
use std::path::{Path, PathBuf};

use super::change::Change;
use super::half::{self, Half};
use super::{StorageAdapter, StorageError};

/// How far a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is being done.
    pub step: Step,
    /// How many records that has been done to.
    pub done: u64,
    /// How many there are.
    pub of: u64,
}

/// What is done to each record, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// They are written into the other database.
    Copying,
    /// They are read back and compared.
    Checking,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copying => "copying",
            Self::Checking => "checking",
        })
    }
}

/// What a database holds at one moment: two that hold the same have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contents {
    /// How many records it has.
    pub records: u64,
    /// The bytes of their keys and values.
    pub bytes: u64,
    /// The last version it gave.
    pub last_version: u64,
    /// BLAKE3 over namespace, key, version and value of each record, in their order, in hexadecimal.
    pub digest: String,
}

/// Why a database was not copied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// There is something in it already.
    #[error("the database to copy into is not empty (records: {records})")]
    NotEmpty {
        /// How many records it has.
        records: u64,
    },
    /// What is to be copied is only a part of something itself.
    #[error("the database to copy from was to be filled itself, and holds only a part")]
    Half {
        /// A backup of what was there before that.
        aside: Option<PathBuf>,
    },
    /// What is to be copied cannot be read.
    #[error("the database cannot be read whole")]
    Read(#[source] StorageError),
    /// What is copied cannot be written, or not be read back.
    #[error("the copy cannot be written whole")]
    Write(#[source] StorageError),
    /// What was read back is something else.
    #[error(
        "the copy has {} records with the digest {}, expected {} with {}",
        found.records, found.digest, expected.records, expected.digest
    )]
    Differs {
        /// What was copied.
        expected: Box<Contents>,
        /// What was read back.
        found: Box<Contents>,
    },
}

impl CopyError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotEmpty { .. } => Some("copy into a new database".to_owned()),
            Self::Half { aside: None } => Some("fill it again first".to_owned()),
            Self::Half { aside: Some(aside) } => {
                let aside = aside.display();
                Some(format!(
                    "fill it again first; what was there before is kept as `{aside}`"
                ))
            }
            Self::Read(error) | Self::Write(error) => error.hint(),
            Self::Differs { .. } => {
                Some("let nobody else write to the copy, and check its disk".to_owned())
            }
        }
    }
}

/// Copies everything as it is at one moment, versions and all; writes to `from` go on meanwhile.
///
/// Afterwards the copy is read back and compared. A failed or dropped copy leaves what it has written, which is
/// [told](half::half) then, and does not count as something that is in `to` when it is copied into again.
///
/// # Errors
///
/// If there is something in `to` already, one of them fails, or they differ in the end.
pub async fn copy(
    from: &dyn StorageAdapter,
    to: &dyn StorageAdapter,
    progress: impl FnMut(Progress) + Send,
) -> Result<Contents, CopyError> {
    let there = to.snapshot().await.map_err(CopyError::Write)?.records();
    if there > 0 {
        let half = half::half(to).await.map_err(CopyError::Write)?;
        // What another copy left, of which there is all in what it was copied from.
        if half.is_none_or(|half| half.aside.is_some()) {
            return Err(CopyError::NotEmpty { records: there });
        }
    }
    fill(from, to, None, progress).await
}

/// The same in the place of everything that is in `to`, which is kept `aside`.
///
/// From before the first record goes until all have come and were compared, `to` is [told](half::half) to be a part.
pub(super) async fn fill(
    from: &dyn StorageAdapter,
    to: &dyn StorageAdapter,
    aside: Option<&Path>,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Contents, CopyError> {
    if let Some(Half { aside }) = half::half(from).await.map_err(CopyError::Read)? {
        return Err(CopyError::Half { aside });
    }
    let mut snapshot = from.snapshot().await.map_err(CopyError::Read)?;
    let last_version = snapshot.last_version();
    let mut tally = Tally::of(Step::Copying, snapshot.records(), &mut progress);
    half::begin(to, aside).await.map_err(CopyError::Write)?;
    clear_but_mark(to).await.map_err(CopyError::Write)?;
    loop {
        let records = snapshot.next().await.map_err(CopyError::Read)?;
        // Also with no records at all, for the counter.
        let written = to.replicate(&records, last_version).await;
        written.map_err(CopyError::Write)?;
        if records.is_empty() {
            break;
        }
        tally.add(&records);
    }
    let expected = tally.contents(last_version);
    // It would keep the database from tidying up while the copy is read back.
    drop(snapshot);
    let found = contents(to, progress).await.map_err(CopyError::Write)?;
    // Its counter may have been further already.
    if (found.records, &found.digest) != (expected.records, &expected.digest) {
        let (expected, found) = (Box::new(expected), Box::new(found));
        return Err(CopyError::Differs { expected, found });
    }
    half::end(to).await.map_err(CopyError::Write)?;
    Ok(found)
}

/// Deletes everything that is there at one moment; the counter goes on.
///
/// What was begun before and given up is either in that moment or never done.
///
/// # Errors
///
/// If the database cannot be read or written; it may have deleted some by then.
pub async fn clear(database: &dyn StorageAdapter) -> Result<(), StorageError> {
    // A page of a copy that was dropped may still lie with the writer: this comes behind it, and changes nothing.
    database.replicate(&[], 0).await?;
    match clear_but_mark(database).await? {
        true => half::end(database).await,
        false => Ok(()),
    }
}

/// Deletes everything else; tells whether there is a mark.
async fn clear_but_mark(database: &dyn StorageAdapter) -> Result<bool, StorageError> {
    let mut snapshot = database.snapshot().await?;
    let mut version = snapshot.last_version();
    let mut is_marked = false;
    loop {
        let mut records = snapshot.next().await?;
        if records.is_empty() {
            return Ok(is_marked);
        }
        is_marked |= records.iter().any(half::is_mark);
        records.retain(|record| !half::is_mark(record));
        for record in &mut records {
            version += 1;
            (record.version, record.value) = (version, None);
        }
        database.replicate(&records, version).await?;
    }
}

/// Reads everything as it is at one moment, and tells what it is, but for the mark of a [part](half::half).
///
/// # Errors
///
/// If the database cannot be read.
pub async fn contents(
    of: &dyn StorageAdapter,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Contents, StorageError> {
    let marks = u64::from(half::half(of).await?.is_some());
    let mut snapshot = of.snapshot().await?;
    let records = snapshot.records().saturating_sub(marks);
    let mut tally = Tally::of(Step::Checking, records, &mut progress);
    loop {
        let mut records = snapshot.next().await?;
        if records.is_empty() {
            return Ok(tally.contents(snapshot.last_version()));
        }
        records.retain(|record| !half::is_mark(record));
        tally.add(&records);
    }
}

/// Counts and digests records as they pass.
struct Tally<'a, P> {
    progress: &'a mut P,
    at: Progress,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl<'a, P: FnMut(Progress)> Tally<'a, P> {
    fn of(step: Step, of: u64, progress: &'a mut P) -> Self {
        let at = Progress { step, done: 0, of };
        progress(at);
        Self {
            progress,
            at,
            bytes: 0,
            hasher: blake3::Hasher::new(),
        }
    }

    fn add(&mut self, records: &[Change]) {
        for record in records {
            self.bytes += record.bytes() as u64;
            let value = record.value.as_deref().unwrap_or_default();
            self.text(record.namespace.as_bytes());
            self.text(record.key.as_bytes());
            self.hasher.update(&record.version.to_le_bytes());
            self.text(value);
        }
        self.at.done += records.len() as u64;
        (self.progress)(self.at);
    }

    /// With its length before it, so that no two ways of cutting a text are the same.
    fn text(&mut self, text: &[u8]) {
        self.hasher.update(&(text.len() as u64).to_le_bytes());
        self.hasher.update(text);
    }

    fn contents(self, last_version: u64) -> Contents {
        Contents {
            records: self.at.done,
            bytes: self.bytes,
            last_version,
            digest: self.hasher.finalize().to_hex().to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
