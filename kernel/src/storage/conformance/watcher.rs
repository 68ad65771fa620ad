//! A watcher, as a consumer of changes writes one.

use super::super::{Change, Changes, Since, Storage};

/// Hears changes in pieces and keeps its place.
#[derive(Clone, Debug)]
pub(super) struct Watcher {
    storage: Storage,
    /// A namespace and a prefix; nothing: everything.
    of: Option<(&'static str, &'static str)>,
    pub(super) position: u64,
}

/// A change in short: namespace, key, version, value.
pub(super) type Told = (String, String, u64, Option<String>);

impl Watcher {
    /// Watches from now on.
    pub(super) async fn begin(storage: &Storage, of: Option<(&'static str, &'static str)>) -> Self {
        let now = storage
            .changes(since(of, None))
            .await
            .expect("the place is told");
        let expect = Changes::new(Vec::new(), now.next);
        assert_eq!(now, expect, "who watches from now on is told of before");
        Self::behind(storage, of, now.next)
    }

    /// Watches behind a version.
    pub(super) fn behind(
        storage: &Storage,
        of: Option<(&'static str, &'static str)>,
        position: u64,
    ) -> Self {
        let storage = storage.clone();
        Self {
            storage,
            of,
            position,
        }
    }

    /// What it asks for next.
    pub(super) fn since(&self) -> Since<'static> {
        since(self.of, Some(self.position))
    }

    /// Waits for the next answer; it may be that some are missed.
    pub(super) async fn any(&mut self) -> Changes {
        let asked = self.since();
        let told = self.storage.changes(asked).await.expect("changes are told");
        let from = self.position;
        assert!(
            told.next > from,
            "changes after {from} go on from {}",
            told.next
        );
        let versions = told.changes.iter().map(|change| change.version);
        let between: Vec<_> = [from].into_iter().chain(versions).collect();
        assert!(
            between.is_sorted_by(|a, b| a < b) && between.last() <= Some(&told.next),
            "changes after {from} come as {between:?}, and go on from {}",
            told.next
        );
        for change in &told.changes {
            let is_wanted = asked.wants(&change.namespace, &change.key);
            assert!(
                is_wanted,
                "`{}/{}` was not asked for",
                change.namespace, change.key
            );
        }
        self.position = told.next;
        told
    }

    /// Waits for the next changes; none are missed.
    pub(super) async fn next(&mut self) -> Vec<Change> {
        let from = self.position;
        let told = self.any().await;
        assert!(
            !told.missed,
            "changes after {from} are missed, though watched"
        );
        told.changes
    }

    /// Hears everything up to the change of a key, which is the last.
    pub(super) async fn until(&mut self, last: &str) -> Vec<Told> {
        let mut all = Vec::new();
        while all.last().is_none_or(|(_, key, ..): &Told| key != last) {
            all.extend(self.next().await.iter().map(told));
        }
        all
    }
}

pub(super) fn told(change: &Change) -> Told {
    let value = change.value.as_deref();
    (
        change.namespace.to_string(),
        change.key.to_string(),
        change.version,
        value.map(|value| String::from_utf8_lossy(value).into_owned()),
    )
}

fn since(of: Option<(&'static str, &'static str)>, after: Option<u64>) -> Since<'static> {
    match of {
        Some((namespace, prefix)) => Since::new(namespace, prefix, after).expect("valid names"),
        None => Since::all(after),
    }
}
