//! Many writers and readers at once, each answer written down: one order of the commits must explain them all.
//!
//! Versions tell that order. Replaying the batches in it on the model gives every moment of the database;
//! each refusal and each read must fit a moment between its call and its answer, and no earlier one than
//! what was answered before its call.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;

use super::super::{
    Address, Batch, Change, Expect, Outcome, Page, Query, Quota, Record, Storage, StorageError,
    Usage,
};
use super::model::{Asked, Model};
use super::random::Random;
use super::watcher::Watcher;
use super::{Checks, batch, checks, json, snapshots};

pub(super) const CHECKS: Checks = checks![one_order_explains_every_answer];

const CALLERS: u64 = 8;
const CALLS: usize = 40;
const NAMESPACES: [&str; 2] = ["a", "b"];
const KEYS: [&str; 4] = ["count", "k", "l", "m"];
/// So little that writers are refused again and again.
const QUOTA: Quota = Quota { bytes: 700 };

/// A call, and the ticks of one clock around it.
#[derive(Debug)]
struct Call {
    begun: u64,
    ended: u64,
    did: Did,
}

#[derive(Debug)]
enum Did {
    Apply(Batch, Result<Vec<Outcome>, String>),
    Get(&'static str, &'static str, Option<Record>),
    List(&'static str, Page),
    Usage(Vec<(String, Usage)>),
}

async fn one_order_explains_every_answer(storage: Storage) {
    for seed in 1..=3 {
        let mut start = snapshots::take(&storage).await;
        let mut watcher = Watcher::begin(&storage, None).await;
        let mut model = Model::default();
        model.replicate(&snapshots::read(&mut *start).await, watcher.position);

        let calls = call_at_random(&storage, seed).await;
        let last = storage
            .set("z", "last", json("1"))
            .await
            .expect("a value is written");
        let moments = replay(&calls, model);
        explain_all(&calls, &moments);

        let end = &moments[moments.len() - 1].model;
        assert_eq!(last, end.last_version() + 1, "versions that nobody took");
        let mut heard: Vec<Change> = Vec::new();
        while heard.last().is_none_or(|change| change.version < last) {
            heard.extend(watcher.next().await);
        }
        heard.pop();
        let from = moments[0].model.last_version();
        let expect = end.changes().iter().filter(|change| change.version > from);
        assert!(
            heard.iter().eq(expect),
            "changes were told in another order than committed"
        );
    }
}

async fn call_at_random(storage: &Storage, seed: u64) -> Vec<Call> {
    let clock = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (storage, clock) = (storage.clone(), clock.clone());
        let mut random = Random::new(seed * CALLERS + caller);
        callers.spawn(async move {
            let mut seen = HashMap::new();
            let mut calls = Vec::new();
            for _ in 0..CALLS {
                let (begun, batch) = (
                    clock.fetch_add(1, Ordering::SeqCst),
                    batch_of(&mut random, &seen),
                );
                let did = call(&storage, &mut random, &mut seen, batch).await;
                let ended = clock.fetch_add(1, Ordering::SeqCst);
                calls.push(Call { begun, ended, did });
            }
            calls
        });
    }
    callers.join_all().await.into_iter().flatten().collect()
}

type Seen = HashMap<(&'static str, &'static str), u64>;

/// Makes a batch of writes that expect what was seen last.
fn batch_of(random: &mut Random, seen: &Seen) -> Batch {
    let mut writes = batch(|batch| {
        for _ in 0..random.pick(&[1, 1, 1, 2, 3]) {
            let at = (random.pick(&NAMESPACES), random.pick(&KEYS));
            let found = seen
                .get(&at)
                .map_or(Expect::Absent, |version| Expect::Version(*version));
            let expect = random.pick(&[found, found, Expect::Any]);
            let value = json(&format!("{}", random.next() >> random.below(60)));
            match random.below(8) {
                0 => batch.append(at.0, "log/", value)?,
                1 | 2 => batch.delete(at.0, at.1, expect)?,
                _ => batch.put(at.0, at.1, expect, value)?,
            };
        }
        Ok(())
    });
    if random.one_in(3) {
        writes.bound(random.pick(&NAMESPACES), QUOTA);
    }
    writes
}

