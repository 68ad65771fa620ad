//! The journal over an adapter: what it promises rests on batches, versions and changes alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::super::Storage;
use super::{Checks, checks, json};
use crate::bus::{Bus, Subscription, SubscriptionOptions};
use crate::journal::{Journal, Journals, Neighbours, Notice, Novelty, Part};
use crate::time::{Clock, SystemClock};

pub(super) const CHECKS: Checks = checks![
    records_once,
    gathers_once,
    tells_of_every_fact_in_order,
    tells_what_a_consumer_has_not_acknowledged,
    goes_on_where_another_ended,
];

const WRITERS: usize = 32;
const FACTS: usize = 8;
const PARTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// The journals of a kernel on the storage, and what is told on its bus.
struct Bench {
    journals: Journals,
    told: Subscription,
}

impl Bench {
    fn on(storage: &Storage) -> Self {
        let bus = Bus::new(Arc::new(|| 0));
        let runtime = Handle::current();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(runtime.clone()));
        let options = SubscriptionOptions::new("listener", "**".parse().expect("a pattern"));
        let told = bus.subscribe(options.capacity(WRITERS * FACTS));
        let journals = Journals::new(storage, &bus, &clock, &runtime, Neighbours::None);
        Self { journals, told }
    }

    fn journal(&self) -> Journal {
        let journal = self.journals.journal("meters", "readings", "writer");
        journal.expect("valid names")
    }

    /// Lets events out, and hears so many; answers the positions that they tell.
    async fn hear(&mut self, count: usize) -> Vec<u64> {
        tokio::spawn(self.journals.run());
        self.journals.open();
        let mut positions = Vec::new();
        for _ in 0..count {
            let event = self.told.recv().await.expect("the bus is open");
            let told: serde_json::Value = serde_json::from_slice(&event.payload).expect("JSON");
            positions.push(told["position"].as_u64().expect("a position"));
        }
        self.journals.close().await;
        assert!(self.told.try_recv().is_none(), "an event is told twice");
        positions
    }
}

fn notice() -> Option<Notice<'static>> {
    Some(Notice::from("meters.read"))
}

async fn records_once(storage: Storage) {
    let journal = Bench::on(&storage).journal();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let journal = journal.clone();
        writers.spawn(async move {
            let fact = json(&writer.to_string());
            journal
                .record("k", fact, notice())
                .await
                .expect("it is recorded")
        });
    }
    let recorded = writers.join_all().await;
    let positions: BTreeSet<_> = recorded.iter().map(|recorded| recorded.position).collect();
    assert_eq!(positions.len(), 1, "one key has several facts");
    let new = recorded
        .iter()
        .filter(|recorded| recorded.novelty == Novelty::New);
    assert_eq!(new.count(), 1, "several were the first");
    let facts = journal.facts(0, 10).await.expect("facts are read");
    assert_eq!(facts.len(), 1);
    let found = journal.find("k").await.expect("a fact is read");
    assert_eq!(found.as_ref(), facts.first(), "a key finds its fact");
}

async fn gathers_once(storage: Storage) {
    let journal = Bench::on(&storage).journal();
    let mut gatherers = JoinSet::new();
    // Each part comes twice.
    for name in PARTS.into_iter().chain(PARTS) {
        let journal = journal.clone();
        gatherers.spawn(async move {
            let part = Part {
                name,
                value: b"1",
                expected: &PARTS,
            };
            journal
                .gather("k", part, notice())
                .await
                .expect("it is kept")
        });
    }
    let gathered = gatherers.join_all().await;
    let new = gathered.iter().filter(|it| it.novelty == Novelty::New);
    let wholes = new.filter(|it| it.position.is_some()).count();
    assert_eq!(wholes, 1, "the whole is written once");
    let whole = journal
        .find("k")
        .await
        .expect("a fact is read")
        .expect("it is whole");
    let expect = br#"{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1}"#;
    assert_eq!(&*whole.value, expect);
    let unfinished = journal.unfinished(None, 10).await.expect("it is listed");
    assert_eq!(unfinished, [], "parts stay beside their whole");
}

/// Writes facts by many at once; answers the positions in order.
async fn write(journal: &Journal) -> Vec<u64> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let journal = journal.clone();
        writers.spawn(async move {
            for fact in 0..FACTS {
                let key = format!("{writer}/{fact}");
                let recorded = journal.record(&key, json("1"), notice()).await;
                assert_eq!(recorded.expect("it is recorded").novelty, Novelty::New);
            }
        });
    }
    writers.join_all().await;
    let facts = journal.facts(0, 1_000).await.expect("facts are read");
    facts.into_iter().map(|fact| fact.position).collect()
}

async fn tells_of_every_fact_in_order(storage: Storage) {
    let mut bench = Bench::on(&storage);
    let journal = bench.journal();
    // As they are written.
    let (written, told) = tokio::join!(write(&journal), bench.hear(WRITERS * FACTS));
    assert_eq!(written.len(), WRITERS * FACTS);
    assert_eq!(told, written);
}

async fn tells_what_a_consumer_has_not_acknowledged(storage: Storage) {
    let journal = Bench::on(&storage).journal();
    let consumer = journal.consumer("billing").expect("a name");
    let waiting = tokio::spawn({
        let consumer = consumer.clone();
        async move { consumer.next(1).await }
    });
    let written = write(&journal).await;
    let first = waiting
        .await
        .expect("it does not panic")
        .expect("facts are read");
    assert_eq!(
        first.first().map(|fact| fact.position),
        written.first().copied()
    );
    let mut consumed = Vec::new();
    while consumed.len() < written.len() {
        let facts = consumer.next(7).await.expect("facts are read");
        consumed.extend(facts.iter().map(|fact| fact.position));
        let last = consumed.last().copied().unwrap_or_default();
        let done = consumer
            .acknowledge(last)
            .await
            .expect("it is acknowledged");
        assert_eq!(done, last);
    }
    assert_eq!(consumed, written, "in order, each once");
}

async fn goes_on_where_another_ended(storage: Storage) {
    let first = Bench::on(&storage).journal();
    let written = write(&first).await;
    let done = first.consumer("billing").expect("a name");
    done.acknowledge(written[3])
        .await
        .expect("it is acknowledged");
    // It ends before anything is told.
    let mut second = Bench::on(&storage);
    assert_eq!(second.hear(written.len()).await, written);
    let consumer = second.journal().consumer("billing").expect("a name");
    let next = consumer.next(1).await.expect("facts are read");
    assert_eq!(next.first().map(|fact| fact.position), Some(written[4]));
    let again = second.journal().record("0/0", json("1"), notice()).await;
    assert_eq!(again.expect("it is recorded").novelty, Novelty::Repeated);
}
