//! One walk of an adapter and the model side by side: takes steps and compares the answers.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use tokio::time::timeout;

use super::super::{
    Address, Change, Changes, Query, Record, Since, Snapshot, Storage, StorageError,
};
use super::course::Failure;
use super::model::{Asked, Model};
use super::step::{self, Step};
use super::{at_once, pages};

/// A walk has this many watchers and snapshots at most; further ones take the place of the oldest.
const WATCHERS: usize = 6;
const SNAPSHOTS: usize = 3;
/// How long a change may be on its way to a watcher.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the model knows, and what is open.
#[derive(Default)]
pub(super) struct Walk {
    model: Model,
    watchers: Vec<Watcher>,
    snapshots: Vec<Taken>,
}

/// Who watches, and what it has heard.
#[derive(Clone, Debug)]
struct Watcher {
    namespace: Option<&'static str>,
    prefix: &'static str,
    position: u64,
    /// It asks for changes from before it watched.
    may_miss: bool,
}

/// A snapshot, and what is still to come of it.
struct Taken {
    snapshot: Box<dyn Snapshot>,
    rest: Vec<Change>,
}

impl Watcher {
    fn since(&self, after: Option<u64>) -> Since<'static> {
        match self.namespace {
            Some(namespace) => Since::new(namespace, self.prefix, after).expect("valid names"),
            None => Since::all(after),
        }
    }

    /// What it has not heard yet.
    fn pending<'a>(&self, model: &'a Model) -> Vec<&'a Change> {
        let since = self.since(None);
        let all = model.changes().iter();
        all.filter(|change| change.version > self.position)
            .filter(|change| since.wants(&change.namespace, &change.key))
            .collect()
    }

    /// Compares what it is told with what it should hear next.
    fn hear(&mut self, told: &Changes, model: &Model) -> Result<(), String> {
        let (from, last) = (self.position, model.last_version());
        if told.next <= from || told.next > last {
            return Err(format!(
                "changes after {from} go on from {}, expected {} to {last}",
                told.next,
                from + 1
            ));
        }
        if told.missed && !self.may_miss {
            return Err(format!("changes after {from} are missed, though watched"));
        }
        let pending = self.pending(model).into_iter();
        let expect: Vec<_> = match told.missed {
            true => Vec::new(),
            false => pending.filter(|it| it.version <= told.next).collect(),
        };
        let told_all = told.changes.iter().collect::<Vec<_>>();
        same(&format!("the changes after {from}"), told_all, expect)?;
        self.position = told.next;
        self.may_miss = false;
        Ok(())
    }
}

impl Walk {
    /// Takes some steps on a storage that has just been opened; after the last one everything is compared.
    pub(super) async fn stretch(
        mut self,
        storage: Storage,
        steps: Vec<Step>,
        is_last: bool,
    ) -> Result<Self, Failure> {
        self.watchers.iter_mut().for_each(|it| it.may_miss = true);
        let count = steps.len();
        for (taken, step) in steps.into_iter().enumerate() {
            let answer = self.step(&storage, &step).await;
            answer.map_err(|message| Failure {
                steps: taken + 1,
                message,
            })?;
        }
        let ended = match is_last {
            true => self.finish(&storage).await,
            false => {
                self.snapshots.clear();
                told(storage.close().await)
            }
        };
        ended.map_err(|message| Failure {
            steps: count,
            message: format!("at the end: {message}"),
        })?;
        Ok(self)
    }

