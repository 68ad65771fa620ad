//! What outlives the process: which content served last and before, and which was refused. All
//! of it on a thread to spare, since it waits for the disk.

use octa_loader::{
    BoxFuture, ContentHash, Inspection, Served, Snapshot, Standing, Store, StoreError,
};

use super::{Core, Manager, live::Live, record::Source};
use crate::{reload::nanos, status::Problem};

impl Core {
    /// Records what serves, and what the one before it saved. Begins at once, awaited or not.
    pub(super) fn remember(&self, live: &Live, saved: Option<Snapshot>) -> BoxFuture<()> {
        let status = live.status();
        let (name, source) = (live.name().to_owned(), live.source.clone());
        let at = nanos(self.commons.clock.wall());
        let directory = self.directory.clone();
        self.in_store(name, move |store, name| {
            let Source::File(inspection) = &source else {
                return Ok(());
            };
            let saved = saved.map(|snapshot| store.save_state(name, &snapshot, at));
            let mut standing = standing(store, name);
            let is_there = inspection.path.parent() == directory.as_deref();
            let file = inspection.path.file_name().filter(|_| is_there);
            if let Some(file) = file.and_then(|file| file.to_str()) {
                standing.file = Some(file.to_owned());
            }
            let served = Served {
                hash: inspection.hash,
                version: status.version,
                generation: status.number,
                since: status.since,
                state: None,
            };
            standing.serve(served, saved.transpose()?);
            store.record(name, &standing)?;
            store.sweep().map(drop)
        })
    }

    /// Records that a content is not to serve. Begins at once, awaited or not.
    pub(super) fn refuse(&self, name: &str, hash: ContentHash, why: &str) -> BoxFuture<()> {
        let at = nanos(self.commons.clock.wall());
        let why = why.to_owned();
        self.in_store(name.to_owned(), move |store, name| {
            let mut standing = standing(store, name);
            standing.refuse(octa_loader::Refused { hash, why, at });
            store.release(name, hash);
            store.record(name, &standing)
        })
    }

    fn in_store(
        &self,
        name: String,
        job: impl FnOnce(&Store, &str) -> Result<(), StoreError> + Send + 'static,
    ) -> BoxFuture<()> {
        let store = self.store.clone();
        let done = self.spare.run(move || {
            let Some(store) = store else {
                return;
            };
            if let Err(error) = job(&store, &name) {
                let problem = Problem::from_error("unavailable", &error, None);
                log::error!(
                    "what serves of plugin `{name}` is not recorded: {}",
                    problem.message
                );
            }
        });
        Box::pin(async move { done.await.unwrap_or(()) })
    }

    /// What served before the present content of a plugin, and what it saved when it was replaced.
    pub(super) async fn what_served_before(
        &self,
        name: &str,
    ) -> Result<(Inspection, Option<Snapshot>), Problem> {
        let (store, plugin) = (self.store.clone(), name.to_owned());
        let read = self.spare.run(move || {
            let store = store?;
            let before = standing(&store, &plugin).previous?;
            Some(read_served(&store, &before))
        });
        let read = read.await.unwrap_or_default();
        let nothing = || {
            let message = format!("nothing served before plugin `{name}` as it is now");
            Err(Problem::new("not-found", message, None))
        };
        read.map_or_else(nothing, |read| {
            read.map_err(|error| Problem::from_error("unavailable", &error, error.hint()))
        })
    }

    /// The content that served last, if that is another one.
    pub(super) async fn last_good(
        &self,
        name: &str,
        than: Option<ContentHash>,
    ) -> Option<Inspection> {
        let (store, plugin) = (self.store.clone(), name.to_owned());
        let read = self.spare.run(move || {
            let store = store?;
            let current = standing(&store, &plugin).current?;
            Some(current.hash)
                .filter(|hash| Some(*hash) != than)
                .and_then(|hash| store.artifact(hash).ok().flatten())
        });
        read.await.ok().flatten()
    }
}

fn standing(store: &Store, name: &str) -> Standing {
    store.standing(name).unwrap_or_else(|error| {
        let problem = Problem::from_error("unavailable", &error, error.hint());
        log::warn!("plugin `{name}`: {}", super::with_hint(&problem));
        Standing::default()
    })
}

fn read_served(
    store: &Store,
    served: &Served,
) -> Result<(Inspection, Option<Snapshot>), StoreError> {
    let missing = || StoreError::Missing {
        path: served.hash.to_string().into(),
    };
    let inspection = store.artifact(served.hash)?.ok_or_else(missing)?;
    let state = served.state.as_ref();
    let state = state.map(|state| store.load_state(state)).transpose()?;
    Ok((inspection, state))
}

/// What served last of a plugin, and why a content of it is refused, if it is.
pub(super) fn look_back(
    store: &Store,
    plugin: &str,
    content: Option<ContentHash>,
) -> (Option<Inspection>, Option<String>) {
    let standing = standing(store, plugin);
    let is_content = |hash: ContentHash| Some(hash) == content;
    let refused = standing.refused.into_iter().find(|it| is_content(it.hash));
    let last = standing.current.filter(|last| !is_content(last.hash));
    let last = last.and_then(|last| store.artifact(last.hash).ok().flatten());
    (last, refused.map(|refused| refused.why))
}

impl Manager {
    /// Puts what served last in the place of a build that cannot run.
    pub(super) async fn fall_back(&mut self, name: &str, problem: Problem) {
        let Some(record) = self.records.get(name) else {
            return;
        };
        let hash = record.source.hash();
        let Some(good) = self.core.last_good(name, hash).await else {
            return;
        };
        if let Some(hash) = hash {
            // Not awaited: what follows does not need it.
            drop(self.core.refuse(name, hash, &problem.message));
        }
        log::warn!(
            "plugin `{name}` {}, which served last, takes its place",
            good.manifest.version
        );
        if let Some(record) = self.records.get_mut(name) {
            record.waiting = vec![problem];
            record.arrived = Some(Box::new(good));
        }
    }
}
