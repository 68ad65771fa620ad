//! Backups, their way back, and moves from one storage to another.

use std::future::Future;
use std::path::{Path, PathBuf};

use octa_kernel::storage::{
    self, BackupError, Contents, CopyError, OpenError, Restored, Sqlite, StorageAdapter,
    StorageError,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use thiserror::Error;

use super::open::{Configured, Found, absolute};
use super::place::Place;
use super::progress::{Bar, Progress};
use super::{Desk, desk, local};
use crate::answer::{Answer, ErrorBody, raw};
use crate::args;
use crate::failure::{Explain, Failure};
use crate::signals::Signals;
use crate::world::World;

/// A backup that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupAsked {
    /// The file to make.
    pub(crate) path: PathBuf,
    /// Whether it may take the place of another.
    #[serde(default)]
    pub(crate) force: bool,
}

impl BackupAsked {
    pub(super) fn of(typed: &args::Backup) -> Self {
        Self {
            path: absolute(&typed.file),
            force: typed.force,
        }
    }
}

/// Why a copy was not made.
#[derive(Debug, Error)]
#[non_exhaustive]
enum MoveError {
    /// It was stopped.
    #[error("interrupted")]
    Interrupted,
    /// It was stopped when what was there was a backup already.
    #[error("interrupted; what was there before is kept as `{}`", aside.display())]
    Half {
        /// The backup.
        aside: PathBuf,
    },
    /// It is to be made where the storage itself is.
    #[error("`{}` belongs to the storage that is backed up, expected another file", path.display())]
    Own {
        /// The file.
        path: PathBuf,
    },
    /// Both are one.
    #[error("`{place}` is both what is copied and where it is copied to, expected two")]
    Same {
        /// The storage.
        place: String,
    },
    /// It did not work out.
    #[error("cannot copy `{from}` into `{to}`")]
    Copy {
        /// What was copied.
        from: String,
        /// Where to.
        to: String,
        /// Why.
        source: CopyError,
    },
}

impl Explain for MoveError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Interrupted | Self::Half { .. } => "interrupted",
            Self::Same { .. } | Self::Own { .. } => "invalid-input",
            Self::Copy { source, .. } => copy_kind(source),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Interrupted => None,
            Self::Half { aside } => Some(format!(
                "bring it back: `octa storage restore {} --force`, with the `--config` of the storage",
                aside.display()
            )),
            Self::Own { .. } => Some("name a file, such as `/mnt/backup/home.db`".to_owned()),
            Self::Same { .. } => Some("name another with `--to` or `--from`".to_owned()),
            Self::Copy { source, .. } => source.hint(),
        }
    }
}

impl Explain for BackupError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Exists { .. } | Self::NotEmpty { .. } => "conflict",
            Self::NotAFile { .. } => "invalid-input",
            Self::Unfit { .. } | Self::InUse { .. } => "rejected",
            Self::Unreadable(OpenError::InUse { .. })
            | Self::Make {
                source: OpenError::InUse { .. },
                ..
            } => "already-running",
            Self::Kept { source, .. } | Self::Half { source, .. } => source.kind(),
            Self::Copy { source, .. } | Self::Restore { source, .. } => copy_kind(source),
            _ => "unavailable",
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

fn copy_kind(error: &CopyError) -> &'static str {
    match error {
        CopyError::NotEmpty { .. } | CopyError::Half { .. } => "conflict",
        CopyError::Differs { .. } => "failed",
        _ => "unavailable",
    }
}

/// Backs up an open storage.
pub(crate) async fn backup(
    desk: &Desk,
    asked: &BackupAsked,
    mut progress: impl FnMut(Progress) + Send,
) -> Result<Box<RawValue>, ErrorBody> {
    if is_own(desk, &asked.path) {
        let path = asked.path.clone();
        return Err(desk::told(MoveError::Own { path }));
    }
    let adapter = &**desk.storage.adapter();
    let copied = storage::backup(adapter, &asked.path, asked.force, |at| progress(at.into()));
    told(
        &asked.path.display().to_string(),
        &copied.await.map_err(desk::told)?,
        &[],
    )
}

/// Whether a path is one of the storage's own files, whatever links lead there.
fn is_own(desk: &Desk, path: &Path) -> bool {
    let files = [
        desk::file(&desk.config, &desk.data),
        desk::standby(&desk.config, &desk.data),
    ];
    let mut files = files.into_iter().flatten();
    files.any(|file| Sqlite::is_part(&file, path))
}

