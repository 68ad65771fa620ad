//! Quotas: a batch that lets a namespace grow beyond one is refused whole; any other is not.

use tokio::task::JoinSet;

use super::super::{Batch, Expect, Outcome, Quota, QuotaSpent, Storage, StorageError};
use super::pages::keys;
use super::usage::assert_usage;
use super::{Checks, assert_value, batch, checks, json};

pub(super) const CHECKS: Checks = checks![
    a_quota_is_exact,
    overwriting_counts_the_difference,
    what_was_deleted_can_be_used_again,
    what_does_not_grow_is_not_refused,
    what_a_batch_ends_with_counts,
    namespaces_have_quotas_apart,
    a_batch_over_its_quota_is_refused_whole,
    appended_values_count,
    many_writers_never_exceed_a_quota,
];

/// Writes a value of so many bytes under a quota.
async fn put(
    storage: &Storage,
    key: &str,
    length: usize,
    quota: u64,
) -> Result<Vec<Outcome>, StorageError> {
    let value = json(&"1".repeat(length));
    let put = batch(|batch| batch.put("a", key, Expect::Any, value).map(drop));
    apply(storage, put, quota).await
}

async fn apply(
    storage: &Storage,
    mut batch: Batch,
    bytes: u64,
) -> Result<Vec<Outcome>, StorageError> {
    batch.bound("a", Quota { bytes });
    storage.apply(batch).await
}

#[track_caller]
fn assert_spent<T>(answer: Result<T, StorageError>, on: &str, expect: u64, allowed: u64) {
    match answer {
        Err(StorageError::Quota(QuotaSpent {
            namespace,
            key,
            found,
            quota,
            ..
        })) => {
            assert_eq!(
                (&*namespace, &*key),
                ("a", on),
                "a spent quota names the wrong record"
            );
            assert_eq!(
                (found, quota),
                (expect, allowed),
                "a spent quota tells the wrong bytes"
            );
        }
        Err(other) => panic!("expected a spent quota, found `{other}`"),
        Ok(_) => panic!("a namespace of {expect} bytes was allowed under a quota of {allowed}"),
    }
}

async fn a_quota_is_exact(storage: Storage) {
    assert_spent(put(&storage, "k", 10, 10).await, "k", 11, 10);
    put(&storage, "k", 9, 10).await.expect("fits exactly");
    assert_spent(put(&storage, "l", 1, 11).await, "l", 12, 11);
    put(&storage, "l", 1, 12).await.expect("fits exactly");
    assert_spent(put(&storage, "m", 1, 0).await, "m", 14, 0);
    assert_usage(&storage, &[("a", 2, 12)]).await;
}

async fn overwriting_counts_the_difference(storage: Storage) {
    put(&storage, "k", 9, 10).await.expect("fits exactly");
    put(&storage, "k", 9, 10).await.expect("grows by nothing");
    put(&storage, "k", 5, 10).await.expect("shrinks");
    put(&storage, "l", 3, 10).await.expect("fits exactly");
    assert_spent(put(&storage, "l", 4, 10).await, "l", 11, 10);
    assert_usage(&storage, &[("a", 2, 10)]).await;
}

async fn what_was_deleted_can_be_used_again(storage: Storage) {
    for round in 0..3 {
        let key = format!("{round}");
        put(&storage, &key, 9, 10).await.expect("fits exactly");
        assert_spent(put(&storage, "more", 1, 10).await, "more", 15, 10);
        storage.delete("a", &key).await.expect("a delete answers");
    }
    put(&storage, "k", 9, 10).await.expect("fits exactly");
    let swap = batch(|batch| {
        batch.delete("a", "k", Expect::Any)?;
        batch
            .put("a", "l", Expect::Any, json("123456789"))
            .map(drop)
    });
    apply(&storage, swap, 10)
        .await
        .expect("swaps like for like");
}

async fn what_does_not_grow_is_not_refused(storage: Storage) {
    put(&storage, "k", 99, 100).await.expect("fits exactly");
    put(&storage, "k", 99, 10).await.expect("grows by nothing");
    put(&storage, "k", 50, 10).await.expect("shrinks");
    assert_spent(put(&storage, "k", 51, 10).await, "k", 52, 10);
    let nothing = batch(|batch| batch.delete("a", "nothing", Expect::Any).map(drop));
    apply(&storage, nothing, 10).await.expect("changes nothing");
    apply(&storage, Batch::new(), 10)
        .await
        .expect("an empty batch changes nothing");
    let gone = batch(|batch| batch.delete("a", "k", Expect::Any).map(drop));
    apply(&storage, gone, 10).await.expect("shrinks to nothing");
}

