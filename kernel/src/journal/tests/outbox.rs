//! Events: when they are told, by whom, and in what order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::faulty::{Fate, Faulty};
use super::neighbours::pass;
use super::*;
use crate::storage::{Batch, Query};

pub(super) const TOPIC: Option<Notice<'static>> = Some(Notice {
    topic: "meters.read",
    correlation_id: 7,
});

pub(super) async fn record(journal: &Journal, key: &str) -> u64 {
    let recorded = journal.record(key, payload(&json!(key)), TOPIC).await;
    recorded.expect("it is recorded").position
}

/// Lets all that can go on do so.
pub(super) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[test]
fn an_event_tells_of_its_fact() {
    run(async {
        let mut bench = Bench::new();
        bench.open();
        let position = record(&bench.journal(), "k").await;
        let event = bench.heard.recv().await.expect("the bus is open");
        assert_eq!((&*event.topic, &*event.source), ("meters.read", "lamps"));
        assert_eq!((event.correlation, event.sequence), (7, 1));
        let told: Value = serde_json::from_slice(&event.payload).expect("JSON");
        let time = nanos(bench.clock.wall());
        let expect = json!({
            "stream": "readings", "position": position, "key": "k", "time": time,
            "source": "lamps", "fact": "k",
        });
        assert_eq!(told, expect);
        // A repeat tells nothing.
        record(&bench.journal(), "k").await;
        assert_eq!(bench.rest().await, []);
        let usage = bench.journals.0.storage.usage().await.expect("read");
        assert!(
            usage
                .iter()
                .all(|(name, _)| !name.starts_with("kernel.outbox")),
            "nothing is left"
        );
    });
}

#[test]
fn events_follow_those_that_the_source_publishes_itself() {
    run(async {
        let mut bench = Bench::new();
        bench.open();
        let publisher = bench.bus.publisher("lamps");
        bench.journals.speak_through(&publisher);
        drop(publisher.publish("lamps.own", payload(&json!(0)), 0));
        record(&bench.journal(), "k").await;
        let events = [bench.heard.recv().await, bench.heard.recv().await];
        let sequences = events.map(|event| event.expect("the bus is open").sequence);
        assert_eq!(sequences, [1, 2]);
    });
}

#[test]
fn nothing_is_told_before_somebody_listens() {
    run(async {
        let mut bench = Bench::new();
        tokio::spawn(bench.journals.run());
        record(&bench.journal(), "a").await;
        record(&bench.journal(), "b").await;
        settle().await;
        assert!(bench.heard.try_recv().is_none());
        bench.journals.open();
        let told = bench.rest().await;
        let keys: Vec<_> = told.iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["a", "b"]);
    });
}

#[test]
fn a_caller_that_goes_away_takes_no_event_with_it() {
    run(async {
        let mut bench = Bench::new();
        bench.open();
        settle().await;
        let journal = bench.journal();
        let mut record = Box::pin(journal.record("k", payload(&json!(1)), TOPIC));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(record.as_mut().poll(cx)));
        assert!(polled.await.is_pending(), "it is under way");
        drop(record);
        assert_eq!(bench.hear().await["key"], "k");
    });
}

#[test]
fn what_a_kernel_left_is_told_first_by_the_next() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let first = Bench::on(adapter.clone(), Neighbours::None);
        let second = Bench::on(adapter.clone(), Neighbours::None);
        let mut left = Vec::new();
        // Two of them, so that their entries do not lie in the order in which they were written.
        for key in 0..6 {
            let of = if key % 2 == 0 { &first } else { &second };
            left.push((
                key.to_string(),
                record(&of.journal(), &key.to_string()).await,
            ));
        }
        let mut third = Bench::on(adapter.clone(), Neighbours::None);
        left.push(("new".to_owned(), record(&third.journal(), "new").await));
        third.open();
        assert_eq!(third.rest().await, left);
        let mut fourth = Bench::on(adapter, Neighbours::None);
        fourth.open();
        assert_eq!(fourth.rest().await, [], "nothing is left");
    });
}

#[test]
fn an_event_that_was_told_and_not_deleted_is_told_again_by_the_next() {
    run(async {
        let inner: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let fates = vec![Fate::Done(0), Fate::CutBefore];
        let faulty = Faulty::over(inner.clone(), fates).await;
        let mut first = Bench::on(faulty.clone(), Neighbours::None);
        first.open();
        let position = record(&first.journal(), "k").await;
        faulty.cut().await;
        assert_eq!(first.hear().await["position"], position);
        let mut second = Bench::on(inner, Neighbours::None);
        second.open();
        assert_eq!(
            second.rest().await,
            [("k".to_owned(), position)],
            "at least once"
        );
    });
}

#[test]
fn a_storage_that_fails_for_a_while_loses_no_event_and_repeats_none() {
    run(async {
        let fates = vec![Fate::Done(0), Fate::RefusedBefore, Fate::RefusedAfter];
        let faulty = Faulty::over(Arc::new(Memory::new()), fates).await;
        let mut bench = Bench::on(faulty, Neighbours::None);
        bench.open();
        let first = record(&bench.journal(), "a").await;
        settle().await;
        for _ in 0..3 {
            bench.clock.advance(Duration::from_secs(1));
            settle().await;
        }
        let second = record(&bench.journal(), "b").await;
        let expect = [("a".to_owned(), first), ("b".to_owned(), second)];
        assert_eq!(bench.rest().await, expect);
    });
}

