//! What the system says of changes, kept until the watcher's thread asks; what concerns nobody is
//! dropped here.
//!
//! Hints say where to look. What has changed is decided by looking.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use parking_lot::{Condvar, Mutex};

use super::interests::{Interests, Subject};
use super::{Effort, Mode};
use crate::discover::is_candidate;

/// What the watcher, its thread and the system's share.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Held for moments only; the system's thread never waits for a look.
    state: Mutex<State>,
    /// Told of everything heard, and of the end.
    heard: Condvar,
    looks: AtomicU64,
    listings: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    interests: Interests,
    heard: Heard,
    mode: Mode,
    has_ended: bool,
}

/// What was heard since it was last asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Files to look at, as they are told.
    pub(super) files: HashSet<PathBuf>,
    /// The directory of the plugins may be another one.
    pub(super) directory: bool,
    /// Watched directories that were removed or renamed: nothing more is heard of them.
    pub(super) lost: HashSet<PathBuf>,
    /// Something was not heard.
    pub(super) gap: bool,
    /// Nothing more will be heard, and why.
    pub(super) fault: Option<String>,
}

impl Hints {
    /// Keeps of an event what matters; for the system's thread.
    pub(super) fn notice(&self, event: notify::Result<notify::Event>) {
        let mut state = self.state.lock();
        match event {
            Ok(event) => state.notice(&event),
            Err(error) => state.heard.fault = Some(describe(error)),
        }
        if state.heard != Heard::default() {
            self.heard.notify_one();
        }
    }

    /// Waits for something to be heard, until `deadline`; `None` if the watcher has ended.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Heard> {
        let mut state = self.state.lock();
        while !state.has_ended && state.heard == Heard::default() {
            match deadline {
                None => self.heard.wait(&mut state),
                Some(deadline) => {
                    if self.heard.wait_until(&mut state, deadline).timed_out() {
                        break;
                    }
                }
            }
        }
        (!state.has_ended).then(|| std::mem::take(&mut state.heard))
    }

    pub(super) fn end(&self) {
        self.state.lock().has_ended = true;
        self.heard.notify_one();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.lock().has_ended
    }

    pub(super) fn listen_for(&self, interests: Interests) {
        self.state.lock().interests = interests;
    }

    pub(super) fn mode(&self) -> Mode {
        self.state.lock().mode.clone()
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.state.lock().mode = mode;
    }

    /// Does something while the system's thread cannot tell.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn while_stopped(&self, work: impl FnOnce()) {
        let _state = self.state.lock();
        work();
    }

    pub(super) fn count_look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_listing(&self) {
        self.listings.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn effort(&self) -> Effort {
        Effort {
            looks: self.looks.load(Ordering::Relaxed),
            listings: self.listings.load(Ordering::Relaxed),
        }
    }
}

impl State {
    fn notice(&mut self, event: &notify::Event) {
        if event.need_rescan() {
            self.heard.gap = true;
        }
        // Whoever reads a file changes nothing in it, and we read them ourselves.
        if let EventKind::Access(kind) = event.kind
            && kind != AccessKind::Close(AccessMode::Write)
        {
            return;
        }
        for path in &event.paths {
            if self.interests.has(path) && may_move(event.kind) {
                self.heard.lost.insert(path.clone());
            }
            if let (Some(directory), Some(name)) = (path.parent(), path.file_name()) {
                self.notice_entry(directory, name, event.kind);
            }
        }
    }

    fn notice_entry(&mut self, directory: &Path, name: &OsStr, kind: EventKind) {
        let Some(interest) = self.interests.within(directory) else {
            return;
        };
        if let Some(plugins) = &interest.plugins
            && is_candidate(name)
        {
            self.heard.files.insert(plugins.join(name));
        }
        for subject in interest.entries.get(name).into_iter().flatten() {
            match subject {
                Subject::File(path) => drop(self.heard.files.insert(path.clone())),
                Subject::Directory => self.heard.directory |= may_lead_elsewhere(kind),
            }
        }
    }
}

/// True if what was at a path may be there no longer. That a directory was modified says nothing:
/// on some systems it is, with each of its files.
fn may_move(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Any | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
    )
}

/// True if a directory may be another one, or be closed or opened to us.
fn may_lead_elsewhere(kind: EventKind) -> bool {
    may_move(kind)
        || matches!(
            kind,
            EventKind::Create(_) | EventKind::Modify(ModifyKind::Metadata(_))
        )
}

/// `EMFILE`, which is said of the limit of watchers too.
const TOO_MANY_OPEN_FILES: i32 = 24;

/// Says what went wrong, for people.
pub(super) fn describe(error: notify::Error) -> String {
    let place = error.paths.first().map(|path| path.display().to_string());
    let cause = match error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "the system's limit of watches is reached (`fs.inotify.max_user_watches`)".to_owned()
        }
        notify::ErrorKind::Io(error) if error.raw_os_error() == Some(TOO_MANY_OPEN_FILES) => {
            format!("{error}, or `fs.inotify.max_user_instances` is reached")
        }
        kind => notify::Error::new(kind).to_string(),
    };
    match place {
        Some(place) => format!("directory `{place}` cannot be watched: {cause}"),
        None => cause,
    }
}
