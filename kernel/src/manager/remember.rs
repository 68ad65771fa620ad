//! What outlives the process: which content served last and before, and which was refused. All
//! of it on a thread to spare, since it waits for the disk.

use std::sync::Arc;

use octa_loader::{ContentHash, Inspection, Served, Snapshot, Standing, Store, StoreError};
use tokio::sync::oneshot;

use super::{Core, Manager, Recorded, live::Live, record::Source, retire::Ending};
use crate::{reload::nanos, status::Problem};

impl Core {
    /// Records what serves, and what the one before it saved. Begins at once, awaited or not.
    pub(super) fn remember(self: &Arc<Self>, live: &Live, saved: Option<Snapshot>) -> Recorded {
        let status = live.status();
        let (name, source) = (live.name().to_owned(), live.source.clone());
        let at = nanos(self.commons.clock.wall());
        let directory = self.directory.clone();
        self.in_store(name, move |store, name| {
            let Source::File(inspection) = &source else {
                return Ok(());
            };
            let saved = saved.map(|snapshot| store.save_state(name, &snapshot, at));
            let saved = saved.transpose()?;
            let mut standing = standing_to_change(store, name)?;
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
            standing.serve(served, saved.clone());
            // The same content again has no state of its own to go back to.
            let named = standing.previous.as_ref().and_then(|it| it.state.as_ref());
            if let Some(saved) = saved.as_ref().filter(|saved| named != Some(saved)) {
                store.release_state(name, saved);
            }
            store.record(name, &standing)?;
            store.sweep().map(drop)
        })
    }

    /// Records that a content is not to serve. Begins at once, awaited or not.
    pub(super) fn refuse(self: &Arc<Self>, name: &str, hash: ContentHash, why: &str) -> Recorded {
        self.record_refusal(name, hash, why, false)
    }

    /// Records that a content ends the process that opens it. Begins at once, awaited or not.
    pub(super) fn ban(self: &Arc<Self>, name: &str, hash: ContentHash, why: &str) -> Recorded {
        self.record_refusal(name, hash, why, true)
    }

    fn record_refusal(
        self: &Arc<Self>,
        name: &str,
        hash: ContentHash,
        why: &str,
        is_fatal: bool,
    ) -> Recorded {
        let refused = octa_loader::Refused {
            hash,
            why: why.to_owned(),
            at: nanos(self.commons.clock.wall()),
            is_fatal,
        };
        self.in_store(name.to_owned(), move |store, name| {
            let mut standing = standing_to_change(store, name)?;
            standing.refuse(refused);
            store.release(name, hash);
            store.record(name, &standing)
        })
    }

    /// Does something with the store, after everything that was begun before.
    fn in_store(
        self: &Arc<Self>,
        name: String,
        job: impl FnOnce(&Store, &str) -> Result<(), StoreError> + Send + 'static,
    ) -> Recorded {
        let (tell, told) = oneshot::channel();
        let (core, ending) = (self.clone(), Ending::begin(self));
        let job = move || {
            let done = core.store.as_ref().map(|store| job(store, &name));
            if let Some(Err(error)) = done {
                let problem = Problem::from_error("unavailable", &error, error.hint());
                log::error!(
                    "what serves of plugin `{name}` is not recorded: {}",
                    super::with_hint(&problem)
                );
            }
            drop(ending);
            // Nobody has to wait for it.
            let _ = tell.send(());
        };
        drop(self.records.send(Box::new(job)));
        told
    }

    /// Waits until what was to be recorded so far is.
    async fn all_recorded(self: &Arc<Self>) {
        // Its end says enough.
        let _ = self.in_store(String::new(), |_, _| Ok(())).await;
    }

    /// What served before the present content of a plugin, and what it saved when it was replaced.
    pub(super) async fn what_served_before(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<(Inspection, Option<Snapshot>), Problem> {
        self.all_recorded().await;
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
        self: &Arc<Self>,
        name: &str,
        than: Option<ContentHash>,
    ) -> Option<Inspection> {
        self.all_recorded().await;
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

/// The standing that is about to be replaced: one that cannot be read now is not lost.
fn standing_to_change(store: &Store, name: &str) -> Result<Standing, StoreError> {
    match store.standing(name) {
        Err(StoreError::CorruptStanding { .. }) => Ok(Standing::default()),
        other => other,
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
    /// What served last of a plugin, if that is another content than what it has now.
    pub(super) async fn last_good(&self, name: &str) -> Option<Inspection> {
        let hash = self.records.get(name)?.source.hash();
        self.core.last_good(name, hash).await
    }

    /// Puts what served last in the place of a build that cannot run.
    pub(super) fn fall_back(&mut self, name: &str, good: Inspection, problem: Problem) {
        let record = self.records.get(name);
        if let Some(hash) = record.and_then(|record| record.source.hash()) {
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
