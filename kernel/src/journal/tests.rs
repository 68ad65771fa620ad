//! The journal in memory: what it answers, what it tells, and what it keeps.

mod course;
mod faulty;
mod full;
mod gathering;
mod neighbours;
mod outbox;
mod reading;
mod room;
mod salvaged;
mod stop;
mod trimming;

use std::sync::Arc;

use octa_plugin_api::Payload;
use serde_json::{Value, json};
use tokio::runtime::{Handle, Runtime};

use super::*;
use crate::{
    bus::{Subscription, SubscriptionOptions},
    reload::nanos,
    storage::{Memory, StorageAdapter},
    time::VirtualClock,
};

/// A kernel's journals, and what is heard of them.
struct Bench {
    journals: Journals,
    clock: VirtualClock,
    bus: Bus,
    heard: Subscription,
}

impl Bench {
    /// On a storage that others may have used before.
    fn on(adapter: Arc<dyn StorageAdapter>, neighbours: Neighbours) -> Self {
        let clock = VirtualClock::default();
        let wall = clock.clone();
        let bus = Bus::new(Arc::new(move || nanos(wall.wall())));
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let storage = Storage::of(adapter);
        let journals = Journals::new(&storage, &bus, &shared, &Handle::current(), neighbours);
        let options = SubscriptionOptions::new("listener", "**".parse().expect("a pattern"));
        Self {
            heard: bus.subscribe(options.capacity(1 << 16)),
            journals,
            clock,
            bus,
        }
    }

    fn new() -> Self {
        Self::on(Arc::new(Memory::new()), Neighbours::None)
    }

    fn journal(&self) -> Journal {
        let journal = self.journals.journal("meters", "readings", "lamps");
        journal.expect("valid names")
    }

    /// Lets events out.
    fn open(&self) {
        tokio::spawn(self.journals.run());
        self.journals.open();
    }

    /// What the next event tells.
    async fn hear(&mut self) -> Value {
        let event = self.heard.recv().await.expect("the bus is open");
        serde_json::from_slice(&event.payload).expect("JSON")
    }

    /// What is heard until the outbox has ended: keys and positions.
    async fn rest(&mut self) -> Vec<(String, u64)> {
        self.journals.close().await;
        let events = std::iter::from_fn(|| self.heard.try_recv());
        let told = events.map(|event| {
            let told: Value = serde_json::from_slice(&event.payload).expect("JSON");
            let key = told["key"].as_str().expect("a key").to_owned();
            (key, told["position"].as_u64().expect("a position"))
        });
        told.collect()
    }
}

fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime")
}

fn run(test: impl Future<Output = ()>) {
    runtime().block_on(test);
}

fn payload(value: &Value) -> Payload {
    Payload::json(value).expect("JSON")
}

fn value(fact: &Fact) -> Value {
    serde_json::from_slice(&fact.value).expect("JSON")
}

/// An error and all its causes, and the hint.
fn told(error: &JournalError) -> String {
    let mut told = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        told += &format!(": {cause}");
        source = cause.source();
    }
    match error.hint() {
        Some(hint) => format!("{told} (hint: {hint})"),
        None => told,
    }
}

#[test]
fn the_first_fact_of_a_key_stays() {
    run(async {
        let journal = Bench::new().journal();
        let record = async |fact: Value| {
            let recorded = journal.record("k", payload(&fact), None).await;
            let recorded = recorded.expect("it is recorded");
            (recorded.position, recorded.novelty)
        };
        let (first, novelty) = record(json!({ "a": 1, "b": 2 })).await;
        assert_eq!(novelty, Novelty::New);
        let again = journal.record("k", &b"{\"b\":2,  \"a\":1}"[..], None).await;
        let again = again.expect("it is recorded");
        assert_eq!((again.position, again.novelty), (first, Novelty::Repeated));
        assert_eq!(record(json!(3)).await, (first, Novelty::Different));
        let found = journal
            .find("k")
            .await
            .expect("it is read")
            .expect("a fact");
        assert_eq!(value(&found), json!({ "a": 1, "b": 2 }));
        assert_eq!((found.position, &*found.source), (first, "lamps"));
        assert_eq!(journal.find("other").await.expect("it is read"), None);
    });
}

