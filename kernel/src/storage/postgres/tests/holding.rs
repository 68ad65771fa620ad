//! Calls that were polled once and then kept, as by a plugin that does something else: they hold nothing that others
//! need.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use octa_test_servers::{Proxy, postgres};

use super::super::super::{Query, Storage, StorageError};
use super::super::PostgresConfig;
use super::{RUNTIME, connect, impatient, json, set, storage, until, value};

/// More than may wait for the writer and are written at once.
const MANY: usize = 3_000;

type Kept<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Polls it once, which is not enough for it.
async fn begun<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Kept<'a, T> {
    let mut future: Kept<'_, T> = Box::pin(future);
    let is_ready = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_ready())).await;
    assert!(!is_ready, "it did not have to wait");
    future
}

#[test]
fn reads_that_are_kept_keep_no_reader() {
    let Some(server) = postgres() else { return };
    let database = server.database("readers");
    let mut config = PostgresConfig::new(database.url());
    config.readers = 2;
    RUNTIME.block_on(async {
        let storage = storage(config).await;
        set(&storage, "k", "1").await;
        let mut kept = Vec::new();
        for _ in 0..4 {
            kept.push(begun(value(&storage, "k")).await);
        }
        let page = begun(storage.list(Query::new("a", "").expect("a valid query"))).await;
        let usage = begun(storage.usage()).await;
        assert_eq!(value(&storage, "k").await.as_deref(), Some("1"));
        for read in kept {
            assert_eq!(read.await.as_deref(), Some("1"));
        }
        assert_eq!(page.await.expect("a page").entries.len(), 1);
        assert_eq!(usage.await.expect("the usage is told").len(), 1);
    });
}

#[test]
fn a_read_that_is_dropped_ends() {
    let Some(server) = postgres() else { return };
    let database = server.database("dropped");
    let mut config = PostgresConfig::new(database.url());
    config.readers = 1;
    config.statement_timeout = Duration::from_secs(600);
    config.patience = Duration::from_secs(600);
    RUNTIME.block_on(async {
        let storage = storage(config).await;
        let is_waiting = |count: usize| {
            let shown = format!("{:?}", storage.adapter());
            shown.contains(&format!("waiting: {count} "))
        };
        let mut other = connect(&database).await;
        let held = other.transaction().await.expect("begins");
        let lock = "LOCK TABLE octa.records IN ACCESS EXCLUSIVE MODE";
        held.batch_execute(lock).await.expect("the lock is taken");
        let mut kept = Vec::new();
        for _ in 0..5 {
            kept.push(begun(value(&storage, "k")).await);
        }
        until(|| is_waiting(4)).await;
        drop(kept.split_off(1));
        until(|| is_waiting(0)).await;
        held.rollback().await.expect("ends");
        assert_eq!(kept.remove(0).await, None);
    });
}

async fn begin_writes(storage: &Storage) -> Vec<Kept<'_, Result<u64, StorageError>>> {
    let mut kept = Vec::new();
    for at in 0..MANY {
        let write = async move { storage.set("a", &at.to_string(), json("1")).await };
        kept.push(begun(write).await);
    }
    kept
}

#[test]
fn writes_that_are_kept_keep_no_place_in_the_queue() {
    let Some(server) = postgres() else { return };
    let database = server.database("places");
    RUNTIME.block_on(async {
        let storage = storage(PostgresConfig::new(database.url())).await;
        let mut other = connect(&database).await;
        let held = other.transaction().await.expect("begins");
        let lock = "SELECT FROM octa.counter FOR UPDATE";
        held.query(lock, &[]).await.expect("the lock is taken");
        let kept = begin_writes(&storage).await;
        held.rollback().await.expect("ends");
        set(&storage, "after", "1").await;
        drop(kept);
    });
}

#[test]
fn closing_does_not_wait_for_writes_that_are_kept() {
    let Some(server) = postgres() else { return };
    let database = server.database("kept");
    let proxy = Proxy::start(server.port());
    RUNTIME.block_on(async {
        let storage = impatient(database.url_through(&proxy)).await;
        set(&storage, "k", "1").await;
        proxy.hold();
        proxy.cut();
        let kept = begin_writes(&storage).await;
        storage.close().await.expect("closes");
        for write in kept {
            write.await.expect_err("there is no server");
        }
    });
}
