//! Names, values, batches and pages at their edges.

use super::super::{
    Expect, MAX_BATCH_BYTES, MAX_BATCH_WRITES, MAX_KEY_BYTES, MAX_PAGE_ENTRIES, MAX_VALUE_BYTES,
    Outcome, Storage,
};
use super::pages::{entries, keys};
use super::{Checks, assert_value, batch, checks, json};

pub(super) const CHECKS: Checks = checks![
    the_longest_names_are_kept_apart,
    odd_names_are_kept_apart,
    the_largest_batch_is_taken,
    the_heaviest_batch_is_taken,
    the_largest_page_is_read,
];

const LONGEST_NAMESPACE: usize = 255;

async fn the_longest_names_are_kept_apart(storage: Storage) {
    let names = ["x", "y"].map(|end| format!("{}{end}", "n".repeat(LONGEST_NAMESPACE - 1)));
    let longest = ["k", "l", "\u{7e}"].map(|end| format!("{}{end}", "k".repeat(MAX_KEY_BYTES - 1)));
    let wide = "\u{10FFFF}".repeat(MAX_KEY_BYTES / 4);
    let all_keys: Vec<_> = longest.iter().chain([&wide]).collect();
    for (i, namespace) in names.iter().enumerate() {
        for (j, key) in all_keys.iter().enumerate() {
            let value = json(&format!("[{i},{j}]"));
            storage
                .set(namespace, key, value)
                .await
                .expect("a value is written");
        }
    }
    for (i, namespace) in names.iter().enumerate() {
        for (j, key) in all_keys.iter().enumerate() {
            assert_value(&storage, namespace, key, Some(&format!("[{i},{j}]"))).await;
        }
        assert_eq!(
            keys(&storage, namespace, "", 1).await,
            longest
                .clone()
                .into_iter()
                .chain([wide.clone()])
                .collect::<Vec<_>>()
        );
        assert_eq!(keys(&storage, namespace, &wide, 1).await, [wide.as_str()]);
    }
}

/// What one database or another takes for the same: case, composition, trailing spaces, wildcards, separators.
async fn odd_names_are_kept_apart(storage: Storage) {
    let odd = [
        " ",
        "  ",
        "a",
        "a ",
        " a",
        "A",
        "á",
        "a\u{301}",
        "a/b",
        "a/",
        "/a",
        "a\\",
        "a'",
        "a\"",
        "a%",
        "a_",
        "a*",
        "a?",
        "NULL",
        "null",
        "0",
        "00",
        "1e0",
        "1",
        "\u{a0}",
        "\u{200b}",
        "\u{feff}a",
        "ß",
        "ss",
        "ﬀ",
        "İ",
        "i",
        "ı",
        "\u{fffd}",
        "\u{e000}",
        "\u{10000}",
        "🦑",
        "\u{202e}a",
    ];
    for key in odd {
        let value = serde_json::to_string(key).expect("text is JSON");
        storage
            .set("a", key, json(&value))
            .await
            .expect("a value is written");
    }
    for key in odd {
        let value = serde_json::to_string(key).expect("text is JSON");
        assert_value(&storage, "a", key, Some(&value)).await;
    }
    let mut expect = odd.to_vec();
    expect.sort_unstable();
    assert_eq!(
        keys(&storage, "a", "", 5).await,
        expect,
        "keys in the order of their bytes"
    );
    for name in ["A", "a.b", "a-b", "a_b", "0", "-", "_"] {
        storage
            .set(name, "k", json(&format!("\"{name}\"")))
            .await
            .expect("a value is written");
    }
    for name in ["A", "a.b", "a-b", "a_b", "0", "-", "_"] {
        assert_eq!(
            keys(&storage, name, "", 5).await,
            ["k"],
            "the keys of `{name}`"
        );
    }
}

async fn the_largest_batch_is_taken(storage: Storage) {
    let fill = batch(|batch| {
        (0..MAX_BATCH_WRITES).try_for_each(|i| match i % 3 {
            0 => batch.append("a", "log/", json("1")).map(drop),
            1 => batch
                .put("a", &format!("{}", i % 100), Expect::Any, json("2"))
                .map(drop),
            _ => batch
                .delete("a", &format!("{}", (i - 1) % 100), Expect::Any)
                .map(drop),
        })
    });
    let outcomes = storage.apply(fill).await.expect("the batch is written");
    let versions: Vec<_> = outcomes.iter().filter_map(Outcome::version).collect();
    assert_eq!(
        versions.len(),
        MAX_BATCH_WRITES,
        "every write changes something"
    );
    assert!(
        versions.is_sorted_by(|a, b| a + 1 == *b),
        "versions have gaps: {versions:?}"
    );
    let found = keys(&storage, "a", "", MAX_PAGE_ENTRIES).await;
    assert_eq!(
        found.len(),
        MAX_BATCH_WRITES.div_ceil(3),
        "the records left"
    );
}

async fn the_heaviest_batch_is_taken(storage: Storage) {
    // Namespace and key are counted too: three bytes each.
    let count = MAX_BATCH_BYTES / MAX_VALUE_BYTES;
    let value = json(&format!("\"{}\"", "x".repeat(MAX_VALUE_BYTES - 5)));
    let heavy = batch(|batch| {
        (0..count).try_for_each(|i| {
            batch
                .put("a", &format!("{i:02}"), Expect::Any, value.clone())
                .map(drop)
        })
    });
    storage.apply(heavy).await.expect("the batch is written");
    let found = entries(&storage, "a", "", MAX_PAGE_ENTRIES).await;
    assert_eq!(found.len(), count, "the records of a heavy batch");
    assert!(
        found.iter().all(|entry| entry.record.value == value),
        "a value came back changed"
    );
}

async fn the_largest_page_is_read(storage: Storage) {
    let all: Vec<_> = (0..2 * MAX_BATCH_WRITES)
        .map(|i| format!("{i:05}"))
        .collect();
    for some in all.chunks(MAX_BATCH_WRITES) {
        let fill = batch(|batch| {
            let mut keys = some.iter();
            keys.try_for_each(|key| batch.put("a", key, Expect::Any, json("1")).map(drop))
        });
        storage.apply(fill).await.expect("the batch is written");
    }
    for limit in [MAX_PAGE_ENTRIES, MAX_PAGE_ENTRIES - 1] {
        assert_eq!(
            keys(&storage, "a", "", limit).await,
            all,
            "pages of {limit}"
        );
    }
}