    async fn step(&mut self, storage: &Storage, step: &Step) -> Result<(), String> {
        match step {
            Step::Apply { writes, bounds } => self.apply(storage, writes, bounds).await,
            Step::Get { namespace, key } => self.get(storage, namespace, *key).await,
            Step::List {
                namespace,
                prefix,
                after,
                limit,
            } => {
                let after = after.map(|key| key.name(namespace, &self.model));
                let (after, limit) = (after.as_deref(), *limit);
                let asked = Asked {
                    namespace,
                    prefix,
                    after,
                    limit,
                };
                self.list(storage, asked).await
            }
            Step::Usage => self.usage(storage).await,
            Step::Watch {
                namespace,
                prefix,
                back,
            } => {
                let watcher = Watcher {
                    namespace: *namespace,
                    prefix,
                    position: self.model.last_version(),
                    may_miss: false,
                };
                self.watch(storage, watcher, *back).await
            }
            Step::Hear { watcher } => match nth(self.watchers.len(), *watcher) {
                Some(watcher) => self.hear(storage, watcher).await,
                None => Ok(()),
            },
            Step::Snapshot => self.snapshot(storage).await,
            Step::Read { snapshot } => match nth(self.snapshots.len(), *snapshot) {
                Some(snapshot) => self.snapshots[snapshot].read().await.map(drop),
                None => Ok(()),
            },
            Step::Drop { snapshot } => {
                if let Some(snapshot) = nth(self.snapshots.len(), *snapshot) {
                    drop(self.snapshots.remove(snapshot));
                }
                Ok(())
            }
            Step::Replicate {
                changes,
                beyond,
                is_repeated,
            } => {
                let changes = step::copied(changes, &self.model);
                self.replicate(storage, &changes, *beyond, *is_repeated)
                    .await
            }
            Step::Reopen => Ok(()),
        }
    }

    async fn apply(
        &mut self,
        storage: &Storage,
        writes: &[step::Wish],
        bounds: &[step::Bound],
    ) -> Result<(), String> {
        let batch = step::batch(writes, bounds, &self.model).map_err(|e| e.to_string())?;
        let expect = self.model.apply(&batch);
        let found = storage.apply(batch).await;
        same("the outcome", told(found), told(expect))
    }

    async fn get(
        &mut self,
        storage: &Storage,
        namespace: &str,
        key: step::Key,
    ) -> Result<(), String> {
        let key = key.name(namespace, &self.model);
        let at = Address::new(namespace, &key).map_err(|e| e.to_string())?;
        let found: Option<Record> = told(storage.adapter().get(at).await)?;
        same(
            "the record",
            found.as_ref(),
            self.model.get(namespace, &key),
        )
    }

    async fn list(&mut self, storage: &Storage, asked: Asked<'_>) -> Result<(), String> {
        let query = Query::new(asked.namespace, asked.prefix)
            .and_then(|query| query.after(asked.after)?.limit(asked.limit))
            .map_err(|e| e.to_string())?;
        let found = told(storage.list(query).await)?;
        same("the page", found, self.model.page(asked))
    }

    async fn usage(&mut self, storage: &Storage) -> Result<(), String> {
        let found: Vec<_> = told(storage.usage().await)?
            .into_iter()
            .map(|(namespace, usage)| (namespace.to_string(), usage))
            .collect();
        let expect: Vec<_> = self.model.usage().into_iter().collect();
        same("the usage", found, expect)
    }

    async fn watch(
        &mut self,
        storage: &Storage,
        mut watcher: Watcher,
        back: Option<usize>,
    ) -> Result<(), String> {
        if let Some(back) = back {
            let changes = self.model.changes();
            let seen = changes.len().checked_sub(back + 1);
            watcher.position = seen.map_or(0, |seen| changes[seen].version);
            watcher.may_miss = true;
        } else {
            let since = watcher.since(None);
            let ended = timeout(PATIENCE, storage.changes(since)).await;
            let found = told(ended.map_err(|_| "`from now on` waits for changes")?)?;
            let expect = Changes::new(Vec::new(), watcher.position);
            same("what is told from now on", found, expect)?;
        }
        if self.watchers.len() == WATCHERS {
            self.watchers.remove(0);
        }
        self.watchers.push(watcher);
        Ok(())
    }