#[test]
fn streams_and_namespaces_are_apart() {
    run(async {
        let bench = Bench::new();
        let places = [
            ("meters", "a"),
            ("meters", "a.b"),
            ("meters", "b"),
            ("lamps", "a"),
        ];
        for (namespace, stream) in places {
            let journal = bench.journals.journal(namespace, stream, "lamps");
            let journal = journal.expect("valid names");
            let recorded = journal.record("a/k", payload(&json!(1)), None).await;
            assert_eq!(recorded.expect("it is recorded").novelty, Novelty::New);
            assert_eq!(journal.facts(0, 10).await.expect("read").len(), 1);
        }
    });
}

#[test]
fn what_cannot_be_is_said_by_name() {
    run(async {
        let bench = Bench::new();
        let journal = bench.journal();
        let refused = async |key: &str, fact: &[u8], topic: Option<&str>| {
            let recorded = journal.record(key, fact, topic.map(Notice::from)).await;
            told(&recorded.expect_err("it is refused"))
        };
        let at = "key `k` in stream `readings` of `meters`";
        let cases = [
            (
                refused("", b"1", None).await,
                "idempotency key `` is empty, expected 1 to 256 bytes".to_owned(),
            ),
            (
                refused("a\n", b"1", None).await,
                "idempotency key `a\\n` has the character `\\n` at byte 1".to_owned(),
            ),
            (
                refused("k", b"{", None).await,
                format!(
                    "the fact for {at} is not JSON: EOF while parsing an object at line 1 column 1 \
                     (hint: a text is a JSON string only in double quotes)"
                ),
            ),
            (
                refused("k", &vec![b' '; MAX_FACT_BYTES + 1], None).await,
                format!(
                    "the fact for {at} has 1044481 bytes, expected 1 to 1044480 \
                     (hint: keep what is large in the storage, and its key in the fact)"
                ),
            ),
        ];
        for (found, expect) in cases {
            assert_eq!(found, expect);
        }
        let topic = refused("k", b"1", Some("a..b")).await;
        assert!(
            topic.starts_with("topic `a..b` has an empty segment"),
            "{topic}"
        );
        let stream = bench
            .journals
            .journal("meters", "a/b", "lamps")
            .expect_err("a slash");
        assert_eq!(
            told(&stream),
            "stream `a/b` has the character `/` at byte 1"
        );
        let namespace = bench
            .journals
            .journal("a b", "c", "lamps")
            .expect_err("a blank");
        assert!(
            told(&namespace).starts_with("namespace `a b`"),
            "{namespace}"
        );
        assert_eq!(journal.find("k").await.expect("it is read"), None);
    });
}

#[test]
fn the_largest_fact_fits_with_the_longest_names() {
    run(async {
        let bench = Bench::new();
        let (namespace, stream) = ("n".repeat(200), "\"".repeat(MAX_NAME_BYTES));
        let journal = bench.journals.journal(&namespace, &stream, &"s".repeat(64));
        let journal = journal.expect("valid names");
        let (key, topic) = ("\\".repeat(MAX_KEY_BYTES), "t".repeat(255));
        let fact = format!("\"{}\"", "x".repeat(MAX_FACT_BYTES - 2));
        let recorded = journal
            .record(&key, fact.as_bytes(), Some((&*topic).into()))
            .await;
        assert_eq!(recorded.expect("it is recorded").novelty, Novelty::New);
    });
}

#[test]
fn a_spent_quota_is_said_with_the_key() {
    run(async {
        let mut bench = Bench::new();
        let storage = bench.journals.0.storage.clone();
        let quotas = crate::storage::Quotas {
            each: Some(crate::storage::Quota { bytes: 200 }),
            ..crate::storage::Quotas::default()
        };
        let clock: Arc<dyn Clock> = Arc::new(bench.clock.clone());
        let storage = storage.with_quotas(quotas);
        let runtime = Handle::current();
        bench.journals = Journals::new(&storage, &bench.bus, &clock, &runtime, Neighbours::None);
        bench.open();
        let fact = payload(&json!("x".repeat(300)));
        let refused = bench
            .journal()
            .record("k", fact, Some("meters.read".into()))
            .await;
        let refused = told(&refused.expect_err("it is too much"));
        let expect = "cannot record key `k` in stream `readings` of `meters`: \
                      `kernel.journal.meters/";
        assert!(
            refused.starts_with(expect) && refused.contains("its quota is 200"),
            "{refused}"
        );
        assert_eq!(bench.rest().await, [], "nothing is told of it");
    });
}
