//! Keeps a standby up with its primary, on a thread of its own: what a disk does to it, it does to nobody else.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use octa_plugin_api::Payload;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::backoff::backoff;
use crate::bus::Publisher;
use crate::pool::Keep;
use crate::time::Clock;

use super::super::sqlite::files;
use super::super::{Change, Sqlite, StorageAdapter};
use super::backlog::{Backlog, Most};
use super::compare::{self, Compared, compare};
use super::gauge::{Gauge, StandbyStatus};
use super::progress::Noted;
use super::reader::{last_version, read};
use super::site::{Place, Site};
use super::telling::Told;
use super::trouble::Broken;

/// How long it is waited before a standby is tried again, at first and at most.
const RETRY: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(30)];
/// How often it is looked at how far the standby is.
const LOOK: Duration = Duration::from_secs(1);
/// How long an end waits for the standby to have everything.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// What a follower needs.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) primary: Arc<dyn StorageAdapter>,
    pub(crate) site: Site,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) publisher: Publisher,
    /// For the timers of the clock.
    pub(crate) runtime: Handle,
    /// What lets that runtime live.
    pub(crate) keep: Keep,
}

/// What keeps a standby up with its primary; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Follower {
    primary: Arc<dyn StorageAdapter>,
    gauge: Arc<Gauge>,
    /// Tells the thread to bring the standby up to date and end; dropped, to end at once.
    finish: watch::Sender<bool>,
    /// Its sender is dropped as the thread ends.
    ended: watch::Receiver<()>,
}

impl Follower {
    /// Begins to follow.
    ///
    /// # Errors
    ///
    /// If the system gives no thread.
    pub(crate) fn start(parts: Parts) -> io::Result<Self> {
        let [path, primary] = [parts.site.path(), parts.site.primary()].map(Path::to_owned);
        let gauge = Arc::new(Gauge::new(path, primary, parts.clock));
        let (finish, finishing) = watch::channel(false);
        let (running, ended) = watch::channel(());
        let follower = Self {
            primary: parts.primary.clone(),
            gauge: gauge.clone(),
            finish,
            ended,
        };
        let following = Following {
            primary: parts.primary,
            site: parts.site,
            gauge,
            publisher: parts.publisher,
            seen: Cell::new(None),
        };
        let thread = thread::Builder::new().name("octa-standby".to_owned());
        thread.spawn(move || {
            parts.runtime.block_on(following.run(finishing));
            drop(running);
            drop(parts.keep);
        })?;
        Ok(follower)
    }

    /// Tells how the standby is.
    pub(crate) async fn status(&self) -> StandbyStatus {
        let last_version = last_version(&*self.primary).await;
        self.gauge.status(last_version.ok())
    }

    /// Ends it, with everything in the standby that the primary has now, if it can be written soon.
    pub(crate) async fn stop(&self) {
        self.finish.send_replace(true);
        let mut ended = self.ended.clone();
        tokio::select! {
            // Nothing is ever sent: this ends with an error, when the thread drops its end.
            _ = ended.changed() => {}
            () = self.gauge.clock().sleep(FINISH_WITHIN) => {
                log::warn!(
                    "the standby `{}` does not have everything yet, and is not waited for",
                    self.gauge.path().display()
                );
            }
        }
    }
}

/// The thread's side.
struct Following {
    primary: Arc<dyn StorageAdapter>,
    site: Site,
    gauge: Arc<Gauge>,
    publisher: Publisher,
    /// The last version of the primary that was seen.
    seen: Cell<Option<u64>>,
}

impl Following {
    async fn run(self, finish: watch::Receiver<bool>) {
        let mut dropped = finish.clone();
        tokio::select! {
            () = self.follow(finish) => {}
            () = self.tell() => {}
            _ = dropped.wait_for(|_| false) => {}
        }
        self.note(&mut None);
    }

    async fn follow(&self, mut finish: watch::Receiver<bool>) {
        let mut failures = 0;
        loop {
            let before = self.gauge.status(None).version;
            let broken = match self.session(finish.clone()).await {
                Ok(()) => return,
                Err(broken) if broken.is_end() => return,
                Err(broken) => broken,
            };
            self.site.yield_to_later(&broken);
            let after = self.gauge.status(None).version;
            failures = if before == after { failures + 1 } else { 1 };
            self.gauge.failed(broken.problem());
            let [first, most] = RETRY;
            let wait = backoff(first, most, failures, self.gauge.path());
            tokio::select! {
                () = self.gauge.clock().sleep(wait) => {}
                _ = finish.wait_for(|finish| *finish) => return,
            }
        }
    }

    /// Follows until something breaks, or until it is finished.
    async fn session(&self, finish: watch::Receiver<bool>) -> Result<(), Broken> {
        let start = last_version(&*self.primary).await?;
        self.seen.set(Some(start));
        self.site.check_directory()?;
        let usages = self.primary.usage().await.map_err(Broken::Read)?;
        let most = Most::beside(usages.iter().map(|(_, usage)| usage));
        let directory = files::directory(self.site.path());
        let backlog = Backlog::new(most, directory.to_owned());
        let reading = async {
            let read = read(&*self.primary, &**self.gauge.clock(), start, &backlog);
            match read.await {
                Ok(never) => match never {},
                // What was read is still written, and what is being opened or copied is not left in the middle.
                Err(broken) => backlog.end(broken),
            }
            pending().await
        };
        tokio::select! {
            ended = self.write(start, &backlog, finish) => ended,
            () = reading => Ok(()),
        }
    }

