//! The adapter on a real server, which all tests share that do not kill it.

mod claiming;
mod encryption;
mod holding;
mod loss;
mod opening;
mod reading;
mod settling;
mod sharing;
mod waiting;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use octa_plugin_api::Payload;
use octa_test_servers::{Database, postgres};
use tokio::runtime::{Builder, Runtime};

use super::super::{Storage, StorageError, Trouble, conformance};
use super::{Postgres, PostgresConfig};

/// What adapters live in that are made outside of a runtime.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build();
    runtime.expect("a runtime starts")
});

/// An adapter on a schema; on a new one, if the name is new.
fn open(url: &str, schema: &str) -> Postgres {
    let config = PostgresConfig::new(url).schema(schema);
    let opened = RUNTIME.block_on(Postgres::open(config));
    opened.expect("the database is opened")
}

/// The name of a schema that no one has.
fn new_schema() -> String {
    static SCHEMAS: AtomicU32 = AtomicU32::new(0);
    format!("octa {}", SCHEMAS.fetch_add(1, Relaxed))
}

fn json(text: &str) -> Payload {
    Payload::from(text.as_bytes())
}

async fn set(storage: &Storage, key: &str, value: &str) -> u64 {
    let written = storage.set("a", key, json(value)).await;
    written.expect("a value is written")
}

async fn value(storage: &Storage, key: &str) -> Option<String> {
    let found = storage.get("a", key).await.expect("a read answers");
    found.map(|record| String::from_utf8_lossy(&record.value).into_owned())
}

/// An adapter that waits for nothing long.
async fn impatient(url: String) -> Storage {
    let mut config = PostgresConfig::new(url);
    config.statement_timeout = Duration::from_millis(200);
    config.connect_timeout = Duration::from_millis(300);
    config.patience = Duration::from_millis(1_500);
    storage(config).await
}

async fn storage(config: PostgresConfig) -> Storage {
    let opened = Postgres::open(config).await;
    Storage::new(opened.expect("the database is opened"))
}

#[track_caller]
fn assert_trouble<T: std::fmt::Debug>(answer: Result<T, StorageError>, expect: Trouble) {
    match answer {
        Err(StorageError::Unavailable { trouble, .. }) if trouble == expect => {}
        other => panic!("expected {expect:?}, found {other:?}"),
    }
}

/// Without a restart of ours; what was refused meanwhile may have been refused a little longer.
async fn goes_on(storage: &Storage) {
    while storage.set("a", "after", json("1")).await.is_err() {}
    assert_eq!(value(storage, "after").await.as_deref(), Some("1"));
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

/// A connection of somebody else.
async fn connect(database: &Database<'_>) -> tokio_postgres::Client {
    let connected = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("connects");
    tokio::spawn(connection);
    client
}

#[test]
fn conforms() {
    let Some(server) = postgres() else { return };
    let database = server.database("conforms");
    conformance::run(|| open(&database.url(), &new_schema()));
}

#[test]
fn conforms_over_reopenings() {
    let Some(server) = postgres() else { return };
    let database = server.database("durable");
    conformance::run_durable(|| open(&database.socket_url(), "octa"));
}

#[test]
fn is_like_the_model() {
    let Some(server) = postgres() else { return };
    let database = server.database("model");
    conformance::run_model(|| open(&database.url(), &new_schema()), 7, 200);
    let place = || {
        let schema = new_schema();
        let database: &Database<'_> = &database;
        move || open(&database.url(), &schema)
    };
    conformance::run_model_durable(place, 8, 100);
}