    /// Hears everything that a watcher has not heard yet, and that there is nothing else.
    async fn hear(&mut self, storage: &Storage, watcher: usize) -> Result<(), String> {
        let watcher = &mut self.watchers[watcher];
        while !watcher.pending(&self.model).is_empty() {
            let since = watcher.since(Some(watcher.position));
            let ended = timeout(PATIENCE, storage.changes(since)).await;
            let waited = |_| format!("nothing is told of the changes after {}", watcher.position);
            let found = told(ended.map_err(waited)?)?;
            watcher.hear(&found, &self.model)?;
        }
        let since = watcher.since(Some(watcher.position));
        match at_once(storage.changes(since)) {
            Some(found) => watcher.hear(&told(found)?, &self.model),
            None => Ok(()),
        }
    }

    async fn snapshot(&mut self, storage: &Storage) -> Result<(), String> {
        let snapshot = told(storage.adapter().snapshot().await)?;
        let rest = self.model.snapshot();
        same("the snapshot's size", snapshot.records(), rest.len() as u64)?;
        let last_version = self.model.last_version();
        same(
            "the snapshot's version",
            snapshot.last_version(),
            last_version,
        )?;
        if self.snapshots.len() == SNAPSHOTS {
            self.snapshots.remove(0);
        }
        self.snapshots.push(Taken { snapshot, rest });
        Ok(())
    }

    async fn replicate(
        &mut self,
        storage: &Storage,
        changes: &[Change],
        beyond: u64,
        is_repeated: bool,
    ) -> Result<(), String> {
        let last = changes.last().map(|change| change.version);
        let last_version = last.unwrap_or(self.model.last_version()) + beyond;
        for _ in 0..1 + usize::from(is_repeated) {
            told(storage.adapter().replicate(changes, last_version).await)?;
        }
        if is_repeated {
            // What is written again may be told as missed, never twice.
            self.watchers.iter_mut().for_each(|it| it.may_miss = true);
        }
        self.model.replicate(changes, last_version);
        Ok(())
    }

    async fn finish(&mut self, storage: &Storage) -> Result<(), String> {
        for mut taken in std::mem::take(&mut self.snapshots) {
            while taken.read().await? {}
        }
        for watcher in 0..self.watchers.len() {
            self.hear(storage, watcher).await?;
        }
        self.usage(storage).await?;
        let mut found = BTreeMap::new();
        for namespace in self.model.usage().into_keys() {
            let keys = pages::keys(storage, &namespace, "", 7).await;
            found.insert(namespace, keys);
        }
        for (namespace, keys) in found {
            same("the keys at the end", keys, self.model.keys(&namespace))?;
        }
        self.snapshot(storage).await?;
        while self.snapshots[0].read().await? {}
        Ok(())
    }
}

impl Taken {
    /// Reads on; tells whether there was more.
    async fn read(&mut self) -> Result<bool, String> {
        let found = told(self.snapshot.next().await)?;
        if found.is_empty() {
            same("what a snapshot left out", &self.rest[..], &[])?;
            return Ok(false);
        }
        let count = found.len().min(self.rest.len());
        let expect: Vec<_> = self.rest.drain(..count).collect();
        same("what a snapshot reads next", found, expect)?;
        Ok(true)
    }
}

/// Picks one of so many.
fn nth(count: usize, number: usize) -> Option<usize> {
    number.checked_rem(count)
}

/// Errors are compared by what they say.
fn told<T>(answer: Result<T, StorageError>) -> Result<T, String> {
    answer.map_err(|error| error.to_string())
}

fn same<T, U>(what: &str, found: T, expect: U) -> Result<(), String>
where
    T: PartialEq<U> + Debug,
    U: Debug,
{
    match found == expect {
        true => Ok(()),
        false => Err(format!(
            "{what}: found {}, expected {}",
            shown(&found),
            shown(&expect)
        )),
    }
}

/// The beginning of what may be long.
fn shown(value: &dyn Debug) -> String {
    format!("{value:?}").chars().take(600).collect()
}
