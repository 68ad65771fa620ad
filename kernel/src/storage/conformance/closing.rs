//! Closing, and what outlives it: afterwards nothing is done any more, and nothing acknowledged is lost.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::super::{Address, Expect, Query, Since, Storage, StorageError, Usage};
use super::snapshots::everything;
use super::together::{find_all, write_all_at_once};
use super::watcher::{Told, Watcher, told};
use super::{Checks, assert_value, batch, checks, json};

pub(super) const CHECKS: Checks = checks![is_closed_for_good, closing_ends_all_waiting];

async fn is_closed_for_good(storage: Storage) {
    storage
        .set("a", "k", json("1"))
        .await
        .expect("a value is written");
    let other = storage.clone();
    storage.close().await.expect("closes");
    storage.close().await.expect("closes again");
    let adapter = other.adapter();
    assert_closed("a read", other.get("a", "k").await);
    assert_closed("a write", other.set("a", "k", json("1")).await);
    assert_closed("an empty batch", other.apply(batch(|_| Ok(()))).await);
    let query = Query::new("a", "").expect("a valid query");
    assert_closed("a list", other.list(query).await);
    assert_closed("changes from now on", other.changes(Since::all(None)).await);
    assert_closed("changes", other.changes(Since::all(Some(0))).await);
    assert_closed("the usage", other.usage().await);
    assert_closed("a snapshot", adapter.snapshot().await.map(drop));
    assert_closed("replicating", adapter.replicate(&[], 5).await);
    let at = Address::new("a", "k").expect("valid names");
    assert_closed("a read", adapter.get(at).await);
}

fn assert_closed<T: Debug>(what: &str, result: Result<T, StorageError>) {
    assert!(
        matches!(result, Err(StorageError::Closed)),
        "{what} of a closed storage answers {result:?}"
    );
}

/// Whoever waits is told; writes on their way end one way or the other.
async fn closing_ends_all_waiting(storage: Storage) {
    let place = storage.changes(Since::all(None)).await;
    let after = Some(place.expect("the place is told").next);
    let nothing = |prefix| Since::new("nothing", prefix, after).expect("valid names");
    let mut waiting = Vec::new();
    for since in [nothing(""), nothing("k")].repeat(4) {
        let mut watcher = Box::pin(hear_until_closed(&storage, since));
        let early = poll_fn(|context| Poll::Ready(watcher.as_mut().poll(context))).await;
        assert!(early.is_pending(), "watchers of nothing end: {early:?}");
        waiting.push(watcher);
    }
    let (writers, _) = write_until_closed(&storage);
    storage.close().await.expect("closes");
    for watcher in waiting {
        assert_closed("a watcher", Err::<(), _>(watcher.await));
    }
    writers.join_all().await;
}

/// Goes on watching to the end, whatever is told.
async fn hear_until_closed(storage: &Storage, mut since: Since<'static>) -> StorageError {
    loop {
        let (namespace, prefix) = (since.namespace().expect("one"), since.prefix());
        match storage.changes(since).await {
            Ok(told) => {
                since = Since::new(namespace, prefix, Some(told.next)).expect("valid names");
            }
            Err(error) => break error,
        }
    }
}

const WRITERS: u32 = 16;

/// Writers that go on until the storage is closed; each returns what was acknowledged last.
///
/// With them comes what has a permit for each writer that was acknowledged anything.
fn write_until_closed(storage: &Storage) -> (JoinSet<(String, u64)>, Arc<Semaphore>) {
    let mut writers = JoinSet::new();
    let begun = Arc::new(Semaphore::new(0));
    for writer in 0..WRITERS {
        let (storage, begun) = (storage.clone(), begun.clone());
        writers.spawn(async move {
            let key = format!("{writer}");
            let mut last = 0;
            loop {
                let pair = batch(|batch| {
                    batch.put("flight", &key, Expect::Any, json("1"))?;
                    batch
                        .put("flight", &format!("{key}-too"), Expect::Any, json("1"))
                        .map(drop)
                });
                match storage.apply(pair).await {
                    Ok(outcomes) => {
                        begun.add_permits(usize::from(last == 0));
                        last = outcomes[0].version().unwrap_or(last);
                    }
                    Err(StorageError::Closed) => break (key, last),
                    Err(other) => panic!("expected an answer or the end, found `{other}`"),
                }
                tokio::task::yield_now().await;
            }
        });
    }
    (writers, begun)
}

