//! Subscribers without room: whom they hold up, for how long, and what is bounded meanwhile.

use std::collections::BTreeSet;
use std::time::Duration;

use super::outbox::{TOPIC, record, settle};
use super::*;
use crate::storage::{Query, Quota, Quotas};

/// One that makes no room by itself, and has room for one event.
fn slow(bench: &Bench, pattern: &str) -> Subscription {
    back_pressure(bench, pattern, 1)
}

fn back_pressure(bench: &Bench, pattern: &str, capacity: usize) -> Subscription {
    let options = SubscriptionOptions::new("slow", pattern.parse().expect("a pattern"));
    let overflow = octa_loader::Overflow::BackPressure;
    let options = options.capacity(capacity).overflow(overflow);
    bench.bus.subscribe(options)
}

/// A stream of another namespace.
fn aside(bench: &Bench) -> Journal {
    let journal = bench.journals.journal("lamps", "readings", "lamps");
    journal.expect("valid names")
}

/// The key that the next event tells, if it is there.
fn key(heard: &mut Subscription) -> Option<String> {
    let event = heard.try_recv()?;
    let told: Value = serde_json::from_slice(&event.payload).expect("JSON");
    told["key"].as_str().map(str::to_owned)
}

fn keys(heard: &mut Subscription) -> Vec<String> {
    std::iter::from_fn(|| key(heard)).collect()
}

/// The keys of the events that wait in a namespace.
async fn left(adapter: &Arc<dyn StorageAdapter>, namespace: &str) -> Vec<String> {
    let namespace = format!("kernel.outbox.{namespace}");
    let query = Query::new(&namespace, "event/").expect("a query");
    let left = adapter.list(query).await.expect("a page").entries;
    let told = left.iter().map(|entry| {
        let told: Value = serde_json::from_slice(&entry.record.value).expect("JSON");
        told["fact"]["key"].as_str().expect("a key").to_owned()
    });
    told.collect()
}

#[test]
fn a_subscriber_without_room_holds_events_up_and_not_for_ever() {
    run(async {
        let mut bench = Bench::new();
        bench.open();
        let mut slow = slow(&bench, "meters.**");
        let journal = bench.journal();
        for key in ["a", "b", "c"] {
            record(&journal, key).await;
            settle().await;
        }
        assert!(bench.clock.until_next().is_some(), "room is waited for");
        assert_eq!(keys(&mut bench.heard), ["a", "b"], "the rest stay behind");
        // One that is taken makes room for the second, and so on.
        for expect in ["a", "b", "c"] {
            assert_eq!(key(&mut slow).as_deref(), Some(expect));
            settle().await;
        }
        assert_eq!(keys(&mut bench.heard), ["c"]);
        for key in ["d", "e", "f", "g"] {
            record(&journal, key).await;
            settle().await;
        }
        assert_eq!(keys(&mut bench.heard), ["d", "e"]);
        bench.clock.advance(Duration::from_secs(30));
        settle().await;
        assert_eq!(keys(&mut bench.heard), ["f", "g"], "others go on");
        assert_eq!(bench.rest().await, []);
        assert_eq!(keys(&mut slow), ["d", "e"], "without those behind");
    });
}

#[test]
fn who_makes_room_in_time_misses_nothing() {
    run(async {
        let bench = Bench::new();
        let mut slow = slow(&bench, "meters.**");
        let all = ["a", "b", "c", "d", "e"];
        for key in all {
            record(&bench.journal(), key).await;
        }
        bench.open();
        for expect in all {
            settle().await;
            bench.clock.advance(Duration::from_secs(29));
            settle().await;
            assert_eq!(key(&mut slow).as_deref(), Some(expect));
        }
    });
}

