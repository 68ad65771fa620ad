//! Changes: every committed one once, in order, to whoever watches.

use tokio::task::JoinSet;

use super::super::{Batch, Expect, MAX_BATCH_WRITES, Outcome, Quota, Storage};
use super::watcher::{Told, Watcher, told};
use super::{Checks, at_once, batch, checks, json};

pub(super) const CHECKS: Checks = checks![
    changes_are_told_once_in_order,
    a_watcher_is_told_what_it_asked_for,
    a_watcher_waits_until_there_is_a_change,
    large_batches_are_told_in_pieces,
    a_watcher_goes_on_where_it_was,
    who_stops_waiting_misses_nothing,
    refused_batches_are_not_told,
    what_is_told_can_be_read,
    all_watchers_are_told_the_same,
    who_is_behind_is_told_all_or_that_some_are_missed,
    who_is_ahead_is_told_so,
];

const LAST: &str = "last";

async fn write(storage: &Storage, fill: impl FnOnce(&mut Batch)) -> Vec<Outcome> {
    let mut batch = Batch::new();
    fill(&mut batch);
    storage.apply(batch).await.expect("the batch is written")
}

/// Writes a value and returns how its change is told.
async fn set(storage: &Storage, namespace: &str, key: &str, value: &str) -> Told {
    let version = storage
        .set(namespace, key, json(value))
        .await
        .expect("a value is written");
    (
        namespace.to_owned(),
        key.to_owned(),
        version,
        Some(value.to_owned()),
    )
}

async fn delete(storage: &Storage, namespace: &str, key: &str) -> Told {
    let deletion = batch(|batch| batch.delete(namespace, key, Expect::Any).map(drop));
    let outcomes = storage.apply(deletion).await.expect("the batch is written");
    let version = outcomes[0].version().expect("there was a record");
    (namespace.to_owned(), key.to_owned(), version, None)
}

async fn changes_are_told_once_in_order(storage: Storage) {
    set(&storage, "a", "before", "0").await;
    let mut watcher = Watcher::begin(&storage, Some(("a", ""))).await;
    let mut expect = vec![
        set(&storage, "a", "k", "1").await,
        set(&storage, "a", "k", "2").await,
        delete(&storage, "a", "k").await,
        set(&storage, "a", "k", "2").await,
    ];
    storage
        .delete("a", "nothing")
        .await
        .expect("a delete answers");
    let outcomes = write(&storage, |batch| {
        let several = (|| {
            batch.delete("a", "k", Expect::Any)?;
            batch.put("a", "k", Expect::Absent, json("3"))?;
            batch.delete("a", "nothing", Expect::Any)?;
            batch.put("a", "k", Expect::Any, json("4"))?;
            batch.append("a", "log/", json("5")).map(drop)
        })();
        several.expect("a valid batch");
    })
    .await;
    let versions: Vec<_> = outcomes.iter().filter_map(Outcome::version).collect();
    let appended = format!("log/{:020}", versions[3]);
    let told = [
        ("k", None),
        ("k", Some("3")),
        ("k", Some("4")),
        (&*appended, Some("5")),
    ];
    expect.extend(
        told.into_iter()
            .zip(versions)
            .map(|((key, value), version)| {
                (
                    "a".to_owned(),
                    key.to_owned(),
                    version,
                    value.map(str::to_owned),
                )
            }),
    );
    expect.push(set(&storage, "a", LAST, "0").await);
    assert_eq!(
        watcher.until(LAST).await,
        expect,
        "the changes that are told"
    );
}

async fn a_watcher_is_told_what_it_asked_for(storage: Storage) {
    let asked = [
        None,
        Some(("a", "")),
        Some(("a", "k")),
        Some(("a", "k/%")),
        Some(("A", "k")),
    ];
    let mut watchers = Vec::new();
    for of in asked {
        watchers.push(Watcher::begin(&storage, of).await);
    }
    let mut all = Vec::new();
    for (namespace, key) in [
        ("a", "k"),
        ("A", "k"),
        ("a", "K"),
        ("b", "k"),
        ("a", "k/%/1"),
        ("a", "l"),
    ] {
        all.push(set(&storage, namespace, key, "1").await);
        all.push(delete(&storage, namespace, key).await);
    }
    for (of, mut watcher) in asked.into_iter().zip(watchers) {
        let (namespace, prefix) = of.unwrap_or(("z", ""));
        let last = format!("{prefix}{LAST}");
        all.push(set(&storage, namespace, &last, "1").await);
        let expect: Vec<_> = all
            .iter()
            .filter(|(namespace, key, ..)| watcher.since().wants(namespace, key))
            .cloned()
            .collect();
        assert_eq!(watcher.until(&last).await, expect, "what is told of {of:?}");
        all.retain(|(_, key, ..)| *key != last);
    }
}

