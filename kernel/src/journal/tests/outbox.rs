//! Events: when they are told, by whom, and in what order.

use std::time::Duration;

use super::faulty::{Fate, Faulty};
use super::*;

const TOPIC: Option<Notice<'static>> = Some(Notice {
    topic: "meters.read",
    correlation_id: 7,
});

async fn record(journal: &Journal, key: &str) -> u64 {
    let recorded = journal.record(key, payload(&json!(key)), TOPIC).await;
    recorded.expect("it is recorded").position
}

/// Lets all that can go on do so.
async fn settle() {
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
            usage.iter().all(|(name, _)| &**name != "kernel.outbox"),
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
fn a_subscriber_without_room_holds_events_up_and_not_for_ever() {
    run(async {
        let mut bench = Bench::new();
        bench.open();
        let options = SubscriptionOptions::new("slow", "meters.**".parse().expect("a pattern"));
        let overflow = octa_loader::Overflow::BackPressure;
        let mut slow = bench.bus.subscribe(options.capacity(1).overflow(overflow));
        let journal = bench.journal();
        for key in ["a", "b", "c"] {
            record(&journal, key).await;
            settle().await;
        }
        assert!(bench.clock.until_next().is_some(), "room is waited for");
        // One that is taken makes room for the second, and so on.
        for key in ["a", "b", "c"] {
            let event = slow.recv().await.expect("the bus is open");
            let told: Value = serde_json::from_slice(&event.payload).expect("JSON");
            assert_eq!(told["key"], key);
            settle().await;
        }
        for key in ["d", "e", "f"] {
            record(&journal, key).await;
            settle().await;
        }
        bench.clock.advance(Duration::from_secs(30));
        settle().await;
        let told = bench.rest().await;
        let keys: Vec<_> = told.iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["a", "b", "c", "d", "e", "f"], "others have all");
    });
}

#[test]
fn what_had_no_room_at_the_end_is_left_for_the_next() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let bench = Bench::on(adapter.clone(), Neighbours::None);
        bench.open();
        let options = SubscriptionOptions::new("slow", "meters.**".parse().expect("a pattern"));
        let overflow = octa_loader::Overflow::BackPressure;
        let _slow = bench.bus.subscribe(options.capacity(1).overflow(overflow));
        let mut all = Vec::new();
        for key in ["a", "b", "c"] {
            all.push((key.to_owned(), record(&bench.journal(), key).await));
            settle().await;
        }
        bench.journals.close().await;
        let mut next = Bench::on(adapter, Neighbours::None);
        next.open();
        assert_eq!(next.rest().await, all[1..]);
    });
}

#[test]
fn what_all_had_at_the_end_is_not_told_again() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let bench = Bench::on(adapter.clone(), Neighbours::None);
        let options = SubscriptionOptions::new("slow", "meters.**".parse().expect("a pattern"));
        let overflow = octa_loader::Overflow::BackPressure;
        let _slow = bench.bus.subscribe(options.capacity(1).overflow(overflow));
        let journal = bench.journal();
        record(&journal, "had").await;
        record(&journal, "waits").await;
        let notice = Notice::from("lamps.read");
        let recorded = journal.record("aside", payload(&json!(0)), Some(notice));
        recorded.await.expect("it is recorded");
        // All three are told at once.
        bench.open();
        settle().await;
        bench.journals.close().await;
        let query = crate::storage::Query::new("kernel.outbox", "event/").expect("a query");
        let left = adapter.list(query).await.expect("a page").entries;
        let left: Vec<Value> = left
            .iter()
            .map(|entry| serde_json::from_slice(&entry.record.value).expect("JSON"))
            .collect();
        assert!(
            matches!(&left[..], [one] if one["fact"]["key"] == "waits"),
            "{left:?}"
        );
    });
}

/// Lets time go on in steps, so that all that waits for it does what it does.
async fn pass(benches: &[&Bench], seconds: u64) {
    for _ in 0..seconds * 4 {
        for bench in benches {
            bench.clock.advance(Duration::from_millis(250));
        }
        settle().await;
    }
}