async fn call(storage: &Storage, random: &mut Random, seen: &mut Seen, batch: Batch) -> Did {
    let namespace = random.pick(&NAMESPACES);
    match random.below(8) {
        0..3 => {
            let key = random.pick(&KEYS);
            let at = Address::new(namespace, key).expect("valid names");
            let found = storage.adapter().get(at).await.expect("a read answers");
            match &found {
                Some(record) => drop(seen.insert((namespace, key), record.version)),
                None => drop(seen.remove(&(namespace, key))),
            }
            Did::Get(namespace, key, found)
        }
        3 => {
            let query = Query::new(namespace, "").and_then(|query| query.limit(5));
            let page = storage.list(query.expect("a valid query")).await;
            Did::List(namespace, page.expect("a page"))
        }
        4 => {
            let usage = storage
                .usage()
                .await
                .expect("the usage is told")
                .into_iter();
            Did::Usage(
                usage
                    .map(|(namespace, usage)| (namespace.to_string(), usage))
                    .collect(),
            )
        }
        _ => {
            let answer = storage.apply(batch.clone()).await;
            Did::Apply(batch, answer.map_err(refusal))
        }
    }
}

fn refusal(error: StorageError) -> String {
    match error {
        StorageError::Conflict(_) | StorageError::Quota(_) => error.to_string(),
        other => panic!("expected an answer or a refusal, found `{other}`"),
    }
}

/// The database after some of the commits, and the ticks of the last one.
#[derive(Debug)]
struct Moment {
    model: Model,
    begun: u64,
    ended: u64,
}

/// The batches that changed something, in the order of their versions, and every moment between them.
fn replay(calls: &[Call], start: Model) -> Vec<Moment> {
    let first = |outcomes: &[Outcome]| outcomes.iter().find_map(Outcome::version);
    let mut commits: Vec<_> = calls
        .iter()
        .filter_map(|call| match &call.did {
            Did::Apply(batch, Ok(outcomes)) => Some((first(outcomes)?, call, batch, outcomes)),
            _ => None,
        })
        .collect();
    commits.sort_unstable_by_key(|(version, ..)| *version);
    let mut moments = vec![Moment {
        model: start,
        begun: 0,
        ended: 0,
    }];
    let mut latest = 0;
    for (version, call, batch, outcomes) in commits {
        let mut model = moments[moments.len() - 1].model.clone();
        assert!(
            latest <= call.ended,
            "version {version} was acknowledged before a lower one was asked for"
        );
        latest = latest.max(call.begun);
        let expect = model.apply(batch).map_err(|error| error.to_string());
        assert_eq!(
            Ok(outcomes),
            expect.as_ref(),
            "what a batch did at version {version}, in the order of versions: {batch:?}"
        );
        moments.push(Moment {
            model,
            begun: call.begun,
            ended: call.ended,
        });
    }
    moments
}

/// Finds a moment for each answer that has no version of its own, the earliest that is late enough.
fn explain_all(calls: &[Call], moments: &[Moment]) {
    let mut others: Vec<_> = calls.iter().filter(|call| !changed(&call.did)).collect();
    others.sort_unstable_by_key(|call| call.begun);
    let mut explained: Vec<(u64, usize)> = Vec::new();
    for call in others {
        let committed = moments.iter().rposition(|moment| moment.ended < call.begun);
        let answered = explained.iter().filter(|(ended, _)| *ended < call.begun);
        let from = answered
            .map(|(_, at)| *at)
            .max()
            .max(committed)
            .unwrap_or(0);
        let until = moments.iter().position(|moment| moment.begun > call.ended);
        let until = until.unwrap_or(moments.len());
        let at = (from..until).find(|at| is_explained(&call.did, &moments[*at].model));
        let at = at.unwrap_or_else(|| {
            panic!(
                "no moment between its call and its answer explains {:?}",
                call.did
            )
        });
        explained.push((call.ended, at));
    }
}

fn changed(did: &Did) -> bool {
    let Did::Apply(_, Ok(outcomes)) = did else {
        return false;
    };
    outcomes.iter().any(|outcome| outcome.version().is_some())
}

fn is_explained(did: &Did, model: &Model) -> bool {
    match did {
        Did::Apply(batch, answer) => {
            let expect = model
                .clone()
                .apply(batch)
                .map_err(|error| error.to_string());
            *answer == expect
        }
        Did::Get(namespace, key, found) => found.as_ref() == model.get(namespace, key),
        Did::List(namespace, page) => {
            let asked = Asked {
                namespace,
                prefix: "",
                after: None,
                limit: 5,
            };
            *page == model.page(asked)
        }
        Did::Usage(usage) => usage.iter().cloned().eq(model.usage()),
    }
}
