//! Writes of one caller: values, versions, expectations, batches.

use std::collections::BTreeSet;

use super::super::{Batch, Conflict, Expect, MAX_VALUE_BYTES, Outcome, Storage, StorageError};
use super::{Checks, assert_value, batch, checks, json};

pub(super) const CHECKS: Checks = checks![
    keeps_values_byte_for_byte,
    never_repeats_a_version,
    meets_expectations,
    applies_batches_whole,
    a_batch_sees_its_own_writes,
];

async fn keeps_values_byte_for_byte(storage: Storage) {
    assert_value(&storage, "a", "k", None).await;
    let largest = format!("\"{}\"", "x".repeat(MAX_VALUE_BYTES - 2));
    for value in [
        "null",
        " {\"b\":1, \"a\": 1.0e2}\n",
        "\"\u{7f}\u{10FFFF}é\\u0000\"",
        &largest,
    ] {
        let version = storage
            .set("a", "k", json(value))
            .await
            .expect("a value is written");
        let record = storage
            .get("a", "k")
            .await
            .expect("a read answers")
            .expect("a record");
        assert_eq!(
            record.value[..],
            *value.as_bytes(),
            "a value came back changed"
        );
        assert_eq!(
            record.version, version,
            "the version read is not the one acknowledged"
        );
    }
    storage
        .set("b", "k", json("1"))
        .await
        .expect("a value is written");
    storage
        .set("a", "K", json("2"))
        .await
        .expect("a value is written");
    assert_value(&storage, "b", "k", Some("1")).await;
    assert_value(&storage, "a", "k", Some(&largest)).await;
}

async fn never_repeats_a_version(storage: Storage) {
    let mut seen = BTreeSet::new();
    for round in 0..5 {
        for key in ["k", "l"] {
            let version = storage
                .set("a", key, json("1"))
                .await
                .expect("a value is written");
            assert!(version > 0, "versions start at 1");
            assert!(
                Some(&version) > seen.last(),
                "version {version} is not above those before"
            );
            seen.insert(version);
        }
        let deleted = storage.delete("a", "k").await.expect("a delete answers");
        assert!(deleted, "round {round}: nothing was deleted");
        assert_value(&storage, "a", "k", None).await;
        let deleted = storage.delete("a", "k").await.expect("a delete answers");
        assert!(!deleted, "round {round}: a record was deleted twice");
    }
}

async fn meets_expectations(storage: Storage) {
    let put = |expect| storage.compare_and_set("a", "k", expect, json("1"));
    let delete = |expect| storage.compare_and_delete("a", "k", expect);
    assert_conflict(put(Expect::Version(1)).await, Expect::Version(1), None);
    assert_conflict(delete(Expect::Version(1)).await, Expect::Version(1), None);
    assert!(
        !delete(Expect::Absent).await.expect("is absent"),
        "nothing was there"
    );

    assert!(
        !delete(Expect::Version(0)).await.expect("is absent"),
        "a deletion of nothing deletes something"
    );
    let zero = put(Expect::Version(0)).await.expect("is absent");
    assert_conflict(
        put(Expect::Version(0)).await,
        Expect::Version(0),
        Some(zero),
    );
    assert!(delete(Expect::Version(zero)).await.expect("is there"));
    let first = put(Expect::Absent).await.expect("is absent");
    assert_conflict(put(Expect::Absent).await, Expect::Absent, Some(first));
    let second = put(Expect::Version(first)).await.expect("has the version");
    for stale in [first, 0, u64::MAX] {
        assert_conflict(
            put(Expect::Version(stale)).await,
            Expect::Version(stale),
            Some(second),
        );
        assert_conflict(
            delete(Expect::Version(stale)).await,
            Expect::Version(stale),
            Some(second),
        );
    }
    assert_conflict(delete(Expect::Absent).await, Expect::Absent, Some(second));
    assert!(
        delete(Expect::Version(second))
            .await
            .expect("has the version"),
        "it was there"
    );
    put(Expect::Any).await.expect("anything goes");
}

fn assert_conflict<T>(result: Result<T, StorageError>, expect: Expect, there: Option<u64>) {
    match result {
        Err(StorageError::Conflict(Conflict {
            namespace,
            key,
            expected,
            found,
            ..
        })) => {
            assert_eq!(
                (&*namespace, &*key),
                ("a", "k"),
                "a conflict names the wrong record"
            );
            assert_eq!(
                (expected, found),
                (expect, there),
                "a conflict tells the wrong versions"
            );
        }
        Err(other) => panic!("expected a conflict, found `{other}`"),
        Ok(_) => panic!("a write that expected {expect} was done over {there:?}"),
    }
}

async fn applies_batches_whole(storage: Storage) {
    let old = storage
        .set("a", "old", json("1"))
        .await
        .expect("a value is written");
    let failing = batch(|batch| {
        batch.put("a", "new", Expect::Any, json("2"))?;
        batch.put("a", "old", Expect::Any, json("2"))?;
        batch.delete("a", "old", Expect::Any)?;
        batch.put("b", "new", Expect::Absent, json("2"))?;
        batch.put("a", "k", Expect::Version(7), json("2")).map(drop)
    });
    assert_conflict(storage.apply(failing).await, Expect::Version(7), None);
    assert_value(&storage, "a", "new", None).await;
    assert_value(&storage, "b", "new", None).await;
    let record = storage
        .get("a", "old")
        .await
        .expect("a read answers")
        .expect("a record");
    assert_eq!(
        (&record.value[..], record.version),
        (&b"1"[..], old),
        "a failed batch wrote"
    );

    let outcomes = storage
        .apply(Batch::new())
        .await
        .expect("an empty batch changes nothing");
    assert_eq!(outcomes, [], "an empty batch has outcomes");
}

async fn a_batch_sees_its_own_writes(storage: Storage) {
    let writes = batch(|batch| {
        batch.delete("a", "k", Expect::Any)?;
        batch.put("a", "k", Expect::Absent, json("1"))?;
        batch.delete("a", "k", Expect::Any)?;
        batch.put("a", "k", Expect::Absent, json("2"))?;
        batch.put("b", "k", Expect::Absent, json("3")).map(drop)
    });
    let outcomes = storage.apply(writes).await.expect("the batch fits itself");
    assert_eq!(outcomes.len(), 5, "a batch has one outcome for each write");
    assert_eq!(outcomes[0], Outcome::Absent, "nothing was there to delete");
    let versions: Vec<_> = outcomes.iter().filter_map(Outcome::version).collect();
    assert_eq!(versions.len(), 4, "four writes changed something");
    assert!(
        versions.is_sorted_by(|a, b| a < b),
        "versions {versions:?} do not grow in a batch"
    );
    assert!(
        matches!(outcomes[2], Outcome::Deleted { .. }),
        "the third write deletes"
    );
    assert_value(&storage, "a", "k", Some("2")).await;
    assert_value(&storage, "b", "k", Some("3")).await;
}
