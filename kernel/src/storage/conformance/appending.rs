//! Appended values: their keys, and the order of commits in them.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::super::{Expect, MAX_KEY_BYTES, Storage};
use super::pages::{entries, keys};
use super::{Checks, batch, checks, json};

pub(super) const CHECKS: Checks = checks![
    an_appended_key_ends_in_its_version,
    a_batch_appends_in_its_order,
    a_refused_batch_appends_nothing,
    many_writers_append_in_the_order_of_commits,
];

const WRITERS: usize = 16;
const ROUNDS: usize = 8;

async fn an_appended_key_ends_in_its_version(storage: Storage) {
    let longest = "k".repeat(MAX_KEY_BYTES - 20);
    for prefix in ["log/", "l", "\u{10FFFF}", "9", &longest] {
        let append = batch(|batch| batch.append("a", prefix, json("1")).map(drop));
        let outcomes = storage.apply(append).await.expect("the batch is written");
        let version = outcomes[0].version().expect("an append takes a version");
        let key = format!("{prefix}{version:020}");
        let record = storage.get("a", &key).await.expect("a read answers");
        let found = record.map(|record| record.version);
        assert_eq!(found, Some(version), "the version of the appended `{key}`");
        assert_eq!(
            keys(&storage, "a", prefix, 10).await,
            [key],
            "the keys that start with `{prefix}`"
        );
        storage
            .delete("a", &format!("{prefix}{version:020}"))
            .await
            .expect("a delete answers");
    }
}

async fn a_batch_appends_in_its_order(storage: Storage) {
    let several = batch(|batch| {
        batch.put("a", "first", Expect::Any, json("0"))?;
        batch.append("a", "log/", json("1"))?;
        batch.delete("a", "nothing", Expect::Any)?;
        batch.append("b", "log/", json("2"))?;
        batch.append("a", "log/", json("3")).map(drop)
    });
    let outcomes = storage.apply(several).await.expect("the batch is written");
    let versions: Vec<_> = outcomes.iter().map(|outcome| outcome.version()).collect();
    let first = versions[0].expect("a put takes a version");
    assert_eq!(
        versions,
        [
            Some(first),
            Some(first + 1),
            None,
            Some(first + 2),
            Some(first + 3)
        ],
        "the versions of a batch follow each other"
    );
    let found = entries(&storage, "a", "log/", 1).await;
    let found: Vec<_> = found
        .iter()
        .map(|entry| (entry.key.to_string(), entry.record.value.to_vec()))
        .collect();
    let key = |version: u64| format!("log/{version:020}");
    let expect = [
        (key(first + 1), b"1".to_vec()),
        (key(first + 3), b"3".to_vec()),
    ];
    assert_eq!(found, expect, "what a batch appended");
}

async fn a_refused_batch_appends_nothing(storage: Storage) {
    let refused = batch(|batch| {
        batch.append("a", "log/", json("1"))?;
        batch.put("a", "k", Expect::Version(1), json("2")).map(drop)
    });
    storage.apply(refused).await.expect_err("is in conflict");
    assert_eq!(
        keys(&storage, "a", "", 10).await,
        [""; 0],
        "a refused batch appended"
    );
}

async fn many_writers_append_in_the_order_of_commits(storage: Storage) {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let storage = storage.clone();
        writers.spawn(async move {
            let mut own = Vec::new();
            for round in 0..ROUNDS {
                let value = || json(&format!("[{writer},{round}]"));
                let pair = batch(|batch| {
                    batch.append("a", "log/", value())?;
                    batch.append("a", "log/", value()).map(drop)
                });
                let outcomes = storage.apply(pair).await.expect("the batch is written");
                own.extend(outcomes.iter().filter_map(|outcome| outcome.version()));
                // What is appended later lies behind all that was there.
                let there = keys(&storage, "a", "log/", 1_000).await;
                let mine = format!("log/{:020}", own[own.len() - 1]);
                assert!(there.contains(&mine), "an appended value cannot be read");
            }
            assert!(
                own.is_sorted_by(|a, b| a < b),
                "a writer's own order is lost: {own:?}"
            );
            own
        });
    }
    let versions: BTreeSet<_> = writers.join_all().await.into_iter().flatten().collect();
    let found = entries(&storage, "a", "log/", 100).await;
    let expect: Vec<_> = versions
        .iter()
        .map(|version| format!("log/{version:020}"))
        .collect();
    let keys: Vec<_> = found.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, expect, "what many writers appended");
    for pair in found.chunks(2) {
        assert_eq!(
            pair[0].record.value, pair[1].record.value,
            "another batch came between the appends of one"
        );
    }
}