#[test]
fn what_is_written_without_an_answer_is_told() {
    run(async {
        let fates = vec![Fate::RefusedAfter];
        let faulty = Faulty::over(Arc::new(Memory::new()), fates).await;
        let mut bench = Bench::on(faulty, Neighbours::None);
        bench.open();
        settle().await;
        let recorded = bench.journal().record("k", payload(&json!(1)), TOPIC).await;
        let failed = told(&recorded.expect_err("it is refused"));
        assert!(
            failed.starts_with("cannot record key `k` in stream"),
            "{failed}"
        );
        settle().await;
        let event = bench.heard.try_recv().expect("it is told");
        assert_eq!(&*event.topic, "meters.read");
    });
}

#[test]
fn what_is_known_not_to_be_written_is_not_looked_for() {
    run(async {
        let adapter = Faulty::over(Arc::new(Memory::new()), Vec::new()).await;
        let mut bench = Bench::on(adapter.clone(), Neighbours::None);
        record(&bench.journal(), "k").await;
        bench.open();
        settle().await;
        assert_eq!(bench.hear().await["key"], "k");
        let before = adapter.lists();
        record(&bench.journal(), "k").await;
        settle().await;
        assert_eq!(adapter.lists() - before, 0, "a repeat");
        record(&bench.journal(), "other").await;
        settle().await;
        assert!(adapter.lists() > before);
    });
}

#[test]
fn a_storage_that_panics_is_not_waited_for() {
    run(async {
        let faulty = Faulty::over(Arc::new(Memory::new()), vec![Fate::Panics]).await;
        let mut bench = Bench::on(faulty, Neighbours::Perhaps);
        bench.open();
        let journal = bench.journal();
        let refused = journal.record("k", payload(&json!("k")), TOPIC).await;
        refused.expect_err("nobody knows");
        pass(&[&bench], 3).await;
        let usage = bench.journals.0.storage.usage().await.expect("read");
        assert_eq!(usage, [], "no sign of life is given for it");
        let position = record(&journal, "k").await;
        assert_eq!(bench.rest().await, [("k".to_owned(), position)]);
    });
}

#[test]
fn what_was_refused_and_comes_late_is_told() {
    run(async {
        let memory: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        // In between, the first event is deleted.
        let fates = vec![Fate::Late, Fate::Done(0), Fate::Late];
        let adapter = Faulty::over(memory, fates).await;
        let mut bench = Bench::on(adapter.clone(), Neighbours::None);
        bench.open();
        settle().await;
        for key in ["a", "b"] {
            let journal = bench.journal();
            let refused = journal.record(key, payload(&json!(key)), TOPIC);
            refused.await.expect_err("nobody knows");
            settle().await;
            assert!(bench.heard.try_recv().is_none(), "nothing is there yet");
            adapter.land().await;
            settle().await;
            let event = bench.heard.try_recv().expect("it is told");
            let told: Value = serde_json::from_slice(&event.payload).expect("JSON");
            assert_eq!(told["key"], key);
        }
        bench.journals.close().await;
        assert_eq!(bench.rest().await, []);
    });
}

#[test]
fn an_end_comes_though_events_do_not_end() {
    run(async {
        let memory: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let adapter = Faulty::over(memory.clone(), Vec::new()).await;
        let bench = Bench::on(adapter.clone(), Neighbours::None);
        record(&bench.journal(), "k").await;
        let query = Query::new("kernel.outbox.meters", "").expect("a query");
        let event = memory.list(query).await.expect("a page").entries.remove(0);
        // Whenever events are deleted, another one has been written.
        let deletions = Arc::new(AtomicUsize::new(0));
        let counted = deletions.clone();
        adapter.others(move |batch| {
            let is_deletion = batch.writes().iter().all(|write| write.value().is_none());
            let is_one_of_many = is_deletion && counted.fetch_add(1, Ordering::Relaxed) < 1_000;
            let (own, _) = event.key.rsplit_once('/').expect("an owner");
            let mut batch = Batch::new();
            let value = event.record.value.clone();
            let appended = batch.append("kernel.outbox.meters", &format!("{own}/"), value);
            appended.expect("valid");
            is_one_of_many.then_some(batch)
        });
        bench.open();
        bench.journals.close().await;
        assert_eq!(deletions.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn what_cannot_be_told_does_not_hold_up_the_rest() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let storage = Storage::of(adapter.clone());
        let foreign = [("event/x/00000000000000000003", "1"), ("event/x/y", "2")];
        for (key, value) in foreign {
            let written = storage
                .set("kernel.outbox.meters", key, value.as_bytes())
                .await;
            written.expect("it is written");
        }
        let mut bench = Bench::on(adapter, Neighbours::None);
        bench.open();
        let position = record(&bench.journal(), "k").await;
        assert_eq!(bench.rest().await, [("k".to_owned(), position)]);
    });
}

#[test]
fn what_cannot_be_told_is_read_once() {
    run(async {
        let adapter = Faulty::over(Arc::new(Memory::new()), Vec::new()).await;
        let storage = Storage::of(adapter.clone());
        for version in 1..=20 {
            let key = crate::storage::appended("event/x/", version);
            let written = storage.set("kernel.outbox.meters", &key, &b"1"[..]).await;
            written.expect("it is written");
        }
        let mut bench = Bench::on(adapter.clone(), Neighbours::None);
        bench.open();
        settle().await;
        let before = adapter.listed();
        for key in ["a", "b", "c"] {
            record(&bench.journal(), key).await;
            assert_eq!(bench.hear().await["key"], key);
            settle().await;
        }
        assert_eq!(adapter.listed() - before, 3);
    });
}