#[test]
fn who_makes_room_misses_nothing_though_another_makes_none() {
    run(async {
        // Of the same events, and of others in the same namespace.
        for [slow, fast] in [["meters.read"; 2], ["meters.slow", "meters.fast"]] {
            let bench = Bench::new();
            let _slow = back_pressure(&bench, slow, 1);
            let mut fast_one = back_pressure(&bench, fast, 4);
            let journal = bench.journal();
            for key in 0..20 {
                for topic in BTreeSet::from([slow, fast]) {
                    let key = format!("{topic}/{key}");
                    let recorded = journal.record(&key, &b"1"[..], Some(topic.into()));
                    recorded.await.expect("it is recorded");
                }
            }
            bench.open();
            let mut heard = Vec::new();
            for _ in 0..100 {
                bench.clock.advance(Duration::from_secs(1));
                settle().await;
                heard.extend(keys(&mut fast_one));
            }
            let expect: Vec<_> = (0..20).map(|key| format!("{fast}/{key}")).collect();
            assert_eq!(heard, expect);
        }
    });
}

#[test]
fn several_without_room_are_given_up_each_once() {
    run(async {
        let mut bench = Bench::new();
        let topics = ["meters.a", "meters.b"];
        let [mut first, _second] = topics.map(|topic| slow(&bench, topic));
        bench.open();
        let journal = bench.journal();
        // The second event of each finds no room.
        for (count, topic) in [0, 0, 1, 1].map(|at| topics[at]).into_iter().enumerate() {
            let key = format!("first/{count}");
            let recorded = journal.record(&key, &b"1"[..], Some(topic.into()));
            recorded.await.expect("it is recorded");
        }
        for _ in 0..2 {
            settle().await;
            bench.clock.advance(Duration::from_secs(30));
        }
        settle().await;
        assert_eq!(keys(&mut bench.heard).len(), 4);
        for (count, topic) in topics.into_iter().cycle().take(6).enumerate() {
            let key = format!("then/{count}");
            let recorded = journal.record(&key, &b"1"[..], Some(topic.into()));
            recorded.await.expect("it is recorded");
            settle().await;
            assert_eq!(keys(&mut bench.heard), [key], "at once");
        }
        assert_eq!(keys(&mut first), ["first/0", "first/1"]);
    });
}

#[test]
fn who_makes_no_room_is_remembered_while_there_is_nothing_to_tell() {
    run(async {
        let mut bench = Bench::new();
        bench.open();
        let mut slow = slow(&bench, "meters.**");
        let journal = bench.journal();
        for key in ["a", "b"] {
            record(&journal, key).await;
        }
        settle().await;
        bench.clock.advance(Duration::from_secs(30));
        settle().await;
        assert_eq!(keys(&mut bench.heard), ["a", "b"]);
        for key in ["c", "d", "e"] {
            record(&journal, key).await;
            settle().await;
            assert_eq!(keys(&mut bench.heard), [key], "at once");
            bench.clock.advance(Duration::from_secs(10));
        }
        // What it was given up with comes when it makes room, and it is waited for again.
        assert_eq!(key(&mut slow).as_deref(), Some("a"));
        for key in ["f", "g"] {
            record(&journal, key).await;
            settle().await;
        }
        assert_eq!(keys(&mut bench.heard), ["f"], "the rest stay behind");
        assert_eq!(keys(&mut slow), ["b", "f"]);
    });
}

#[test]
fn a_subscriber_without_room_does_not_hold_up_other_namespaces() {
    run(async {
        let mut bench = Bench::new();
        bench.open();
        let _slow = slow(&bench, "meters.**");
        // More of them than are read at once.
        for namespace in ["a", "b", "c", "d", "e", "f"] {
            let journal = bench.journals.journal(namespace, "readings", namespace);
            let journal = journal.expect("valid names");
            for key in 0..150 {
                record(&journal, &format!("{namespace}{key}")).await;
            }
        }
        settle().await;
        let told = keys(&mut bench.heard);
        assert_eq!(told, ["a0", "a1", "b0", "c0", "d0", "e0", "f0"]);
        let aside = aside(&bench);
        for key in ["x", "y"] {
            let notice = Notice::from("lamps.read");
            let recorded = aside.record(key, payload(&json!(0)), Some(notice));
            recorded.await.expect("it is recorded");
            settle().await;
            assert_eq!(keys(&mut bench.heard), [key], "at once");
        }
        // The rest waits in the storage.
        let subscriptions = bench.bus.subscriptions();
        let slow = subscriptions.iter().find(|it| it.name() == "slow");
        let waiting = slow.map(|slow| slow.counters().waiting);
        assert_eq!(waiting, Some(6), "one of each");
    });
}

