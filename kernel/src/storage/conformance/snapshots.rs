//! Snapshots: everything as it was at one moment, in order, while writes go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::{
    Change, Expect, MAX_PAGE_ENTRIES, MAX_VALUE_BYTES, PAGE_BYTES, Snapshot, Storage,
};
use super::watcher::{Told, told};
use super::{Checks, batch, checks, json};

pub(super) const CHECKS: Checks = checks![
    an_empty_snapshot_has_nothing,
    a_snapshot_has_everything_in_order,
    a_snapshot_is_one_moment,
    writes_go_on_beside_a_snapshot,
    snapshots_of_two_moments_differ,
    a_large_snapshot_comes_in_pieces,
];

pub(super) async fn take(storage: &Storage) -> Box<dyn Snapshot> {
    storage
        .adapter()
        .snapshot()
        .await
        .expect("a snapshot is taken")
}

/// Reads a snapshot to its end, and that it keeps its promises.
pub(super) async fn read(snapshot: &mut dyn Snapshot) -> Vec<Change> {
    let mut all = Vec::<Change>::new();
    loop {
        let more = snapshot.next().await.expect("a snapshot is read");
        if more.is_empty() {
            break;
        }
        let bytes: usize = more.iter().map(Change::bytes).sum();
        assert!(
            more.len() <= MAX_PAGE_ENTRIES && (more.len() == 1 || bytes <= PAGE_BYTES),
            "a snapshot reads {} records with {bytes} bytes at once",
            more.len()
        );
        all.extend(more);
    }
    let again = snapshot.next().await.expect("a snapshot is read");
    assert_eq!(again, [], "a snapshot goes on behind its end");
    assert_eq!(
        snapshot.records(),
        all.len() as u64,
        "a snapshot counts its records"
    );
    assert!(
        all.iter()
            .all(|it| it.value.is_some() && it.version <= snapshot.last_version()),
        "a snapshot has deletions, or what is newer than itself"
    );
    let in_order = all.is_sorted_by(|a, b| (&a.namespace, &a.key) < (&b.namespace, &b.key));
    assert!(in_order, "a snapshot is out of order");
    all
}

/// What a snapshot of this moment holds.
pub(super) async fn everything(storage: &Storage) -> Vec<Told> {
    let mut snapshot = take(storage).await;
    read(&mut *snapshot).await.iter().map(told).collect()
}

async fn an_empty_snapshot_has_nothing(storage: Storage) {
    let mut snapshot = take(&storage).await;
    assert_eq!(
        (snapshot.records(), snapshot.last_version()),
        (0, 0),
        "an empty database"
    );
    assert_eq!(read(&mut *snapshot).await, []);
}

async fn a_snapshot_has_everything_in_order(storage: Storage) {
    let mut expect = Vec::new();
    for namespace in ["b", "a.b", "a", "A", "a-b"] {
        for key in ["\u{10FFFF}", "k", "K", "%", "ж", "k/"] {
            let value = format!("\"{namespace}/{key}\"");
            let version = storage
                .set(namespace, key, json(&value))
                .await
                .expect("a value is written");
            expect.push((namespace.to_owned(), key.to_owned(), version, Some(value)));
        }
    }
    storage
        .set("gone", "k", json("1"))
        .await
        .expect("a value is written");
    storage.delete("gone", "k").await.expect("a delete answers");
    let last = expect.last().map_or(0, |told| told.2) + 2;
    expect.sort_unstable();
    let snapshot = take(&storage).await;
    assert_eq!(
        snapshot.last_version(),
        last,
        "the last version, of a deletion"
    );
    drop(snapshot);
    assert_eq!(everything(&storage).await, expect, "what is in a snapshot");
}

