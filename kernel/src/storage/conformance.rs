//! What every storage adapter must do, as a suite that any test can call.
//!
//! A broken promise panics and says which; nothing else is needed of a test harness.

mod listing;
mod together;
mod writing;

use octa_plugin_api::Payload;
use tokio::runtime::{Builder, Runtime};

use super::{Batch, BoxFuture, Query, Storage, StorageAdapter};

type Check = fn(Storage) -> BoxFuture<'static, ()>;

/// Runs the whole suite; `make` gives an empty adapter each time.
///
/// # Panics
///
/// When the adapter breaks the contract, or if called from within a tokio runtime.
pub fn run<A: StorageAdapter>(mut make: impl FnMut() -> A) {
    let runtime = runtime();
    let checks: [&[Check]; 3] = [writing::CHECKS, listing::CHECKS, together::CHECKS];
    for check in checks.into_iter().flatten() {
        runtime.block_on(check(Storage::new(make())));
    }
}

/// Checks what must outlive the process; `open` opens the same database each time, at first an empty one.
///
/// # Panics
///
/// When something acknowledged is gone, or if called from within a tokio runtime.
pub fn run_durable<A: StorageAdapter>(mut open: impl FnMut() -> A) {
    let runtime = runtime();
    let last = runtime.block_on(async {
        let storage = Storage::new(open());
        let last = together::write_all_at_once(&storage).await;
        storage
            .set("gone", "k", json("1"))
            .await
            .expect("a value is written");
        storage
            .delete("gone", "k")
            .await
            .expect("a value is deleted");
        last
    });
    let storage = Storage::new(open());
    runtime.block_on(async {
        together::find_all(&storage).await;
        let version = storage
            .set("gone", "k", json("2"))
            .await
            .expect("a value is written");
        assert!(
            version > last + 2,
            "version {version} was given before the reopening"
        );
        storage.close().await.expect("closes");
    });
    drop(storage);
    let storage = Storage::new(open());
    runtime.block_on(async {
        together::find_all(&storage).await;
        assert_value(&storage, "gone", "k", Some("2")).await;
    });
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime starts")
}

fn json(text: &str) -> Payload {
    Payload::from(text.as_bytes())
}

/// Makes a batch; what it is given is valid.
fn batch(fill: impl FnOnce(&mut Batch) -> Result<(), super::Invalid>) -> Batch {
    let mut batch = Batch::new();
    fill(&mut batch).expect("a valid batch");
    batch
}

async fn assert_value(storage: &Storage, namespace: &str, key: &str, expect: Option<&str>) {
    let found = storage.get(namespace, key).await.expect("a read answers");
    let found = found.map(|record| String::from_utf8_lossy(&record.value).into_owned());
    assert_eq!(found.as_deref(), expect, "the value of `{namespace}/{key}`");
}

/// All keys with a prefix, read in pages of `limit`.
async fn keys(storage: &Storage, namespace: &str, prefix: &str, limit: usize) -> Vec<String> {
    let mut keys = Vec::new();
    let mut after = None;
    loop {
        let query = Query::new(namespace, prefix).expect("a valid query");
        let query = query
            .after(after.as_deref())
            .and_then(|query| query.limit(limit));
        let page = storage
            .list(query.expect("a valid query"))
            .await
            .expect("a page");
        assert!(
            page.entries.len() <= limit,
            "a page is longer than its limit {limit}"
        );
        keys.extend(page.entries.iter().map(|entry| entry.key.to_string()));
        assert!(
            page.next.is_none() || page.next > after,
            "the next page starts no further on"
        );
        after = page.next;
        if after.is_none() {
            return keys;
        }
    }
}