async fn what_a_batch_ends_with_counts(storage: Storage) {
    let passing = batch(|batch| {
        batch.put("a", "k", Expect::Any, json("1234567890"))?;
        batch.put("a", "l", Expect::Any, json("1"))?;
        batch.delete("a", "k", Expect::Any).map(drop)
    });
    apply(&storage, passing, 2)
        .await
        .expect("is within its quota at the end");
    let growing = batch(|batch| {
        batch.delete("a", "l", Expect::Any)?;
        batch.put("a", "m", Expect::Any, json("1"))?;
        batch.put("a", "n", Expect::Any, json("1"))?;
        batch.put("a", "o", Expect::Any, json("1")).map(drop)
    });
    assert_spent(apply(&storage, growing, 4).await, "o", 6, 4);
    assert_eq!(keys(&storage, "a", "", 10).await, ["l"]);
}

async fn namespaces_have_quotas_apart(storage: Storage) {
    storage
        .set("b", "k", json("1234567890"))
        .await
        .expect("is not bounded");
    put(&storage, "k", 9, 10)
        .await
        .expect("is bounded by its own namespace alone");
    let mut both = batch(|batch| {
        batch.put("b", "l", Expect::Any, json("1"))?;
        batch.put("a", "k", Expect::Any, json("1")).map(drop)
    });
    both.bound("b", Quota { bytes: 13 });
    apply(&storage, both, 10).await.expect("both fit");
    assert_usage(&storage, &[("a", 1, 2), ("b", 2, 13)]).await;
}

async fn a_batch_over_its_quota_is_refused_whole(storage: Storage) {
    let first = put(&storage, "k", 1, 2).await.expect("fits exactly");
    let refused = batch(|batch| {
        batch.put("b", "k", Expect::Any, json("1"))?;
        batch.delete("a", "k", Expect::Any)?;
        batch.put("a", "l", Expect::Any, json("12"))?;
        batch.put("b", "l", Expect::Any, json("1")).map(drop)
    });
    assert_spent(apply(&storage, refused, 2).await, "l", 3, 2);
    assert_value(&storage, "a", "k", Some("1")).await;
    assert_usage(&storage, &[("a", 1, 2)]).await;
    let next = put(&storage, "k", 1, 2).await.expect("grows by nothing");
    let version = |outcomes: &[Outcome]| outcomes[0].version().expect("a put takes a version");
    assert_eq!(
        version(&next),
        version(&first) + 1,
        "a refused batch took a version"
    );
}

async fn appended_values_count(storage: Storage) {
    let append = || batch(|batch| batch.append("a", "k", json("1")).map(drop));
    apply(&storage, append(), 22).await.expect("fits exactly");
    match apply(&storage, append(), 43).await {
        Err(StorageError::Quota(spent)) => assert_eq!(spent.found, 44),
        other => panic!("expected a spent quota, found {other:?}"),
    }
    apply(&storage, append(), 44).await.expect("fits exactly");
}

/// Whoever is first gets the room that is left: 20 records of 5 bytes fit in 100.
async fn many_writers_never_exceed_a_quota(storage: Storage) {
    let mut writers = JoinSet::new();
    for writer in 0..32 {
        let storage = storage.clone();
        writers.spawn(async move {
            let mut written = 0;
            for round in 0..4 {
                let key = format!("{writer:02}-{round}");
                match put(&storage, &key, 1, 100).await {
                    Ok(_) => written += 1,
                    Err(StorageError::Quota(spent)) => {
                        assert_eq!(spent.found, 105, "a write that would have fit was refused");
                    }
                    Err(other) => panic!("expected a spent quota, found `{other}`"),
                }
                let usage = storage.usage().await.expect("the usage is told");
                let bytes = usage.iter().map(|(_, usage)| usage.bytes).max();
                assert!(
                    bytes <= Some(100),
                    "the namespace has {bytes:?} bytes of 100"
                );
            }
            written
        });
    }
    let written: u64 = writers.join_all().await.into_iter().sum();
    assert_eq!(written, 20, "records that fit");
    assert_usage(&storage, &[("a", 20, 100)]).await;
}
