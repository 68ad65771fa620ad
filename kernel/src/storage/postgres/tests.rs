//! The adapter on a real server, which all tests share that do not kill it.

mod encryption;
mod loss;
mod opening;
mod proxy;
mod sharing;
mod waiting;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use octa_plugin_api::Payload;
use octa_test_servers::{Database, postgres};
use tokio::runtime::{Builder, Runtime};

use super::super::{Storage, conformance};
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
