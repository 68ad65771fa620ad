//! Changes of another database: written as they are, versions and all.

use super::super::{Change, Expect, Memory, Outcome, Quota, Since, Storage, StorageError};
use super::snapshots::{everything, read, take};
use super::usage::assert_usage;
use super::watcher::{Watcher, told};
use super::{Checks, assert_value, batch, checks, json};

pub(super) const CHECKS: Checks = checks![
    changes_are_written_as_they_are,
    the_counter_is_never_lowered,
    repeating_changes_nothing,
    replicas_have_no_quotas,
    what_is_replicated_is_told,
    a_copy_is_the_same_both_ways,
    a_follower_becomes_the_same,
];

fn change(key: &str, version: u64, value: Option<&str>) -> Change {
    Change::new("a", key, version, value.map(json))
}

async fn replicate(storage: &Storage, changes: &[Change], last_version: u64) {
    let written = storage.adapter().replicate(changes, last_version).await;
    written.expect("the changes are written");
}

async fn last_version(storage: &Storage) -> u64 {
    take(storage).await.last_version()
}

async fn changes_are_written_as_they_are(storage: Storage) {
    let changes = [
        change("k", 7, Some("1")),
        change("l", 9, Some("22")),
        change("k", 12, Some("333")),
        change("l", 13, None),
        change("nothing", 14, None),
        Change::new("b", "k", 15, Some(json("1"))),
    ];
    replicate(&storage, &changes, 20).await;
    let expect = [&changes[2], &changes[5]].map(told);
    assert_eq!(everything(&storage).await, expect, "what was replicated");
    assert_usage(&storage, &[("a", 1, 4), ("b", 1, 2)]).await;
    assert_value(&storage, "a", "k", Some("333")).await;
    assert_value(&storage, "a", "l", None).await;
    assert_eq!(last_version(&storage).await, 20, "the counter of a replica");

    let own = batch(|batch| {
        batch.put("a", "k", Expect::Version(12), json("4"))?;
        batch.append("a", "log/", json("5")).map(drop)
    });
    let outcomes = storage.apply(own).await.expect("the batch is written");
    let versions: Vec<_> = outcomes.iter().filter_map(Outcome::version).collect();
    assert_eq!(
        versions,
        [21, 22],
        "what a replica writes itself comes behind"
    );
    replicate(&storage, &[change("k", 30, None)], 30).await;
    assert_value(&storage, "a", "k", None).await;
}

async fn the_counter_is_never_lowered(storage: Storage) {
    replicate(&storage, &[], 10).await;
    assert_eq!(
        last_version(&storage).await,
        10,
        "the counter, raised by nothing else"
    );
    replicate(&storage, &[change("k", 3, Some("1"))], 3).await;
    assert_eq!(
        last_version(&storage).await,
        10,
        "the counter after older changes"
    );
    let version = storage
        .set("a", "l", json("1"))
        .await
        .expect("a value is written");
    assert_eq!(version, 11, "the version after older changes");
    let found = storage.get("a", "k").await.expect("a read answers");
    assert_eq!(
        found.map(|record| record.version),
        Some(3),
        "the older version"
    );
}

async fn repeating_changes_nothing(storage: Storage) {
    let changes = [
        change("k", 1, Some("1")),
        change("l", 2, Some("1")),
        change("k", 3, Some("2")),
        change("l", 4, None),
    ];
    replicate(&storage, &changes, 4).await;
    let expect = everything(&storage).await;
    replicate(&storage, &changes, 4).await;
    replicate(&storage, &changes[2..], 4).await;
    assert_eq!(
        everything(&storage).await,
        expect,
        "what was replicated again"
    );
    assert_usage(&storage, &[("a", 1, 2)]).await;
    assert_eq!(
        last_version(&storage).await,
        4,
        "the counter after repeated changes"
    );
}

async fn replicas_have_no_quotas(storage: Storage) {
    let mut small = batch(|batch| batch.put("a", "k", Expect::Any, json("1")).map(drop));
    small.bound("a", Quota { bytes: 2 });
    storage.apply(small.clone()).await.expect("fits exactly");
    replicate(&storage, &[change("l", 2, Some("1234567890"))], 2).await;
    assert_usage(&storage, &[("a", 2, 13)]).await;
    let mut more = batch(|batch| batch.put("a", "k", Expect::Any, json("12")).map(drop));
    more.bound("a", Quota { bytes: 13 });
    match storage.apply(more).await {
        Err(StorageError::Quota(spent)) => assert_eq!(spent.found, 14),
        other => panic!("expected a spent quota, found {other:?}"),
    }
}

