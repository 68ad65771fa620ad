//! Pages: order, prefixes, limits, and what they show while others write.

use super::super::{
    Expect, MAX_BATCH_WRITES, MAX_KEY_BYTES, MAX_VALUE_BYTES, PAGE_BYTES, Query, Storage,
};
use super::pages::keys;
use super::{Checks, batch, checks, json};

pub(super) const CHECKS: Checks = checks![
    orders_keys_by_their_bytes,
    starts_behind_a_key,
    pages_are_stable_under_writes,
    pages_of_large_values_end_early,
];

/// Wildcards of SQL and globs, quotes, case, composed and decomposed letters, the ends of Unicode's ranges.
const KEYS: [&str; 22] = [
    " ",
    "%",
    "%a",
    "*",
    "A",
    "_",
    "_a",
    "a",
    "a%",
    "a'",
    "a_",
    "aa",
    "b",
    "e\u{301}",
    "\u{e9}",
    "ж",
    "\u{d7ff}",
    "\u{e000}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10FFFF}",
    "\u{10FFFF}\u{10FFFF}",
];

async fn orders_keys_by_their_bytes(storage: Storage) {
    let longest = "\u{10FFFF}".repeat(MAX_KEY_BYTES / 4);
    let mut all = KEYS.map(str::to_owned).to_vec();
    all.push(longest);
    for key in all.iter().rev() {
        storage
            .set("a", key, json("1"))
            .await
            .expect("a value is written");
    }
    storage
        .set("A", "a", json("1"))
        .await
        .expect("a value is written");
    storage
        .set("aa", "a", json("1"))
        .await
        .expect("a value is written");

    all.sort_unstable();
    let prefixes = all
        .iter()
        .map(String::as_str)
        .chain(["", "z", "\u{10FFFE}"]);
    for prefix in prefixes {
        let expect: Vec<_> = all
            .iter()
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect();
        for limit in [1, 2, 3, all.len()] {
            let found = keys(&storage, "a", prefix, limit).await;
            assert_eq!(
                found, expect,
                "keys with prefix `{prefix}` in pages of {limit}"
            );
        }
    }
    assert_eq!(
        keys(&storage, "nobody", "", 10).await,
        [""; 0],
        "an unknown namespace is empty"
    );
}

async fn starts_behind_a_key(storage: Storage) {
    for key in ["p1", "p2", "p3", "q"] {
        storage
            .set("a", key, json("1"))
            .await
            .expect("a value is written");
    }
    let cases: [(&str, &[&str], bool); 6] = [
        ("a", &["p1", "p2"], true),
        ("p1", &["p2", "p3"], false),
        ("p2", &["p3"], false),
        ("p2z", &["p3"], false),
        ("p3", &[], false),
        ("q", &[], false),
    ];
    for (after, expect, more) in cases {
        let query = Query::new("a", "p").and_then(|query| query.after(Some(after))?.limit(2));
        let page = storage
            .list(query.expect("a valid query"))
            .await
            .expect("a page");
        let found: Vec<_> = page.entries.iter().map(|entry| &*entry.key).collect();
        assert_eq!(found, expect, "the page after `{after}`");
        assert_eq!(
            page.next.as_deref(),
            expect.last().copied().filter(|_| more),
            "what is next"
        );
    }
}

async fn pages_are_stable_under_writes(storage: Storage) {
    let steady: Vec<_> = (0..MAX_BATCH_WRITES).map(|i| format!("{i:04}")).collect();
    let fill = batch(|batch| {
        steady
            .iter()
            .try_for_each(|key| batch.put("a", key, Expect::Any, json("0")).map(drop))
    });
    storage.apply(fill).await.expect("the batch is written");

    let writer = storage.clone();
    let writing = tokio::spawn(async move {
        for i in 0..200 {
            let key = format!("{:04}", (i * 37) % MAX_BATCH_WRITES);
            let between = format!("{key}-new");
            let change = batch(|batch| {
                batch.put("a", &key, Expect::Any, json("1"))?;
                batch.put("a", &between, Expect::Any, json("1")).map(drop)
            });
            writer.apply(change).await.expect("the batch is written");
            writer
                .delete("a", &between)
                .await
                .expect("a delete answers");
        }
    });
    let mut last = false;
    while !last {
        last = writing.is_finished();
        let mut found = keys(&storage, "a", "", 7).await;
        assert!(
            found.is_sorted_by(|a, b| a < b),
            "a key came twice or out of order"
        );
        found.retain(|key| !key.ends_with("-new"));
        assert_eq!(
            found, steady,
            "a key that was there all the while was left out"
        );
    }
    writing.await.expect("the writer ends well");
}

async fn pages_of_large_values_end_early(storage: Storage) {
    let value = json(&format!("\"{}\"", "x".repeat(MAX_VALUE_BYTES / 2)));
    for key in ["1", "2", "3", "4", "5"] {
        storage
            .set("a", key, value.clone())
            .await
            .expect("a value is written");
    }
    let page = storage
        .list(Query::new("a", "").expect("a valid query"))
        .await
        .expect("a page");
    let bytes: usize = page
        .entries
        .iter()
        .map(|entry| entry.record.value.len())
        .sum();
    assert!(
        bytes <= PAGE_BYTES + MAX_VALUE_BYTES,
        "a page has {bytes} bytes"
    );
    assert!(
        page.next.is_some(),
        "a page that ended early says that there is more"
    );
    assert_eq!(
        keys(&storage, "a", "", 100).await,
        ["1", "2", "3", "4", "5"]
    );
}