/// Brings a backup back into a storage that no kernel has.
pub(super) async fn restore(typed: &args::Restore, found: Found) -> Result<Answer, Failure> {
    let configured = found.idle()?;
    let mut bar = Bar::new();
    let progress = |at: storage::Progress| bar.show(&at.into());
    let restored = match configured.file() {
        Some(file) => {
            let standby = configured.standby();
            let standby = standby.as_deref();
            let restored = storage::restore(&typed.file, &file, standby, typed.force, progress);
            unless_interrupted(restored).await?
        }
        None => {
            let place = configured.place();
            let aside = free_name(&configured.data);
            configured.make_data()?;
            let desk = configured.open_alone().await?;
            let to = &**desk.storage.adapter();
            let names = (&*place, &*aside);
            let restored = storage::restore_into(&typed.file, to, names, typed.force, progress);
            let restored = unless_interrupted(restored).await;
            if !matches!(restored, Ok(Ok(_)))
                && let Some(aside) = undo(to).await
                && restored.is_err()
            {
                return Err(MoveError::Half { aside }.into());
            }
            close(&desk).await?;
            restored?
        }
    };
    drop(bar);
    let told = restored.map_err(desk::told).and_then(|restored| {
        let Restored {
            contents, aside, ..
        } = restored;
        told(&typed.file.display().to_string(), &contents, &aside)
    });
    Ok(local(told))
}

/// Copies everything from one storage into another one, neither of which a kernel has.
pub(super) async fn migrate(
    typed: &args::Migrate,
    find: impl FnOnce() -> Result<Found, Failure>,
    world: &World,
) -> Result<Answer, Failure> {
    let named = |typed: &Option<String>| {
        let place = typed.as_deref().map(Place::of).transpose()?;
        Ok::<_, Failure>(place.map(|place| Configured::named(&place, world)))
    };
    let (from, to) = match (named(&typed.from)?, named(&typed.to)?) {
        (Some(from), Some(to)) => (from, to),
        (from, to) => {
            let configured = find()?.idle()?;
            match (from, to) {
                (Some(from), _) => (from, configured),
                (None, Some(to)) => (configured, to),
                (None, None) => (configured.clone(), configured),
            }
        }
    };
    let (from_place, place) = (from.place(), to.place());
    if from_place == place {
        return Err(MoveError::Same { place }.into());
    }
    let mut bar = Bar::new();
    let from = from.open().await?;
    let adapter = &**from.storage.adapter();
    to.make_data()?;
    // Where a standby has taken over, it alone is there, and what leads.
    let has_standby = to.standby().is_some_and(|standby| standby.exists());
    let new_file = to.file().filter(|file| !file.exists() && !has_standby);
    let copied = match new_file {
        Some(file) => {
            let backup = storage::backup(adapter, &file, false, |at| bar.show(&at.into()));
            unless_interrupted(backup).await?.map_err(desk::told)
        }
        None => {
            let to = to.open_alone().await?;
            let copied = copy(adapter, &**to.storage.adapter(), &mut bar).await;
            close(&to).await?;
            copied?.map_err(|source| {
                let (from, to) = (from_place, place.clone());
                desk::told(MoveError::Copy { from, to, source })
            })
        }
    };
    drop(bar);
    close(&from).await?;
    Ok(local(
        copied.and_then(|contents| told(&place, &contents, &[])),
    ))
}

/// Copies into a storage that is there; one that was empty is so again if that fails.
async fn copy(
    from: &dyn StorageAdapter,
    to: &dyn StorageAdapter,
    bar: &mut Bar,
) -> Result<Result<Contents, CopyError>, Failure> {
    let copied = unless_interrupted(storage::copy(from, to, |at| bar.show(&at.into()))).await;
    if !matches!(copied, Ok(Ok(_))) {
        undo(to).await;
    }
    copied
}

/// Deletes what was copied before that ended early, or tells where what was there before is kept. What is in a
/// storage into which nothing was copied is left alone.
async fn undo(to: &dyn StorageAdapter) -> Option<PathBuf> {
    let undone = async {
        // What was given up may still be done: behind this it has been, or never is.
        to.replicate(&[], 0).await?;
        let half = storage::half(to).await?;
        if half.as_ref().is_some_and(|half| half.aside.is_none()) {
            storage::clear(to).await?;
        }
        Ok::<_, StorageError>(half.and_then(|half| half.aside))
    };
    let undone = undone.await;
    undone.unwrap_or_else(|error| {
        log::warn!("what was copied before it failed stays where it is: {error}");
        None
    })
}