    async fn write(
        &self,
        start: u64,
        backlog: &Backlog,
        mut finish: watch::Receiver<bool>,
    ) -> Result<(), Broken> {
        let begun = self.gauge.clock().monotonic();
        let (standby, mut version) = self.prepare(start, &finish).await?;
        self.gauge.reached(version, begun);
        let mut goal = None;
        while goal.is_none_or(|goal| version < goal) {
            let mut unit = tokio::select! {
                unit = backlog.pop() => unit?,
                _ = finish.wait_for(|finish| *finish), if goal.is_none() => {
                    goal = Some(last_version(&*self.primary).await?);
                    continue;
                }
            };
            self.seen.set(Some(unit.last_version));
            if unit.last_version > version {
                // A copy may have been made of a later moment than the one it is read from.
                unit.changes.retain(|change| change.version > version);
                let written = standby.replicate(&unit.changes, unit.last_version).await;
                written.map_err(Broken::Write)?;
                version = unit.last_version;
            }
            if unit.last_version == version {
                self.gauge.reached(version, unit.at);
            }
        }
        standby.close().await.map_err(Broken::Write)
    }

    /// Finds or makes a whole standby; answers it with its version.
    async fn prepare(
        &self,
        start: u64,
        finish: &watch::Receiver<bool>,
    ) -> Result<(Sqlite, u64), Broken> {
        let found = match self.site.look(start)? {
            Place::Nothing => {
                self.gauge.copying(None);
                None
            }
            Place::Old(version) => {
                self.gauge.copying(Some(version));
                None
            }
            Place::Whole(version) => {
                self.gauge.copying(Some(version));
                let standby = self.site.open().await?;
                standby.map(|standby| (standby, version))
            }
        };
        if let Some((standby, version)) = found {
            if version == start {
                return Ok((standby, version));
            }
            if let Some(version) = self.catch_up(&standby).await? {
                return Ok((standby, version));
            }
            standby.close().await.map_err(Broken::Write)?;
        }
        self.copy(finish).await
    }

    /// Writes what the standby does not have, if that is little enough to be written at once.
    async fn catch_up(&self, standby: &Sqlite) -> Result<Option<u64>, Broken> {
        let mut wanted = self.primary.snapshot().await.map_err(Broken::Read)?;
        let mut found = standby.snapshot().await.map_err(Broken::Write)?;
        let version = wanted.last_version();
        let compared = compare(&mut *wanted, &mut *found).await;
        drop((wanted, found));
        let changes: Vec<Change> = match compared {
            Ok(Compared::Differ(changes)) => changes,
            Ok(Compared::TooMuch) => return Ok(None),
            Err(compare::Failed::First(error)) => return Err(Broken::Read(error)),
            Err(compare::Failed::Second(error)) => {
                log::warn!("the standby is copied again: {error}");
                return Ok(None);
            }
        };
        let written = standby.replicate(&changes, version).await;
        written.map_err(Broken::Write)?;
        Ok(Some(version))
    }

    /// Copies everything into a new standby, which takes the place of the old one when it is whole.
    async fn copy(&self, finish: &watch::Receiver<bool>) -> Result<(Sqlite, u64), Broken> {
        let fresh = self.site.begin().await?;
        let mut snapshot = self.primary.snapshot().await.map_err(Broken::Read)?;
        let (version, of) = (snapshot.last_version(), snapshot.records());
        let mut done = 0;
        loop {
            if *finish.borrow() {
                return Err(Broken::Finished);
            }
            self.gauge.copied(done, of);
            let records = snapshot.next().await.map_err(Broken::Read)?;
            let written = fresh.database().replicate(&records, version).await;
            written.map_err(Broken::Write)?;
            if records.is_empty() {
                break;
            }
            done += records.len() as u64;
        }
        // While it lasts, the log of the primary grows.
        drop(snapshot);
        Ok((self.site.put(fresh).await?, version))
    }

    /// Tells on the bus and in the log how the standby is, and notes it beside it.
    async fn tell(&self) {
        let (mut told, mut noted) = (Told::default(), None);
        loop {
            let status = self.gauge.status(last_version(&*self.primary).await.ok());
            if let Some((topic, event)) = told.next(&status) {
                log(&status);
                let payload = Payload::json(&event).unwrap_or_default();
                // Not waited for: a full subscriber counts it as dropped.
                drop(self.publisher.publish(topic, payload, 0));
            }
            self.note(&mut noted);
            tokio::select! {
                () = self.gauge.clock().sleep(LOOK) => {}
                () = self.gauge.changed() => {}
            }
        }
    }

    fn note(&self, noted: &mut Option<[u64; 2]>) {
        let version = self.gauge.status(None).version;
        let Some((version, primary)) = version.zip(self.seen.get()) else {
            return;
        };
        let now = [version, primary.max(version)];
        if *noted == Some(now) {
            return;
        }
        let note = Noted::new(now, self.site.epoch(), self.gauge.clock().wall());
        // It is only told where the primary is gone; a disk that does not take it is told of anyway.
        if note.write(self.gauge.path()).is_ok() {
            *noted = Some(now);
        }
    }
}

fn log(status: &StandbyStatus) {
    let path = status.path.display();
    match (&status.problem, status.behind, status.behind_ms) {
        (Some(problem), ..) => log::warn!("standby `{path}`: {}", problem.message),
        (None, Some(behind), Some(ms)) if ms >= 1_000 => {
            log::warn!(
                "standby `{path}` is {behind} changes and {} s behind",
                ms / 1_000
            );
        }
        _ => log::info!("standby `{path}` follows"),
    }
}