async fn what_is_replicated_is_told(storage: Storage) {
    storage
        .set("a", "k", json("0"))
        .await
        .expect("a value is written");
    let mut watcher = Watcher::begin(&storage, Some(("a", ""))).await;
    let changes = [
        change("k", 5, Some("1")),
        Change::new("b", "k", 6, Some(json("1"))),
        change("k", 7, None),
        change("last", 9, Some("1")),
    ];
    replicate(&storage, &changes[..2], 6).await;
    replicate(&storage, &changes[2..], 9).await;
    let expect = [&changes[0], &changes[2], &changes[3]].map(told);
    assert_eq!(
        watcher.until("last").await,
        expect,
        "what is told of replicated changes"
    );

    // What comes again is told at most as missed; what comes behind it, once.
    replicate(&storage, &changes[2..], 9).await;
    let version = storage
        .set("a", "own", json("1"))
        .await
        .expect("a value is written");
    let mut heard = Vec::new();
    while watcher.position < version {
        let from = watcher.position;
        let more = watcher.any().await;
        assert!(
            from < 9 || !more.missed || more.next == version,
            "missed twice"
        );
        heard.extend(more.changes.iter().map(told));
    }
    heard.retain(|told| told.2 != version);
    assert_eq!(heard, [], "repeated changes are told again");
}

/// Copies everything of `from` into `to`, as it is read.
async fn copy(from: &Storage, to: &Storage) {
    let mut snapshot = take(from).await;
    let last_version = snapshot.last_version();
    let all = read(&mut *snapshot).await;
    for some in all.chunks(3) {
        replicate(to, some, last_version).await;
    }
    replicate(to, &[], last_version).await;
}

async fn a_copy_is_the_same_both_ways(storage: Storage) {
    let other = Storage::new(Memory::new());
    for (namespace, key) in [("b", "k"), ("a", "l"), ("a", "k"), ("b", "k"), ("c", "k")] {
        other
            .set(namespace, key, json("1"))
            .await
            .expect("a value is written");
    }
    other.delete("c", "k").await.expect("a delete answers");
    copy(&other, &storage).await;
    assert_eq!(
        everything(&storage).await,
        everything(&other).await,
        "the copy"
    );
    let version = storage
        .set("a", "own", json("1"))
        .await
        .expect("a value is written");
    assert_eq!(version, 7, "the next version of the copy");

    let third = Storage::new(Memory::new());
    copy(&storage, &third).await;
    assert_eq!(
        everything(&third).await,
        everything(&storage).await,
        "the copy of the copy"
    );
}

/// Follows a database that is being written, from a snapshot on, as a standby does.
async fn a_follower_becomes_the_same(storage: Storage) {
    let follower = Storage::new(Memory::new());
    for i in 0..10 {
        storage
            .set("a", &format!("{i}"), json("1"))
            .await
            .expect("a value is written");
    }
    let now = storage
        .changes(Since::all(None))
        .await
        .expect("the place is told");
    let writer = storage.clone();
    let writing = tokio::spawn(async move {
        for round in 0..60 {
            let key = format!("{}", round % 13);
            let pair = batch(|batch| {
                batch.put("a", &key, Expect::Any, json(&round.to_string()))?;
                batch.append("b", "log/", json("1"))?;
                batch
                    .delete("a", &format!("{}", round % 7), Expect::Any)
                    .map(drop)
            });
            writer.apply(pair).await.expect("the batch is written");
        }
        writer
            .set("z", "last", json("1"))
            .await
            .expect("a value is written")
    });
    // What is in the snapshot already may come again as a change.
    copy(&storage, &follower).await;
    let mut position = now.next;
    let mut is_last = false;
    while !is_last {
        let told = storage
            .changes(Since::all(Some(position)))
            .await
            .expect("changes are told");
        assert!(
            !told.missed,
            "changes after {position} are missed, though watched"
        );
        is_last = told.changes.iter().any(|change| *change.namespace == *"z");
        replicate(&follower, &told.changes, told.next).await;
        position = told.next;
    }
    let last = writing.await.expect("the writer ends well");
    assert_eq!(position, last, "the last version followed");
    assert_eq!(
        everything(&follower).await,
        everything(&storage).await,
        "the follower"
    );
}