#[test]
fn what_had_no_room_at_the_end_is_left_for_the_next() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let mut bench = Bench::on(adapter.clone(), Neighbours::None);
        bench.open();
        let _slow = slow(&bench, "meters.**");
        let mut all = Vec::new();
        for key in ["a", "b", "c"] {
            all.push((key.to_owned(), record(&bench.journal(), key).await));
            settle().await;
        }
        bench.journals.close().await;
        assert_eq!(keys(&mut bench.heard), ["a", "b"], "each once");
        let mut next = Bench::on(adapter, Neighbours::None);
        next.open();
        assert_eq!(next.rest().await, all[1..]);
    });
}

#[test]
fn what_all_had_at_the_end_is_not_told_again() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let mut bench = Bench::on(adapter.clone(), Neighbours::None);
        let _slow = slow(&bench, "meters.**");
        for key in ["had", "waits", "behind"] {
            record(&bench.journal(), key).await;
        }
        let notice = Notice::from("lamps.read");
        let other = aside(&bench);
        let recorded = other.record("aside", payload(&json!(0)), Some(notice));
        recorded.await.expect("it is recorded");
        // All are told at once.
        bench.open();
        settle().await;
        bench.journals.close().await;
        let mut heard = keys(&mut bench.heard);
        heard.sort_unstable();
        assert_eq!(heard, ["aside", "had", "waits"]);
        assert_eq!(left(&adapter, "meters").await, ["waits", "behind"]);
        assert_eq!(left(&adapter, "lamps").await, [""; 0]);
    });
}

#[test]
fn what_waits_is_bounded_by_the_quota_of_the_namespace_over_restarts() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let restart = || {
            let mut bench = Bench::on(adapter.clone(), Neighbours::None);
            let each = Some(Quota { bytes: 2_000 });
            let storage = Storage::of(adapter.clone()).with_quotas(Quotas {
                each,
                ..Quotas::default()
            });
            let clock: Arc<dyn Clock> = Arc::new(bench.clock.clone());
            let runtime = Handle::current();
            bench.journals =
                Journals::new(&storage, &bench.bus, &clock, &runtime, Neighbours::None);
            bench
        };
        let fact = payload(&json!("x".repeat(500)));
        let record = async |journal: &Journal, key: &str, notice| {
            let recorded = journal.record(key, fact.clone(), notice).await;
            let trimmed = journal.trim(u64::MAX, Trim::Forced).await;
            trimmed.expect("the journal itself holds nothing");
            recorded.map_err(|error| told(&error))
        };
        let first = restart();
        for key in ["a", "b"] {
            let recorded = record(&first.journal(), key, TOPIC).await;
            recorded.expect("there is room");
        }
        let mut second = restart();
        for bench in [&first, &second] {
            let refused = record(&bench.journal(), "c", TOPIC).await;
            let refused = refused.expect_err("there is no room");
            let begins = "cannot record key `c` in stream `readings` of `meters`: \
                          `kernel.outbox.meters/";
            let ends = "its quota is 2000 (hint: so much waits to be published: see which \
                        subscription has no room for it; what a kernel left that is gone is taken \
                        over when one starts; or raise the quota in the configuration)";
            assert!(
                refused.starts_with(begins) && refused.ends_with(ends),
                "{refused}"
            );
        }
        let untold = record(&second.journal(), "c", None).await;
        untold.expect("what tells nothing needs no room");
        let elsewhere = record(&aside(&second), "c", TOPIC).await;
        elsewhere.expect("another namespace has room");
        second.open();
        settle().await;
        assert_eq!(keys(&mut second.heard).len(), 3);
        let again = record(&second.journal(), "c", TOPIC).await;
        again.expect("there is room again");
    });
}
