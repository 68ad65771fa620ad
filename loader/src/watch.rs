//! Tells when files of a plugin directory have changed and settled.
//!
//! What is in them is the job of `inspect`, what follows from it that of the kernel.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use thiserror::Error;

use events::Source;
use hints::Hints;
use worker::Worker;

mod events;
mod hints;
mod interests;
mod item;
mod remote;
mod route;
mod stamp;
mod worker;

/// How patient a [`Watcher`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchOptions {
    /// For how long a file must stay as it is before it is told; 20 ms at least.
    pub quiet: Duration,
    /// For how long a file must be missing before it counts as removed: a build removes a file
    /// and writes it again.
    pub gone: Duration,
    /// How often to look where the system does not tell of changes.
    pub poll: Duration,
    /// Looks every `poll`, even where the system would tell.
    pub force_polling: bool,
}

impl Default for WatchOptions {
    fn default() -> Self {
        WatchOptions {
            quiet: Duration::from_millis(50),
            gone: Duration::from_millis(500),
            poll: Duration::from_secs(1),
            force_polling: false,
        }
    }
}

/// A settled batch of changes; each list is sorted, and one of them is not empty.
///
/// Files of the directory are named as `discover` names them, single files as they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Files that are new, or that are no longer what they were.
    pub changed: Vec<PathBuf>,
    /// Files that are gone.
    pub removed: Vec<PathBuf>,
}

/// How a [`Watcher`] learns of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The system tells.
    #[default]
    Events,
    /// It looks from time to time.
    Polling {
        /// Why the system is not asked to tell.
        why: String,
    },
}

/// What a [`Watcher`] has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// How often it looked at a file.
    pub looks: u64,
    /// How often it listed the directory.
    pub listings: u64,
}

/// A watcher that cannot begin.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WatchError {
    /// No thread could be started.
    #[error("no thread could be started to watch files")]
    Thread(#[source] io::Error),
}

/// Tells when files of a plugin directory, and single files, have changed and settled.
///
/// Hints of the system say where to look; what has changed is decided by file, size and times, so
/// that each change is told once, whatever the hints were. A file that never stops changing is
/// never told, and holds nobody up. Links are followed, and what they lead to is watched too.
///
/// What is renamed above the directory that holds a watched one is not noticed.
#[derive(Debug)]
pub struct Watcher {
    hints: Arc<Hints>,
}

impl Watcher {
    /// Watches the libraries in `directory`, by the rules of `discover`, and single `files`.
    ///
    /// What is there when this returns counts as known: list the directory afterwards.
    /// Neither the directory nor the files need to exist.
    /// `on_change` is called on the watcher's own thread, which waits for it.
    ///
    /// # Errors
    /// If its thread cannot be started.
    pub fn new(
        directory: Option<&Path>,
        files: &[PathBuf],
        options: WatchOptions,
        on_change: impl FnMut(Change) + Send + 'static,
    ) -> Result<Self, WatchError> {
        Watcher::with_source(events::system, directory, files, options, on_change)
    }

    fn with_source(
        source: impl FnOnce(&Arc<Hints>) -> notify::Result<Source>,
        directory: Option<&Path>,
        files: &[PathBuf],
        options: WatchOptions,
        on_change: impl FnMut(Change) + Send + 'static,
    ) -> Result<Self, WatchError> {
        let hints = Arc::new(Hints::default());
        let source = match options.force_polling {
            true => Err("it was asked for".to_owned()),
            false => source(&hints).map_err(hints::describe),
        };
        let mut worker = Worker::new(directory, files, options, Arc::clone(&hints), on_change);
        worker.begin(source);
        thread::Builder::new()
            .name("octa-watch".to_owned())
            .spawn(move || worker.run())
            .map_err(WatchError::Thread)?;
        Ok(Watcher { hints })
    }

    /// How it learns of changes, as of now.
    pub fn mode(&self) -> Mode {
        self.hints.mode()
    }

    /// What it has done so far.
    pub fn effort(&self) -> Effort {
        self.hints.effort()
    }
}

/// Ends the thread without waiting for it: the caller may hold what a call under way waits for, or
/// be that call. None begins afterwards.
impl Drop for Watcher {
    fn drop(&mut self) {
        self.hints.end();
    }
}

#[cfg(test)]
mod tests;
