//! Copies everything of one database into another empty one, whatever adapters they have, and compares.
//!
//! Files, names and what becomes of them is the job of `backup`.

use std::fmt;

use super::change::Change;
use super::{Snapshot, StorageAdapter, StorageError};

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
            Self::Read(error) | Self::Write(error) => error.hint(),
            Self::Differs { .. } => {
                Some("let nobody else write to the copy, and check its disk".to_owned())
            }
        }
    }
}

/// Copies everything as it is at one moment, versions and all; writes to `from` go on meanwhile.
///
/// Afterwards the copy is read back and compared. A failed or dropped copy leaves what it has written: only once
/// `progress` was told something, `to` has been found empty, and may hold some of it.
///
/// # Errors
///
/// If there is something in `to` already, one of them fails, or they differ in the end.
pub async fn copy(
    from: &dyn StorageAdapter,
    to: &dyn StorageAdapter,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Contents, CopyError> {
    let there = to.snapshot().await.map_err(CopyError::Write)?.records();
    if there > 0 {
        return Err(CopyError::NotEmpty { records: there });
    }
    let mut snapshot = from.snapshot().await.map_err(CopyError::Read)?;
    let last_version = snapshot.last_version();
    let mut tally = Tally::of(Step::Copying, &*snapshot, &mut progress);
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
    Ok(found)
}

/// Deletes everything that is there at one moment; the counter goes on.
///
/// # Errors
///
/// If the database cannot be read or written; it may have deleted some by then.
pub async fn clear(database: &dyn StorageAdapter) -> Result<(), StorageError> {
    let mut snapshot = database.snapshot().await?;
    let mut version = snapshot.last_version();
    loop {
        let mut records = snapshot.next().await?;
        if records.is_empty() {
            return Ok(());
        }
        for record in &mut records {
            version += 1;
            (record.version, record.value) = (version, None);
        }
        database.replicate(&records, version).await?;
    }
}

/// Reads everything as it is at one moment, and tells what it is.
///
/// # Errors
///
/// If the database cannot be read.
pub async fn contents(
    of: &dyn StorageAdapter,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Contents, StorageError> {
    let mut snapshot = of.snapshot().await?;
    let mut tally = Tally::of(Step::Checking, &*snapshot, &mut progress);
    loop {
        let records = snapshot.next().await?;
        if records.is_empty() {
            return Ok(tally.contents(snapshot.last_version()));
        }
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
    fn of(step: Step, snapshot: &dyn Snapshot, progress: &'a mut P) -> Self {
        let of = snapshot.records();
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
mod tests {
    use super::super::{Batch, BoxFuture, Expect, Memory, Outcome};
    use super::*;

    async fn full(records: usize) -> Memory {
        let memory = Memory::new();
        for at in 0..records {
            let mut batch = Batch::new();
            let (namespace, key) = (format!("n{}", at % 3), format!("k{at}"));
            let put = batch.put(&namespace, &key, Expect::Any, at.to_string().into_bytes());
            put.expect("a valid write");
            memory.apply(batch).await.expect("it is written");
        }
        let mut batch = Batch::new();
        let delete = batch.delete("n0", "k0", Expect::Any);
        delete.expect("a valid write");
        memory.apply(batch).await.expect("it is deleted");
        memory
    }

    #[tokio::test]
    async fn a_copy_is_the_same_and_goes_on_behind_it() {
        let (from, to) = (full(2_500).await, Memory::new());
        let mut told = Vec::new();
        let copied = copy(&from, &to, |progress| told.push(progress)).await;
        let copied = copied.expect("it is copied");
        assert_eq!((copied.records, copied.last_version), (2_499, 2_501));
        let compared = contents(&from, |_| ()).await.expect("it is read");
        assert_eq!(copied, compared);
        let ends = |step| {
            let mut told = told.iter().filter(|it| it.step == step).peekable();
            assert_eq!(told.peek().map(|it| (it.done, it.of)), Some((0, 2_499)));
            told.last().map(|it| it.done)
        };
        let last = [Step::Copying, Step::Checking].map(ends);
        assert_eq!(last, [Some(2_499); 2]);
        let mut batch = Batch::new();
        batch
            .put("n0", "k0", Expect::Absent, &b"1"[..])
            .expect("valid");
        let outcomes = to.apply(batch).await.expect("it is written");
        assert_eq!(outcomes, [Outcome::Put { version: 2_502 }]);
    }

    #[tokio::test]
    async fn an_empty_database_hands_on_its_counter() {
        let (from, to) = (full(1).await, Memory::new());
        let copied = copy(&from, &to, |_| ()).await.expect("it is copied");
        assert_eq!((copied.records, copied.last_version), (0, 2));
        let found = contents(&to, |_| ()).await.expect("it is read");
        assert_eq!(found.last_version, 2);
    }

    #[tokio::test]
    async fn what_is_there_is_left_alone() {
        let (from, to) = (full(3).await, full(5).await);
        let before = contents(&to, |_| ()).await.expect("it is read");
        let error = copy(&from, &to, |_| ()).await.expect_err("it is not empty");
        assert_eq!(
            error.to_string(),
            "the database to copy into is not empty (records: 4)"
        );
        assert_eq!(contents(&to, |_| ()).await.expect("it is read"), before);
    }

    #[tokio::test]
    async fn what_is_cleared_can_be_copied_into() {
        let (from, to) = (full(3).await, full(1_500).await);
        clear(&to).await.expect("it is cleared");
        assert_eq!(to.usage().await.expect("it is read"), []);
        let copied = copy(&from, &to, |_| ()).await.expect("it is copied");
        assert_eq!((copied.records, copied.last_version), (2, 3_000));
    }

    #[tokio::test]
    async fn no_two_databases_have_the_same_digest() {
        let digest = async |writes: &[(&str, &str, &str)]| {
            let memory = Memory::new();
            for (namespace, key, value) in writes {
                let mut batch = Batch::new();
                let put = batch.put(namespace, key, Expect::Any, value.as_bytes());
                put.expect("a valid write");
                memory.apply(batch).await.expect("it is written");
            }
            contents(&memory, |_| ()).await.expect("it is read").digest
        };
        let of = digest(&[("a", "b", "1")]).await;
        for other in [
            &[("a", "b", "2")][..],
            &[("a", "c", "1")],
            &[("c", "b", "1")],
            &[("ab", "1", "1")],
            &[("a", "b", "1"), ("a", "b", "1")],
            &[("a", "b", "1"), ("a", "c", "1")],
            &[],
        ] {
            assert_ne!(digest(other).await, of, "{other:?}");
        }
    }

    /// Writes all but the last of what is copied into it.
    #[derive(Debug)]
    struct Careless(Memory);

    impl StorageAdapter for Careless {
        crate::delegate_storage!(0: get, apply, list, changes, usage, snapshot, close);

        fn replicate<'a>(
            &'a self,
            changes: &'a [Change],
            last_version: u64,
        ) -> BoxFuture<'a, Result<(), StorageError>> {
            let kept = changes.len().saturating_sub(1);
            self.0.replicate(&changes[..kept], last_version)
        }
    }

    #[tokio::test]
    async fn a_copy_that_differs_is_found_out() {
        let (from, to) = (full(3).await, Careless(Memory::new()));
        let error = copy(&from, &to, |_| ()).await.expect_err("it differs");
        let told = error.to_string();
        assert!(
            told.starts_with("the copy has 1 records with the digest "),
            "{told}"
        );
        assert!(told.contains(", expected 2 with "), "{told}");
    }

    #[tokio::test]
    async fn a_database_that_fails_is_told_from_the_other() {
        let (closed, open) = (Memory::new(), Memory::new());
        closed.close().await.expect("it closes");
        let error = copy(&closed, &open, |_| ()).await.expect_err("it fails");
        assert!(matches!(error, CopyError::Read(_)), "{error}");
        let error = copy(&open, &closed, |_| ()).await.expect_err("it fails");
        assert!(matches!(error, CopyError::Write(_)), "{error}");
    }
}