/// Batches write the same value everywhere, so a moment has one value.
async fn a_snapshot_is_one_moment(storage: Storage) {
    const KEYS: [(&str, &str); 4] = [("a", "1"), ("a", "2"), ("b", "1"), ("z", "1")];
    let ended = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (storage, ended) = (storage.clone(), ended.clone());
            tokio::spawn(async move {
                let mut round = 0;
                while !ended.load(Ordering::Relaxed) {
                    round += 1;
                    let value = json(&format!("[{writer},{round}]"));
                    let everywhere = batch(|batch| {
                        KEYS.iter().try_for_each(|(namespace, key)| {
                            batch
                                .put(namespace, key, Expect::Any, value.clone())
                                .map(drop)
                        })
                    });
                    storage
                        .apply(everywhere)
                        .await
                        .expect("the batch is written");
                }
            })
        })
        .collect();
    for _ in 0..30 {
        let mut snapshot = take(&storage).await;
        // What is written from here on is not in it.
        storage
            .set("z", "2", json("1"))
            .await
            .expect("a value is written");
        let all = read(&mut *snapshot).await;
        let same: Vec<_> = all
            .iter()
            .filter(|change| *change.key != *"2" || *change.namespace == *"a")
            .collect();
        let first = same.first().map(|change| &change.value);
        let is_whole = same.is_empty() || same.len() == KEYS.len();
        assert!(
            is_whole && same.iter().all(|change| Some(&change.value) == first),
            "a snapshot of several moments: {same:?}"
        );
        let newest = all.iter().map(|change| change.version).max();
        assert!(
            newest.unwrap_or(0) <= snapshot.last_version(),
            "a snapshot has newer records than itself"
        );
    }
    ended.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("the writer ends well");
    }
}

async fn writes_go_on_beside_a_snapshot(storage: Storage) {
    for key in ["1", "2", "3"] {
        storage
            .set("a", key, json("1"))
            .await
            .expect("a value is written");
    }
    let expect = everything(&storage).await;
    let mut snapshot = take(&storage).await;
    storage
        .set("a", "1", json("2"))
        .await
        .expect("a value is written");
    storage.delete("a", "2").await.expect("a delete answers");
    storage
        .set("a", "0", json("2"))
        .await
        .expect("a value is written");
    storage
        .set("A", "0", json("2"))
        .await
        .expect("a value is written");
    let found: Vec<_> = read(&mut *snapshot).await.iter().map(told).collect();
    assert_eq!(found, expect, "what was written later is in a snapshot");
    // Left unread, and dropped before it has ended.
    let unread = take(&storage).await;
    storage
        .set("a", "1", json("3"))
        .await
        .expect("a value is written");
    drop(unread);
    storage
        .set("a", "1", json("4"))
        .await
        .expect("a value is written");
}

async fn snapshots_of_two_moments_differ(storage: Storage) {
    storage
        .set("a", "k", json("1"))
        .await
        .expect("a value is written");
    let mut first = take(&storage).await;
    let version = storage
        .set("a", "k", json("2"))
        .await
        .expect("a value is written");
    let mut second = take(&storage).await;
    storage.delete("a", "k").await.expect("a delete answers");
    let of = |version, value: &str| {
        vec![(
            "a".to_owned(),
            "k".to_owned(),
            version,
            Some(value.to_owned()),
        )]
    };
    let found: Vec<_> = read(&mut *second).await.iter().map(told).collect();
    assert_eq!(found, of(version, "2"), "the later snapshot");
    let found: Vec<_> = read(&mut *first).await.iter().map(told).collect();
    assert_eq!(found, of(version - 1, "1"), "the earlier snapshot");
    assert_eq!(
        everything(&storage).await,
        [],
        "a snapshot after the deletion"
    );
}

async fn a_large_snapshot_comes_in_pieces(storage: Storage) {
    let fill = batch(|batch| {
        let mut keys = 0..MAX_PAGE_ENTRIES;
        keys.try_for_each(|i| {
            batch
                .put("a", &format!("{i:04}"), Expect::Any, json("1"))
                .map(drop)
        })
    });
    storage.apply(fill).await.expect("the batch is written");
    let large = json(&format!("\"{}\"", "x".repeat(MAX_VALUE_BYTES - 2)));
    for key in ["1", "2", "3"] {
        storage
            .set("b", key, large.clone())
            .await
            .expect("a value is written");
    }
    for key in ["1", "2", "3", "4", "5"] {
        let value = json(&format!("\"{}\"", "x".repeat(MAX_VALUE_BYTES / 3)));
        storage
            .set("c", key, value)
            .await
            .expect("a value is written");
    }
    let all = read(&mut *take(&storage).await).await;
    assert_eq!(
        all.len(),
        MAX_PAGE_ENTRIES + 8,
        "the records of a large snapshot"
    );
}
