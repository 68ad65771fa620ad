//! Many callers at once: no lost update, batches seen whole, acknowledged writes seen by all.

use std::pin::pin;
use std::task::{Context, Waker};

use tokio::task::JoinSet;

use super::super::{Expect, Query, Storage, StorageError};
use super::{Checks, assert_value, batch, checks, json};

pub(super) const CHECKS: Checks = checks![
    loses_no_update,
    shows_batches_whole,
    keeps_all_written_at_once,
    survives_callers_that_go_away,
];

const WRITERS: usize = 64;
const ROUNDS: usize = 4;

async fn loses_no_update(storage: Storage) {
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let storage = storage.clone();
        writers.spawn(async move {
            for _ in 0..ROUNDS {
                while !increment(&storage).await {}
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer ends well");
    }
    assert_value(
        &storage,
        "a",
        "count",
        Some(&(WRITERS * ROUNDS).to_string()),
    )
    .await;
}

/// Adds one by compare-and-set; tells whether nobody came between.
async fn increment(storage: &Storage) -> bool {
    let found = storage.get("a", "count").await.expect("a read answers");
    let (count, expect) = match found {
        Some(record) => {
            let count: usize = serde_json::from_slice(&record.value).expect("a number");
            (count, Expect::Version(record.version))
        }
        None => (0, Expect::Absent),
    };
    let value = json(&(count + 1).to_string());
    match storage.compare_and_set("a", "count", expect, value).await {
        Ok(version) => {
            let seen = storage
                .get("a", "count")
                .await
                .expect("a read answers")
                .expect("a record");
            assert!(
                seen.version >= version,
                "a read after the answer does not see the write"
            );
            true
        }
        Err(StorageError::Conflict(_)) => false,
        Err(other) => panic!("expected a conflict, found `{other}`"),
    }
}

async fn shows_batches_whole(storage: Storage) {
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let storage = storage.clone();
        writers.spawn(async move {
            for round in 0..25 {
                let value = json(&format!("{}", writer * 100 + round));
                let pair = batch(|batch| {
                    batch.put("a", "left", Expect::Any, value.clone())?;
                    batch.put("a", "right", Expect::Any, value).map(drop)
                });
                storage.apply(pair).await.expect("the batch is written");
            }
        });
    }
    let mut last = false;
    while !last {
        last = writers.try_join_next().is_none() && writers.is_empty();
        let query = Query::new("a", "").expect("a valid query");
        let page = storage.list(query).await.expect("a page");
        match &page.entries[..] {
            [] => {}
            [left, right] => {
                assert_eq!(
                    left.record.value, right.record.value,
                    "half a batch was seen"
                );
            }
            other => panic!("half a batch was seen: {other:?}"),
        }
    }
}

async fn keeps_all_written_at_once(storage: Storage) {
    write_all_at_once(&storage).await;
    find_all(&storage).await;
}

/// Writes from many tasks and returns the highest version acknowledged.
pub(super) async fn write_all_at_once(storage: &Storage) -> u64 {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let storage = storage.clone();
        writers.spawn(async move {
            let key = format!("writer-{writer:02}");
            storage
                .set("many", &key, json(&writer.to_string()))
                .await
                .expect("a value is written")
        });
    }
    let mut versions = writers.join_all().await;
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), WRITERS, "two writes have the same version");
    versions.last().copied().unwrap_or_default()
}

pub(super) async fn find_all(storage: &Storage) {
    for writer in 0..WRITERS {
        let key = format!("writer-{writer:02}");
        assert_value(storage, "many", &key, Some(&writer.to_string())).await;
    }
}

async fn survives_callers_that_go_away(storage: Storage) {
    for _ in 0..WRITERS {
        let mut write = pin!(storage.set("a", "left", json("1")));
        drop(write.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    }
    storage
        .set("a", "k", json("2"))
        .await
        .expect("a value is written");
    assert_value(&storage, "a", "k", Some("2")).await;
}