/// What is there when a database is left, to be found in it later.
#[derive(Debug)]
pub(super) struct Left {
    records: Vec<Told>,
    usage: Vec<(String, Usage)>,
    position: u64,
}

async fn left(storage: &Storage) -> Left {
    let usage = storage.usage().await.expect("the usage is told");
    let usage = usage
        .into_iter()
        .map(|(namespace, usage)| (namespace.to_string(), usage));
    let now = storage
        .changes(Since::all(None))
        .await
        .expect("the place is told");
    Left {
        records: everything(storage).await,
        usage: usage.collect(),
        position: now.next,
    }
}

async fn assert_left(storage: &Storage, expect: &Left) {
    let found = left(storage).await;
    assert_eq!(
        found.records, expect.records,
        "what is there after a reopening"
    );
    assert_eq!(found.usage, expect.usage, "the usage after a reopening");
    assert_eq!(
        found.position, expect.position,
        "the last version after a reopening"
    );
}

/// Writes everything there is to write, with the counter ahead of all records, and leaves without closing.
pub(super) async fn fill(storage: Storage) -> Left {
    write_all_at_once(&storage).await;
    let several = batch(|batch| {
        batch.append("log", "log/", json("1"))?;
        batch.append("log", "log/", json("2"))?;
        batch.put("gone", "k", Expect::Any, json("1"))?;
        batch.delete("gone", "k", Expect::Any).map(drop)
    });
    storage.apply(several).await.expect("the batch is written");
    left(&storage).await
}

/// Finds everything, goes on watching where it was, writes under new versions, and closes while others write.
pub(super) async fn go_on(storage: Storage, before: Left) -> BTreeMap<String, u64> {
    find_all(&storage).await;
    assert_left(&storage, &before).await;
    let mut watcher = Watcher::behind(&storage, None, before.position);
    let version = storage
        .set("gone", "k", json("2"))
        .await
        .expect("a value is written");
    assert_eq!(
        version,
        before.position + 1,
        "the first version after a reopening"
    );
    let first = watcher.any().await;
    let heard: Vec<_> = first.changes.iter().map(told).collect();
    let expect = (
        "gone".to_owned(),
        "k".to_owned(),
        version,
        Some("2".to_owned()),
    );
    assert!(
        first.missed || heard == [expect],
        "told {heard:?} after a reopening"
    );

    let (writers, begun) = write_until_closed(&storage);
    // Each is acknowledged something before the end, and some are on their way.
    drop(begun.acquire_many(WRITERS).await);
    storage.close().await.expect("closes");
    writers.join_all().await.into_iter().collect()
}

/// Finds what was acknowledged while it was being closed, in whole batches.
pub(super) async fn find(storage: Storage, acknowledged: BTreeMap<String, u64>) -> Left {
    find_all(&storage).await;
    assert_value(&storage, "gone", "k", Some("2")).await;
    for (key, version) in acknowledged {
        let version_of = async |key: &str| {
            let found = storage.get("flight", key).await.expect("a read answers");
            found.map(|record| record.version)
        };
        let found = version_of(&key).await;
        assert!(
            found.unwrap_or(0) >= version,
            "`{key}` has version {found:?}, but {version} was acknowledged"
        );
        let second = version_of(&format!("{key}-too")).await;
        assert_eq!(
            second,
            found.map(|first| first + 1),
            "half a batch outlived the end"
        );
    }
    left(&storage).await
}

/// Finds what was read before it was left without closing.
pub(super) async fn find_again(storage: Storage, before: Left) {
    assert_left(&storage, &before).await;
}
