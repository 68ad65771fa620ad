//! What namespaces hold: exact at any moment, in the order of their names.

use super::super::{Expect, Storage, Usage};
use super::{Checks, batch, checks, json};

pub(super) const CHECKS: Checks = checks![
    usage_counts_keys_and_values,
    a_refused_batch_uses_nothing,
    usage_lists_what_holds_anything,
];

/// Compares the usage with namespaces, records and bytes.
pub(super) async fn assert_usage(storage: &Storage, expect: &[(&str, u64, u64)]) {
    let found = storage.usage().await.expect("the usage is told");
    let found: Vec<_> = found
        .iter()
        .map(|(namespace, Usage { records, bytes })| (&**namespace, *records, *bytes))
        .collect();
    assert_eq!(found, expect, "the usage: namespaces, records, bytes");
}

async fn usage_counts_keys_and_values(storage: Storage) {
    assert_usage(&storage, &[]).await;
    let set = async |key, value| {
        storage
            .set("a", key, json(value))
            .await
            .expect("is written")
    };
    set("k", "1").await;
    assert_usage(&storage, &[("a", 1, 2)]).await;
    set("k", "[1, 2]").await;
    assert_usage(&storage, &[("a", 1, 7)]).await;
    set("ж", "\"é\"").await;
    assert_usage(&storage, &[("a", 2, 13)]).await;
    set("k", "1").await;
    assert_usage(&storage, &[("a", 2, 8)]).await;
    storage
        .delete("a", "nothing")
        .await
        .expect("a delete answers");
    assert_usage(&storage, &[("a", 2, 8)]).await;
    storage.delete("a", "ж").await.expect("a delete answers");
    assert_usage(&storage, &[("a", 1, 2)]).await;
    let append = batch(|batch| {
        batch.append("a", "l", json("10"))?;
        batch.put("a", "k", Expect::Any, json("100"))?;
        batch.put("a", "k", Expect::Any, json("1000"))?;
        batch.put("b", "k", Expect::Any, json("1"))?;
        batch.delete("b", "k", Expect::Any)?;
        batch.delete("a", "nothing", Expect::Any).map(drop)
    });
    storage.apply(append).await.expect("the batch is written");
    assert_usage(&storage, &[("a", 2, 5 + 23)]).await;
}

async fn a_refused_batch_uses_nothing(storage: Storage) {
    storage
        .set("a", "k", json("1"))
        .await
        .expect("a value is written");
    let refused = batch(|batch| {
        batch.put("a", "l", Expect::Any, json("1"))?;
        batch.put("b", "l", Expect::Any, json("1"))?;
        batch.delete("a", "k", Expect::Any)?;
        batch.put("a", "k", Expect::Version(1), json("2")).map(drop)
    });
    storage.apply(refused).await.expect_err("is in conflict");
    assert_usage(&storage, &[("a", 1, 2)]).await;
}

async fn usage_lists_what_holds_anything(storage: Storage) {
    for namespace in ["b", "a.b", "a", "A", "a-b", "gone"] {
        storage
            .set(namespace, "k", json("1"))
            .await
            .expect("a value is written");
    }
    let before = storage.usage().await.expect("the usage is told");
    assert_eq!(before.len(), 6, "namespaces that hold anything");
    storage.delete("gone", "k").await.expect("a delete answers");
    let expect = ["A", "a", "a-b", "a.b", "b"].map(|namespace| (namespace, 1, 2));
    assert_usage(&storage, &expect).await;
}