/// A name for what is to be kept aside.
fn free_name(data: &Path) -> PathBuf {
    let mut names = (1_u32..).map(|number| data.join(format!("octa.db.replaced-{number}")));
    let is_free = |name: &PathBuf| !name.exists();
    names
        .find(is_free)
        .unwrap_or_else(|| data.join("octa.db.replaced"))
}

async fn close(desk: &Desk) -> Result<(), Failure> {
    Ok(desk.storage.close().await?)
}

/// What was copied, for an answer.
fn told(path: &str, contents: &Contents, aside: &[PathBuf]) -> Result<Box<RawValue>, ErrorBody> {
    raw(&json!({
        "path": path,
        "records": contents.records,
        "bytes": contents.bytes,
        "last_version": contents.last_version,
        "digest": contents.digest,
        "aside": aside,
    }))
}

/// Gives up what it does at the first signal, so that nothing half-made is left behind.
pub(super) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    let mut signals = Signals::listen()?;
    tokio::select! {
        biased;
        () = signals.next() => Err(MoveError::Interrupted.into()),
        done = work => Ok(done),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use octa_kernel::storage::{Batch, BoxFuture, Change, Expect, Memory, Snapshot};

    use super::*;

    /// Fails at its first snapshot, or at each write.
    #[derive(Debug)]
    struct Failing {
        memory: Memory,
        snapshot: AtomicBool,
        writes: bool,
    }

    impl StorageAdapter for Failing {
        octa_kernel::delegate_storage!(memory: get, apply, list, changes, usage, close);

        fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StorageError>> {
            match self.snapshot.swap(false, Ordering::Relaxed) {
                true => Box::pin(async { Err(StorageError::Closed) }),
                false => self.memory.snapshot(),
            }
        }

        fn replicate<'a>(
            &'a self,
            changes: &'a [Change],
            last_version: u64,
        ) -> BoxFuture<'a, Result<(), StorageError>> {
            let is_deletion = changes.iter().all(|change| change.value.is_none());
            Box::pin(async move {
                self.memory.replicate(changes, last_version).await?;
                match self.writes && !is_deletion {
                    true => Err(StorageError::Closed),
                    false => Ok(()),
                }
            })
        }
    }

    async fn write(to: &Memory) {
        let mut batch = Batch::new();
        let put = batch.put("lamps", "k", Expect::Any, &b"1"[..]);
        put.expect("a valid write");
        to.apply(batch).await.expect("it is written");
    }

    /// How many records are there after a copy that fails.
    async fn left(is_full: bool, snapshot: bool, writes: bool) -> u64 {
        let (from, memory) = (Memory::new(), Memory::new());
        write(&from).await;
        if is_full {
            write(&memory).await;
        }
        let to = Failing {
            memory,
            snapshot: AtomicBool::new(snapshot),
            writes,
        };
        let copied = copy(&from, &to, &mut Bar::new()).await;
        copied.expect("it is not stopped").expect_err("it fails");
        to.snapshot().await.expect("it is read").records()
    }

    #[tokio::test]
    async fn a_storage_that_was_not_found_empty_is_left_alone() {
        assert_eq!(left(true, true, false).await, 1);
        assert_eq!(left(true, false, true).await, 1);
    }

    #[tokio::test]
    async fn a_storage_that_was_empty_is_so_again() {
        assert_eq!(left(false, false, true).await, 0);
    }

    #[tokio::test]
    async fn what_was_there_before_a_restore_is_named_and_not_deleted() {
        let home = tempfile::tempdir().expect("a directory");
        let [backup, aside] = ["home.bak", "before.db"].map(|name| home.path().join(name));
        let (from, memory) = (Memory::new(), Memory::new());
        write(&from).await;
        let made = storage::backup(&from, &backup, false, |_| ()).await;
        made.expect("it is backed up");
        write(&memory).await;
        let to = Failing {
            memory,
            snapshot: AtomicBool::new(false),
            writes: true,
        };
        assert_eq!(undo(&to).await, None, "nothing was copied");
        let restored = storage::restore_into(&backup, &to, ("h", &aside), true, |_| ());
        restored.await.expect_err("it fails");
        assert_eq!(undo(&to).await, Some(aside));
        let there = to.usage().await.expect("it is read");
        assert!(
            there.iter().any(|(name, _)| **name == *"lamps"),
            "{there:?}"
        );
    }
}
