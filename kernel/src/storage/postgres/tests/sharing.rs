//! Several kernels on one database, each with an adapter of its own.

use std::collections::BTreeSet;

use octa_test_servers::postgres;
use tokio::task::JoinSet;

use super::super::super::{Batch, Expect, KEPT_CHANGES, Quota, Since, Storage, StorageError};
use super::{RUNTIME, json, open, set, value};

fn pair() -> Option<(Storage, Storage)> {
    let database = postgres()?.database("shared");
    let [first, second] = [(); 2].map(|()| Storage::new(open(&database.url(), "octa")));
    Some((first, second))
}

#[test]
fn no_update_is_lost_and_versions_are_unique() {
    let Some((first, second)) = pair() else {
        return;
    };
    RUNTIME.block_on(async {
        set(&first, "counter", "0").await;
        let mut writers = JoinSet::new();
        for storage in [&first, &second].repeat(4) {
            writers.spawn(count(storage.clone(), 15));
        }
        let versions: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
        let unique: BTreeSet<_> = versions.iter().collect();
        assert_eq!((versions.len(), unique.len()), (120, 120));
        assert_eq!(value(&second, "counter").await.as_deref(), Some("120"));
    });
}

/// Counts up by compare-and-set, and returns the versions that it was given.
async fn count(storage: Storage, times: u32) -> Vec<u64> {
    let mut versions = Vec::new();
    while versions.len() < times as usize {
        let found = storage.get("a", "counter").await.expect("a read answers");
        let found = found.expect("it is there");
        let number: u32 = serde_json::from_slice(&found.value).expect("a number");
        let next = json(&(number + 1).to_string());
        let expect = Expect::Version(found.version);
        match storage.compare_and_set("a", "counter", expect, next).await {
            Ok(version) => versions.push(version),
            Err(StorageError::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    versions
}

#[test]
fn watches_hear_of_all_kernels_in_one_order() {
    let Some((first, second)) = pair() else {
        return;
    };
    RUNTIME.block_on(async {
        let mut watchers = JoinSet::new();
        for storage in [&first, &second] {
            let now = storage.changes(Since::all(None)).await.expect("a place");
            watchers.spawn(hear(storage.clone(), now.next, 201));
        }
        let mut writers = JoinSet::new();
        for (writer, storage) in [&first, &second].repeat(2).into_iter().enumerate() {
            let storage = storage.clone();
            writers.spawn(async move {
                for round in 0..50 {
                    set(&storage, &format!("{writer}"), &round.to_string()).await;
                }
            });
        }
        writers.join_all().await;
        // The second hears of it though it writes nothing itself.
        let last = set(&first, "last", "1").await;
        let heard = watchers.join_all().await;
        assert_eq!(heard[0], heard[1]);
        assert!(heard[0].is_sorted_by(|a, b| a < b));
        assert_eq!(heard[0].last(), Some(&last));
    });
}

/// The versions of the next changes.
async fn hear(storage: Storage, mut position: u64, count: usize) -> Vec<u64> {
    let mut versions = Vec::new();
    while versions.len() < count {
        let since = Since::all(Some(position));
        let told = storage.changes(since).await.expect("changes are told");
        assert!(!told.missed, "changes behind {position} are missed");
        versions.extend(told.changes.iter().map(|change| change.version));
        position = told.next;
    }
    versions
}

#[test]
fn who_read_what_another_wrote_watches_from_there() {
    let Some((first, second)) = pair() else {
        return;
    };
    RUNTIME.block_on(async {
        let now = second
            .changes(Since::all(None))
            .await
            .expect("a place")
            .next;
        for round in 0..20 {
            let version = set(&first, "k", &round.to_string()).await;
            let found = second.get("a", "k").await.expect("a read answers");
            assert_eq!(found.map(|record| record.version), Some(version));
            let next = set(&first, "l", "1").await;
            let heard = hear(second.clone(), version, 1).await;
            assert_eq!(heard, [next]);
        }
        // What was before is still kept in the database, for a kernel that begins only now.
        assert_eq!(hear(second.clone(), now, 40).await.len(), 40);
    });
}

/// Reading all that others write is for those who wait for it.
#[test]
fn who_asks_where_to_begin_does_not_watch_yet() {
    let Some(server) = postgres() else { return };
    let database = server.database("begin");
    let other = Storage::new(open(&database.url(), "octa"));
    let opened = open(&database.url(), "octa");
    let shared = opened.shared.clone();
    let storage = Storage::new(opened);
    RUNTIME.block_on(async {
        let before = set(&other, "k", "0").await;
        let now = storage.changes(Since::all(None)).await.expect("a place");
        assert_eq!((now.next, now.changes.len()), (before, 0));
        assert!(!shared.watches.is_watched());
        let version = set(&other, "k", "1").await;
        assert_eq!(hear(storage, now.next, 1).await, [version]);
        assert!(shared.watches.is_watched());
    });
}

#[test]
fn a_kernel_that_comes_later_goes_on_where_another_was() {
    let Some(server) = postgres() else { return };
    let database = server.database("later");
    let first = Storage::new(open(&database.url(), "octa"));
    let position = RUNTIME.block_on(async {
        let position = set(&first, "k", "0").await;
        set(&first, "k", "1").await;
        set(&first, "k", "2").await;
        first.close().await.expect("closes");
        position
    });
    let second = Storage::new(open(&database.url(), "octa"));
    let heard = RUNTIME.block_on(hear(second.clone(), position, 2));
    assert_eq!(heard, [position + 1, position + 2]);
}

#[test]
fn quotas_hold_together() {
    let Some((first, second)) = pair() else {
        return;
    };
    RUNTIME.block_on(async {
        let mut writers = JoinSet::new();
        for (writer, storage) in [&first, &second].repeat(4).into_iter().enumerate() {
            let storage = storage.clone();
            writers.spawn(async move {
                let mut written = 0;
                for round in 0..20 {
                    let mut batch = Batch::new();
                    let key = format!("{writer}/{round:02}");
                    let put = batch.put("a", &key, Expect::Absent, json("123456"));
                    put.expect("a valid batch");
                    batch.bound("a", Quota { bytes: 500 });
                    match storage.apply(batch).await {
                        Ok(_) => written += 1,
                        Err(StorageError::Quota(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                written
            });
        }
        let written: u64 = writers.join_all().await.into_iter().sum();
        assert_eq!(written, 50, "records of 10 bytes in 500");
        let usage = first.usage().await.expect("the usage is told");
        assert_eq!((usage[0].1.records, usage[0].1.bytes), (50, 500));
    });
}

#[test]
fn what_is_kept_for_watches_is_bounded() {
    let Some(server) = postgres() else { return };
    let database = server.database("bounded");
    let storage = Storage::new(open(&database.url(), "octa"));
    RUNTIME.block_on(async {
        for _ in 0..24 {
            let mut batch = Batch::new();
            for key in 0..1_000 {
                let put = batch.put("a", &format!("{key}"), Expect::Any, json("1"));
                put.expect("fits");
            }
            storage.apply(batch).await.expect("the batch is written");
        }
        let behind = Since::all(Some(1));
        let told = storage.changes(behind).await.expect("changes are told");
        assert!(told.missed);
        assert_eq!(told.next, 24_000);
        assert_eq!(hear(storage.clone(), 20_000, 4_000).await.len(), 4_000);
    });
    let kept: usize = database
        .sql("SELECT count(*) FROM octa.changes")
        .parse()
        .expect("a number");
    assert!(
        (KEPT_CHANGES..KEPT_CHANGES + 6_000).contains(&kept),
        "{kept} changes are kept"
    );
}
