//! Connections and servers that are lost under load: nothing acknowledged is lost, and nothing is done twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use octa_test_servers::{Moment, Proxy, own_postgres, postgres};
use tokio::task::JoinSet;

use super::super::super::{Batch, Expect, Query, Since, Storage, StorageError, Trouble};
use super::super::{Postgres, PostgresConfig};
use super::{RUNTIME, json, set, storage, until};

/// A commit whose answer is lost is found out about: it is answered, and was done once.
#[test]
fn a_commit_that_was_cut_off_is_done_once() {
    let Some(server) = postgres() else { return };
    for moment in [Moment::BeforeCommit, Moment::AfterCommit] {
        let database = server.database("cut");
        RUNTIME.block_on(async {
            let proxy = Proxy::start(server.port());
            let storage = storage(PostgresConfig::new(database.url_through(&proxy))).await;
            let before = set(&storage, "k", "0").await;
            let now = storage
                .changes(Since::all(None))
                .await
                .expect("a place")
                .next;
            proxy.arm(moment);
            let mut batch = Batch::new();
            batch.append("log", "log/", json("1")).expect("fits");
            let expect = Expect::Version(before);
            batch.put("a", "k", expect, json("1")).expect("fits");
            let cutting = async {
                until(|| proxy.has_caught()).await;
                proxy.cut();
            };
            let (outcomes, ()) = tokio::join!(storage.apply(batch), cutting);
            let outcomes = outcomes.expect("the batch is written");
            assert_eq!(outcomes[0].version(), Some(before + 1), "{moment:?}");
            let log = Query::new("log", "").expect("a valid query");
            let log = storage.list(log).await.expect("a page");
            assert_eq!(log.entries.len(), 1, "{moment:?}");
            let told = storage
                .changes(Since::all(Some(now)))
                .await
                .expect("changes");
            let told: Vec<_> = told.changes.iter().map(|change| change.version).collect();
            assert_eq!(told, [before + 1, before + 2], "{moment:?}");
        });
    }
}

/// What a writer knows of what it wrote.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: Vec<u32>,
    unknown: Vec<u32>,
}

/// The server is killed and started again while many write; each appends numbered facts.
#[test]
fn a_server_that_is_killed_loses_and_doubles_nothing() {
    let Some(server) = own_postgres() else { return };
    let database = server.database("killed");
    RUNTIME.block_on(async {
        let mut config = PostgresConfig::new(database.url());
        config.patience = Duration::from_secs(60);
        let opened = [(); 2].map(|()| Postgres::open(config.clone()));
        let mut storages = Vec::new();
        for opening in opened {
            storages.push(Storage::new(opening.await.expect("the database is opened")));
        }
        let (ended, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU32::new(0)),
        );
        let mut writers = JoinSet::new();
        for writer in 0..16 {
            let storage = storages[writer % 2].clone();
            writers.spawn(write(storage, writer, ended.clone(), done.clone()));
        }
        let watcher = tokio::spawn(follow(storages[1].clone(), ended.clone()));
        for _ in 0..4 {
            let begun = done.load(SeqCst);
            // Killed in the middle of work, each time.
            while done.load(SeqCst) < begun + 100 {
                tokio::task::yield_now().await;
            }
            let killing = || {
                server.kill();
                server.restart().expect("starts again");
            };
            tokio::task::block_in_place(killing);
        }
        ended.store(true, SeqCst);
        let tallies = writers.join_all().await;
        set(&storages[0], "end", "1").await;
        watcher.await.expect("the watcher ends well");
        let found = facts(&storages[0]).await;
        for (writer, tally) in tallies {
            let found = found.get(&writer).cloned().unwrap_or_default();
            assert_tally(writer, &tally, &found);
        }
    });
}

async fn write(
    storage: Storage,
    writer: usize,
    ended: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
) -> (usize, Tally) {
    let mut tally = Tally::default();
    for number in 0.. {
        if ended.load(SeqCst) {
            break;
        }
        let mut batch = Batch::new();
        let fact = json(&format!("[{writer},{number}]"));
        batch.append("facts", "log/", fact.clone()).expect("fits");
        batch.append("facts", "too/", fact).expect("fits");
        match storage.apply(batch).await {
            Ok(_) => tally.acknowledged.push(number),
            Err(StorageError::Unavailable {
                trouble: Trouble::Unreachable,
                ..
            }) => {
                tally.unknown.push(number);
            }
            Err(error) => panic!("{error:?}"),
        }
        done.fetch_add(1, SeqCst);
    }
    (writer, tally)
}

/// The numbers that are there of each writer, in the order of their versions, from both halves of the batches.
async fn facts(storage: &Storage) -> BTreeMap<usize, Vec<u32>> {
    let halves = [list(storage, "log/").await, list(storage, "too/").await];
    assert_eq!(halves[0], halves[1], "half of a batch");
    let [found, _] = halves;
    found
}

async fn list(storage: &Storage, prefix: &str) -> BTreeMap<usize, Vec<u32>> {
    let mut found: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
    let mut after = None;
    loop {
        let query = Query::new("facts", prefix).and_then(|it| it.after(after.as_deref()));
        let query = query.and_then(|it| it.limit(1_000)).expect("a valid query");
        let page = storage.list(query).await.expect("a page");
        for entry in page.entries {
            let (writer, number) = serde_json::from_slice(&entry.record.value).expect("a fact");
            found.entry(writer).or_default().push(number);
        }
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[track_caller]
fn assert_tally(writer: usize, tally: &Tally, found: &[u32]) {
    assert!(
        found.is_sorted_by(|a, b| a < b),
        "writer {writer} has a fact twice: {found:?}"
    );
    for number in &tally.acknowledged {
        assert!(
            found.contains(number),
            "fact {number} of writer {writer} is lost"
        );
    }
    for number in found {
        let is_known = tally.acknowledged.contains(number) || tally.unknown.contains(number);
        assert!(
            is_known,
            "fact {number} of writer {writer} was never written"
        );
    }
}

/// Hears changes over all kills: each version once and none left out, unless it is told that some are missed.
async fn follow(storage: Storage, ended: Arc<AtomicBool>) {
    let mut position = None;
    loop {
        match storage.changes(Since::all(position)).await {
            Ok(told) => {
                let heard: Vec<_> = told.changes.iter().map(|change| change.version).collect();
                let expect = position.unwrap_or(told.next) + 1..=told.next;
                assert!(
                    told.missed || heard == expect.collect::<Vec<_>>(),
                    "{heard:?}"
                );
                position = Some(told.next);
                let is_last = told.changes.iter().any(|change| &*change.key == "end");
                if is_last || told.missed && ended.load(SeqCst) {
                    return;
                }
            }
            Err(StorageError::Unavailable {
                trouble: Trouble::Unreachable,
                ..
            }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}
