//! The watcher's thread: looks where hints or the clock say, and tells what has settled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::events::{Events, Source};
use super::hints::{Heard, Hints};
use super::interests::{Interests, Subject};
use super::item::{Item, News};
use super::route::Route;
use super::stamp::Sight;
use super::{Change, Mode, WatchOptions};
use crate::discover::discover;

/// How often the ways to the files may change while they are being followed, until that is left
/// for a moment later.
const ATTEMPTS: usize = 16;

/// Within less, a file may change twice at what its file system takes for one point in time.
const QUIET_MIN: Duration = Duration::from_millis(20);

pub(super) struct Worker<F> {
    hints: Arc<Hints>,
    options: WatchOptions,
    directory: Option<PathBuf>,
    items: BTreeMap<PathBuf, Item>,
    /// `None` while polling.
    events: Option<Events>,
    /// The way to a file is another than when the directories to watch were chosen.
    routes_changed: bool,
    /// When to look at everything, whatever is heard.
    next_scan: Option<Instant>,
    change: Change,
    on_change: F,
}

impl<F: FnMut(Change)> Worker<F> {
    pub(super) fn new(
        directory: Option<&Path>,
        files: &[PathBuf],
        options: WatchOptions,
        hints: Arc<Hints>,
        on_change: F,
    ) -> Self {
        let single = |path: &PathBuf| (path.clone(), Item::new(true));
        Worker {
            hints,
            options: WatchOptions {
                quiet: options.quiet.max(QUIET_MIN),
                ..options
            },
            directory: directory.map(Path::to_owned),
            items: files.iter().map(single).collect(),
            events: None,
            routes_changed: false,
            next_scan: None,
            change: Change::default(),
            on_change,
        }
    }

    /// Takes what is there for known, and begins to listen.
    pub(super) fn begin(&mut self, source: Result<Source, String>) {
        self.list();
        for (path, item) in &mut self.items {
            item.accept(Sight::of(path));
        }
        match source {
            Ok(source) => {
                self.events = Some(Events::new(source));
                self.scan();
                self.listen();
            }
            Err(why) => self.poll_because(why),
        }
    }

    /// Goes on until the watcher has ended.
    pub(super) fn run(mut self) {
        while let Some(heard) = self.hints.wait(self.deadline()) {
            self.take_in(heard);
            self.look_again();
            self.tell();
        }
    }

    /// When to do something even if nothing is heard.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = self.items.values().filter_map(Item::due);
        due.chain(self.next_scan).min()
    }

    fn take_in(&mut self, heard: Heard) {
        if let Some(events) = &mut self.events {
            heard.lost.iter().for_each(|lost| events.forget(lost));
            if heard.gap {
                events.forget_all();
            }
        }
        if let Some(why) = heard.fault
            && self.events.is_some()
        {
            self.poll_because(why);
        }
        if heard.gap || heard.directory || !heard.lost.is_empty() {
            self.scan();
            self.routes_changed = true;
        } else {
            heard.files.iter().for_each(|path| self.look(path));
        }
        if self.routes_changed && self.events.is_some() {
            self.listen();
        }
    }

    /// Looks at what may have settled, and at everything if it is time.
    fn look_again(&mut self) {
        let now = Instant::now();
        if self.next_scan.is_some_and(|next| next <= now) {
            self.next_scan = self.events.is_none().then(|| now + self.options.poll);
            self.routes_changed = self.events.is_some();
            self.scan();
        }
        let is_due = |item: &Item| item.due().is_some_and(|due| due <= now);
        let due = self.items.iter().filter(|(_, item)| is_due(item));
        let due: Vec<_> = due.map(|(path, _)| path.clone()).collect();
        due.iter().for_each(|path| self.look(path));
        if self.routes_changed && self.events.is_some() {
            self.listen();
        }
    }

    /// Looks at all files, also at those that were not known.
    fn scan(&mut self) {
        self.list();
        let paths: Vec<_> = self.items.keys().cloned().collect();
        paths.iter().for_each(|path| self.look(path));
    }

    /// Adds what is in the directory; a directory that cannot be listed adds nothing.
    fn list(&mut self) {
        let Some(directory) = &self.directory else {
            return;
        };
        self.hints.count_listing();
        for path in discover(directory).unwrap_or_default() {
            self.items.entry(path).or_insert_with(|| Item::new(false));
        }
    }

    fn look(&mut self, path: &Path) {
        self.hints.count_look();
        let sight = Sight::of(path);
        let item = self.items.entry(path.to_owned());
        let item = item.or_insert_with(|| Item::new(false));
        if self.events.is_some() {
            let has_route = item.is_single || sight.is_link;
            let route = has_route.then(|| Route::follow(path));
            self.routes_changed |= route != item.route;
            item.route = route;
        }
        match item.see(sight, Instant::now(), &self.options) {
            Some(News::Changed) => self.change.changed.push(path.to_owned()),
            Some(News::Removed) => self.change.removed.push(path.to_owned()),
            None => {}
        }
        if item.is_forgotten() {
            self.items.remove(path);
        }
    }

    /// Listens in the directories that matter now.
    fn listen(&mut self) {
        for _ in 0..ATTEMPTS {
            self.routes_changed = false;
            let interests = self.interests();
            let Some(events) = &mut self.events else {
                return;
            };
            // First, so that nothing is dropped that is told as soon as a watch begins.
            let directories = interests.directories();
            self.hints.listen_for(interests);
            match events.watch(directories) {
                Ok(true) => self.scan(),
                Ok(false) => return,
                Err(why) => return self.poll_because(why),
            }
        }
        self.next_scan = Some(Instant::now() + self.options.quiet);
    }

    fn interests(&self) -> Interests {
        let files = self.items.iter().filter_map(|(path, item)| {
            let subject = Subject::File(path.clone());
            Some((subject, item.route.clone()?))
        });
        Interests::of(self.directory.as_deref(), files)
    }

    fn poll_because(&mut self, why: String) {
        self.events = None;
        self.items.values_mut().for_each(|item| item.route = None);
        self.hints.listen_for(Interests::default());
        self.next_scan = Some(Instant::now());
        let poll = self.options.poll;
        log::warn!("changes of files are looked for every {poll:?}: {why}");
        self.hints.set_mode(Mode::Polling { why });
    }

    fn tell(&mut self) {
        let mut change = std::mem::take(&mut self.change);
        if change == Change::default() || self.hints.has_ended() {
            return;
        }
        change.changed.sort_unstable();
        change.removed.sort_unstable();
        (self.on_change)(change);
    }
}