#[test]
fn what_is_left_by_one_that_is_gone_is_told_by_one_of_its_neighbours() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let gone = Bench::on(adapter.clone(), Neighbours::Perhaps);
        let left = record(&gone.journal(), "left").await;
        let mut others = Vec::new();
        for _ in 0..2 {
            // Slowly, so that both see it before one of them takes it.
            let slow = Faulty::over(adapter.clone(), vec![Fate::Done(20); 8]).await;
            others.push(Bench::on(slow, Neighbours::Perhaps));
        }
        others.iter().for_each(Bench::open);
        let new = record(&others[0].journal(), "new").await;
        pass(&[&others[0], &others[1]], 4).await;
        assert!(
            others.iter_mut().all(|it| it.heard.try_recv().is_none()),
            "it may live"
        );
        pass(&[&others[0], &others[1]], 2).await;
        let (one, other) = (others[0].rest().await, others[1].rest().await);
        let left = ("left".to_owned(), left);
        assert_eq!(
            [&*one, &*other]
                .concat()
                .iter()
                .filter(|it| **it == left)
                .count(),
            1
        );
        assert_eq!(
            one.last(),
            Some(&("new".to_owned(), new)),
            "in order: {one:?}"
        );
    });
}

#[test]
fn who_lives_keeps_its_events() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        // Nobody listens there yet.
        let mut lives = Bench::on(adapter.clone(), Neighbours::Perhaps);
        tokio::spawn(lives.journals.run());
        let kept = record(&lives.journal(), "kept").await;
        let mut starts = Bench::on(adapter.clone(), Neighbours::Perhaps);
        starts.open();
        record(&starts.journal(), "own").await;
        pass(&[&lives, &starts], 6).await;
        assert_eq!(starts.hear().await["key"], "own");
        assert_eq!(starts.rest().await, []);
        lives.journals.open();
        assert_eq!(lives.rest().await, [("kept".to_owned(), kept)]);
        let usage = lives.journals.0.storage.usage().await.expect("read");
        assert!(
            usage.iter().all(|(name, _)| &**name != "kernel.outbox"),
            "no sign is left"
        );
    });
}

#[test]
fn who_waits_for_room_lives() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let slow = Faulty::over(adapter.clone(), vec![Fate::Done(50)]).await;
        let lives = Bench::on(slow, Neighbours::Perhaps);
        let options = SubscriptionOptions::new("full", "meters.**".parse().expect("a pattern"));
        let overflow = octa_loader::Overflow::BackPressure;
        let _full = lives.bus.subscribe(options.capacity(1).overflow(overflow));
        let other = lives.bus.publisher("other");
        drop(other.publish("meters.x", payload(&json!(0)), 0));
        let journal = lives.journal();
        let recording = tokio::spawn(async move { record(&journal, "kept").await });
        tokio::task::yield_now().await;
        // There is nothing yet when it is looked first.
        lives.open();
        recording.await.expect("it is recorded");
        let mut starts = Bench::on(adapter, Neighbours::Perhaps);
        starts.open();
        pass(&[&lives, &starts], 8).await;
        assert_eq!(starts.rest().await, []);
    });
}

#[test]
fn what_is_told_meanwhile_is_not_waited_for() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let mut lives = Bench::on(adapter.clone(), Neighbours::Perhaps);
        tokio::spawn(lives.journals.run());
        record(&lives.journal(), "kept").await;
        let mut starts = Bench::on(adapter.clone(), Neighbours::Perhaps);
        starts.open();
        settle().await;
        lives.journals.open();
        assert_eq!(lives.hear().await["key"], "kept");
        settle().await;
        record(&starts.journal(), "own").await;
        pass(&[&starts], 1).await;
        assert!(
            starts.heard.try_recv().is_some(),
            "it goes on as soon as it can"
        );
    });
}

#[test]
fn what_cannot_be_told_does_not_hold_up_the_rest() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let storage = Storage::of(adapter.clone());
        let foreign = [("event/x/00000000000000000003", "1"), ("event/x/y", "2")];
        for (key, value) in foreign {
            let written = storage.set("kernel.outbox", key, value.as_bytes()).await;
            written.expect("it is written");
        }
        let mut bench = Bench::on(adapter, Neighbours::None);
        bench.open();
        let position = record(&bench.journal(), "k").await;
        assert_eq!(bench.rest().await, [("k".to_owned(), position)]);
    });
}