async fn a_watcher_waits_until_there_is_a_change(storage: Storage) {
    set(&storage, "a", "before", "0").await;
    let mut watcher = Watcher::begin(&storage, Some(("a", "k"))).await;
    let early = at_once(storage.changes(watcher.since()));
    assert!(
        early.is_none(),
        "told {early:?} before anything was written"
    );
    set(&storage, "a", "other", "1").await;
    let waiting = tokio::spawn(async move { watcher.until("k").await });
    set(&storage, "b", "k", "1").await;
    let expect = set(&storage, "a", "k", "1").await;
    let heard = waiting.await.expect("the watcher ends well");
    assert_eq!(heard, [expect], "what ends the waiting");
}

async fn large_batches_are_told_in_pieces(storage: Storage) {
    let mut watcher = Watcher::begin(&storage, None).await;
    let mut expect = Vec::new();
    for round in 0..3 {
        let value = format!("\"{}\"", "x".repeat(round * 1_500));
        let outcomes = write(&storage, |batch| {
            for i in 0..MAX_BATCH_WRITES {
                batch
                    .put("a", &format!("{i}"), Expect::Any, json(&value))
                    .expect("a valid batch");
            }
        })
        .await;
        expect.extend(outcomes.iter().filter_map(Outcome::version));
    }
    expect.push(set(&storage, "a", LAST, "1").await.2);
    let told: Vec<_> = watcher
        .until(LAST)
        .await
        .iter()
        .map(|told| told.2)
        .collect();
    assert_eq!(told, expect, "the versions that are told");
}

async fn a_watcher_goes_on_where_it_was(storage: Storage) {
    let mut first = Watcher::begin(&storage, Some(("a", ""))).await;
    let begun = first.position;
    let one = set(&storage, "a", "1", "1").await;
    assert_eq!(first.until("1").await, std::slice::from_ref(&one));
    let two = set(&storage, "a", "2", "2").await;
    set(&storage, "b", "2", "2").await;
    // One goes on, another comes from the beginning; neither takes anything from the other.
    let mut second = Watcher::behind(&storage, Some(("a", "")), begun);
    assert_eq!(
        first.until("2").await,
        std::slice::from_ref(&two),
        "what is told on going on"
    );
    assert_eq!(
        second.until("2").await,
        [one, two],
        "what is told from the beginning"
    );
    let mut third = Watcher::behind(&storage, Some(("a", "")), first.position);
    let three = set(&storage, "a", "3", "3").await;
    assert_eq!(
        third.until("3").await,
        [three],
        "what is told to who takes over"
    );
}

async fn who_stops_waiting_misses_nothing(storage: Storage) {
    let mut watcher = Watcher::begin(&storage, None).await;
    let mut expect = Vec::new();
    let mut told_so_far = Vec::new();
    for round in 0..40 {
        // Dropped at once, whether it had something to tell or not.
        drop(at_once(storage.changes(watcher.since())));
        expect.push(set(&storage, "a", &format!("{round}"), "1").await);
        drop(at_once(storage.changes(watcher.since())));
        if round % 3 == 0 {
            told_so_far.extend(watcher.next().await.iter().map(told));
        }
    }
    expect.push(set(&storage, "a", LAST, "1").await);
    told_so_far.extend(watcher.until(LAST).await);
    assert_eq!(told_so_far, expect, "what is told after waiting in vain");
}

async fn refused_batches_are_not_told(storage: Storage) {
    let mut watcher = Watcher::begin(&storage, None).await;
    let conflict = batch(|batch| {
        batch.put("a", "k", Expect::Any, json("1"))?;
        batch.put("a", "l", Expect::Version(9), json("1")).map(drop)
    });
    storage.apply(conflict).await.expect_err("is in conflict");
    let mut spent = batch(|batch| batch.put("a", "k", Expect::Any, json("1")).map(drop));
    spent.bound("a", Quota { bytes: 1 });
    storage.apply(spent).await.expect_err("is too much");
    storage
        .delete("a", "nothing")
        .await
        .expect("a delete answers");
    let expect = set(&storage, "a", LAST, "1").await;
    assert_eq!(
        watcher.until(LAST).await,
        [expect],
        "what is told after refused batches"
    );
}

