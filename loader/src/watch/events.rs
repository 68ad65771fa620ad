//! The directories that the system tells of, kept to those that matter.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{ErrorKind, RecursiveMode};

use super::hints::{Hints, describe};
use super::remote;
use super::stamp::Identity;

/// What tells of changes.
pub(super) type Source = Box<dyn notify::Watcher + Send>;

/// The system's own source, which tells `hints`.
pub(super) fn system(hints: &Arc<Hints>) -> notify::Result<Source> {
    let hints = Arc::clone(hints);
    let source = notify::recommended_watcher(move |event| hints.notice(event))?;
    Ok(Box::new(source))
}

/// What is watched through a source.
pub(super) struct Events {
    source: Source,
    watched: HashMap<PathBuf, Identity>,
}

impl Events {
    pub(super) fn new(source: Source) -> Self {
        Events {
            source,
            watched: HashMap::new(),
        }
    }

    /// Watches these directories and no others, and says whether there is a new one among them:
    /// what happened in it until now was not heard.
    pub(super) fn watch(
        &mut self,
        directories: HashMap<PathBuf, Identity>,
    ) -> Result<bool, String> {
        let known: HashSet<_> = self.watched.keys().cloned().collect();
        for directory in known {
            if self.watched.get(&directory) != directories.get(&directory) {
                self.forget(&directory);
            }
        }
        let mut is_new = false;
        for (directory, identity) in directories {
            if !self.watched.contains_key(&directory) {
                self.add(directory, identity)?;
                is_new = true;
            }
        }
        Ok(is_new)
    }

    fn add(&mut self, directory: PathBuf, identity: Identity) -> Result<(), String> {
        if let Some(kind) = remote::file_system(&directory) {
            let directory = directory.display();
            return Err(format!(
                "directory `{directory}` lies on a file system that does not tell of changes made \
                 elsewhere ({kind})"
            ));
        }
        match self.source.watch(&directory, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.watched.insert(directory, identity);
                Ok(())
            }
            // It was there a moment ago: the next look says what became of it.
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(describe(error)),
        }
    }

    /// Makes the next `watch` begin anew with a directory that went away under its watch: one
    /// that is there again at the same path is not heard of otherwise.
    pub(super) fn forget(&mut self, directory: &Path) {
        if self.watched.remove(directory).is_some() {
            // It may have ended by itself.
            drop(self.source.unwatch(directory));
        }
    }

    pub(super) fn forget_all(&mut self) {
        for directory in std::mem::take(&mut self.watched).into_keys() {
            drop(self.source.unwatch(&directory));
        }
    }
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::PathNotFound => true,
        ErrorKind::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        ),
        _ => false,
    }
}
