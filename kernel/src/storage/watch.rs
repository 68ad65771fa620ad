//! Watching for those who hold a kernel: the changes of some keys, one after the other.

use std::collections::VecDeque;
use std::fmt;

use super::change::{Change, Changes, Since};
use super::check::Invalid;
use super::{Storage, StorageError};

/// Something whose keys can be watched: state or storage.
pub trait Watched: Clone + Send + Sync + sealed::Sealed {
    /// Why there is nothing to tell.
    type Error: From<Invalid> + Send;

    /// Waits for changes behind a version; without one it answers at once, with none and the last version.
    fn changes_of(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<u64>,
    ) -> impl Future<Output = Result<Changes, Self::Error>> + Send;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for crate::storage::Storage {}
    impl Sealed for crate::state::State {}
}

impl Watched for Storage {
    type Error = StorageError;

    async fn changes_of(
        &self,
        namespace: &str,
        prefix: &str,
        after: Option<u64>,
    ) -> Result<Changes, StorageError> {
        self.changes(Since::new(namespace, prefix, after)?).await
    }
}

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The next change.
    Changed(Change),
    /// The watcher was too slow: changes before the next one are no longer kept, and reading again is due.
    Missed,
}

/// Yields the changes of some keys in the order of their versions, each once, or says that it missed some.
///
/// What was told can be read.
pub struct Watcher<S> {
    of: S,
    namespace: Box<str>,
    prefix: Box<str>,
    /// Changes that were fetched and not yielded yet.
    fetched: VecDeque<Change>,
    /// The version up to which changes were fetched.
    next: u64,
}

impl<S: Watched> Watcher<S> {
    /// Begins behind a version, or from now on.
    pub(crate) async fn begin(
        of: S,
        namespace: &str,
        prefix: &str,
        after: Option<u64>,
    ) -> Result<Self, S::Error> {
        Since::new(namespace, prefix, after)?;
        let next = match after {
            Some(version) => version,
            None => of.changes_of(namespace, prefix, None).await?.next,
        };
        Ok(Self {
            of,
            namespace: namespace.into(),
            prefix: prefix.into(),
            fetched: VecDeque::new(),
            next,
        })
    }

    /// Waits for the next notice. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// If what is watched is closed or cannot be reached; one that comes back is watched on by the next call.
    pub async fn next(&mut self) -> Result<Notice, S::Error> {
        loop {
            if let Some(change) = self.fetched.pop_front() {
                return Ok(Notice::Changed(change));
            }
            let after = Some(self.next);
            let answer = self.of.changes_of(&self.namespace, &self.prefix, after);
            let Changes {
                changes,
                next,
                missed,
            } = answer.await?;
            self.fetched = changes.into();
            self.next = next;
            if missed {
                return Ok(Notice::Missed);
            }
        }
    }

    /// Returns the version up to which everything was told: where another watcher can go on.
    pub fn version(&self) -> u64 {
        self.fetched
            .front()
            .map_or(self.next, |change| change.version - 1)
    }
}

impl<S> fmt::Debug for Watcher<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("namespace", &self.namespace)
            .field("prefix", &self.prefix)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