async fn what_is_told_can_be_read(storage: Storage) {
    let mut watcher = Watcher::begin(&storage, Some(("a", ""))).await;
    let writer = storage.clone();
    let writing = tokio::spawn(async move {
        for round in 0..100 {
            set(&writer, "a", "stays", &round.to_string()).await;
            set(&writer, "a", "goes", &round.to_string()).await;
            delete(&writer, "a", "goes").await;
        }
        set(&writer, "a", LAST, "1").await;
    });
    let mut is_last = false;
    while !is_last {
        for change in watcher.next().await {
            is_last = *change.key == *LAST;
            let found = storage.get("a", &change.key).await.expect("a read answers");
            let can_be = match &found {
                Some(record) if record.version == change.version => {
                    change.value.as_ref() == Some(&record.value)
                }
                Some(record) => record.version > change.version,
                None => *change.key == *"goes",
            };
            assert!(can_be, "told {change:?}, but read {found:?}");
        }
    }
    writing.await.expect("the writer ends well");
}

async fn all_watchers_are_told_the_same(storage: Storage) {
    let mut watchers = JoinSet::new();
    for of in [None, Some(("a", "")), Some(("a", "k"))].repeat(4) {
        let mut watcher = Watcher::begin(&storage, of).await;
        watchers.spawn(async move {
            let all = watcher.until("k-last").await;
            (of, all)
        });
    }
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let storage = storage.clone();
        writers.spawn(async move {
            let mut own = Vec::new();
            for round in 0..20 {
                let namespace = ["a", "b"][round % 2];
                own.push(set(&storage, namespace, &format!("k{writer}"), "1").await);
                own.push(set(&storage, "a", "shared", &format!("[{writer},{round}]")).await);
            }
            own
        });
    }
    let mut all: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    all.push(set(&storage, "a", "k-last", "1").await);
    all.sort_unstable_by_key(|told| told.2);
    for (of, heard) in watchers.join_all().await {
        let (wanted, prefix) =
            of.map_or((None, ""), |(namespace, prefix)| (Some(namespace), prefix));
        let expect: Vec<_> = all
            .iter()
            .filter(|(namespace, key, ..)| {
                wanted.is_none_or(|wanted| wanted == namespace) && key.starts_with(prefix)
            })
            .cloned()
            .collect();
        assert_eq!(heard, expect, "what is told of {of:?}");
    }
}

async fn who_is_behind_is_told_all_or_that_some_are_missed(storage: Storage) {
    let mut expect = Vec::new();
    for round in 0..30 {
        expect.push(set(&storage, "a", &format!("{}", round % 7), &round.to_string()).await);
    }
    for back in [0, expect[10].2, expect[28].2] {
        let mut watcher = Watcher::behind(&storage, None, back);
        let first = watcher.any().await;
        let mut heard: Vec<_> = first.changes.iter().map(told).collect();
        if first.missed {
            assert!(
                heard.is_empty(),
                "changes are told together with missed ones"
            );
            let missed = expect
                .iter()
                .filter(|told| (back + 1..=first.next).contains(&told.2));
            heard.extend(missed.cloned());
        }
        expect.push(set(&storage, "a", LAST, &back.to_string()).await);
        while heard.last() != expect.last() {
            heard.extend(watcher.next().await.iter().map(told));
        }
        let all: Vec<_> = expect
            .iter()
            .filter(|told| told.2 > back)
            .cloned()
            .collect();
        assert_eq!(heard, all, "what is told from {back} on");
    }
}

/// Who has seen a version that was never given watched another database, or this one before a restore.
async fn who_is_ahead_is_told_so(storage: Storage) {
    let last = set(&storage, "a", "k", "1").await.2;
    drop(Watcher::begin(&storage, None).await);
    let ahead = Watcher::behind(&storage, None, last + 1_000);
    let told = storage
        .changes(ahead.since())
        .await
        .expect("changes are told");
    assert!(told.missed, "a version of the future is waited for");
    assert_eq!(
        (told.changes, told.next),
        (Vec::new(), last),
        "where to go on"
    );
}
