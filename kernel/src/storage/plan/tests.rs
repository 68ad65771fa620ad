//! What plans make of groups of batches, and that they ask the database no more than once.

use std::collections::{BTreeMap, BTreeSet};

use super::super::record::Expect;
use super::*;

/// A database as a plan sees it; each question may be asked once.
#[derive(Debug, Default)]
struct Database {
    records: BTreeMap<(&'static str, &'static str), Found>,
    usage: BTreeMap<&'static str, Usage>,
    asked: BTreeSet<String>,
}

impl Database {
    /// Records of a namespace: key, version, bytes of key and value.
    fn of(namespace: &'static str, records: &[(&'static str, u64, u64)]) -> Self {
        let mut database = Self::default();
        for (key, version, bytes) in records {
            let (version, bytes) = (*version, *bytes);
            database
                .records
                .insert((namespace, key), Found { version, bytes });
            let usage = database.usage.entry(namespace).or_default();
            *usage = usage.replaced(None, Some(bytes));
        }
        database
    }
}

/// What a database says that breaks down.
#[derive(Debug, PartialEq, Eq)]
struct Broken;

impl Present for Database {
    type Error = Broken;

    fn found(&mut self, at: Address<'_>) -> Result<Option<Found>, Broken> {
        assert!(
            self.asked.insert(at.to_string()),
            "`{at}` is asked for twice"
        );
        match at.key() {
            "broken" => Err(Broken),
            key => Ok(self.records.get(&(at.namespace(), key)).copied()),
        }
    }

    fn usage(&mut self, namespace: &str) -> Result<Usage, Broken> {
        assert!(
            self.asked.insert(namespace.to_owned()),
            "`{namespace}` is asked for twice"
        );
        Ok(self.usage.get(namespace).copied().unwrap_or_default())
    }
}

fn batch(fill: impl FnOnce(&mut Batch)) -> Batch {
    let mut batch = Batch::new();
    fill(&mut batch);
    batch
}

fn put(key: &str, expect: Expect, value: &str) -> Batch {
    batch(|batch| {
        batch
            .put("a", key, expect, value.as_bytes())
            .expect("valid");
    })
}

fn delete(key: &str, expect: Expect) -> Batch {
    batch(|batch| {
        batch.delete("a", key, expect).expect("valid");
    })
}

fn shown(change: &Change) -> String {
    let value = change.value.as_deref().map(String::from_utf8_lossy);
    let (namespace, key, version) = (&change.namespace, &change.key, change.version);
    format!(
        "{namespace}/{key} {version} {}",
        value.as_deref().unwrap_or("-")
    )
}

/// Adds the batches to a plan behind version 10; compares what became of each, every change, those that
/// stand at the end, and the usage.
#[track_caller]
fn check(
    mut database: Database,
    batches: &[Batch],
    answers: &[&str],
    changes: &[&str],
    records: &[&str],
    usage: &[(&str, u64, u64)],
) {
    let mut plan = Plan::new(10);
    let found = batches.iter().map(|batch| {
        match plan
            .add(batch, &mut database)
            .expect("the database answers")
        {
            Ok(outcomes) => {
                let versions = outcomes.iter().map(|outcome| match outcome {
                    Outcome::Put { version } => format!("+{version}"),
                    Outcome::Deleted { version } => format!("-{version}"),
                    Outcome::Absent => "0".to_owned(),
                });
                versions.collect::<Vec<_>>().join(" ")
            }
            Err(refusal) => refusal.to_string(),
        }
    });
    assert_eq!(found.collect::<Vec<_>>(), answers, "the answers");
    let found: Vec<_> = plan.changes().iter().map(shown).collect();
    assert_eq!(found, changes, "the changes");
    let found: Vec<_> = plan.records().map(shown).collect();
    assert_eq!(found, records, "the records");
    let mut found: Vec<_> = plan
        .usage()
        .map(|(name, it)| (name, it.records, it.bytes))
        .collect();
    found.sort_unstable();
    assert_eq!(found, usage, "the usage");
    let last_version = 10 + changes.len() as u64;
    assert_eq!(plan.last_version(), last_version, "the last version");
    let all: Vec<_> = plan.into_changes().iter().map(shown).collect();
    assert_eq!(all, changes, "the changes that are handed over");
}

#[test]
fn each_batch_sees_those_before_it() {
    check(
        Database::of("a", &[("k", 3, 6)]),
        &[
            put("k", Expect::Version(3), "1"),
            put("k", Expect::Version(11), "22"),
            put("k", Expect::Version(3), "333"),
            delete("k", Expect::Version(12)),
            delete("k", Expect::Any),
            put("k", Expect::Absent, "4"),
        ],
        &[
            "+11",
            "+12",
            "`a/k` has version 12, expected version 3",
            "-13",
            "0",
            "+14",
        ],
        &["a/k 11 1", "a/k 12 22", "a/k 13 -", "a/k 14 4"],
        &["a/k 14 4"],
        &[("a", 1, 2)],
    );
}

#[test]
fn a_refused_batch_leaves_nothing() {
    let refused = batch(|batch| {
        let all = (|| {
            batch.put("a", "k", Expect::Any, &b"9"[..])?;
            batch.delete("a", "l", Expect::Any)?;
            batch.put("b", "k", Expect::Any, &b"9"[..])?;
            batch.put("a", "l", Expect::Absent, &b"9"[..])?;
            batch.append("a", "log/", &b"9"[..])?;
            batch.put("a", "m", Expect::Version(1), &b"9"[..]).map(drop)
        })();
        all.expect("valid");
    });
    check(
        Database::of("a", &[("k", 3, 6), ("l", 4, 2)]),
        &[
            put("k", Expect::Any, "1"),
            refused.clone(),
            put("l", Expect::Version(4), "1"),
            refused,
            put("m", Expect::Absent, "1"),
        ],
        &[
            "+11",
            "`a/m` has no record, expected version 1",
            "+12",
            "`a/m` has no record, expected version 1",
            "+13",
        ],
        &["a/k 11 1", "a/l 12 1", "a/m 13 1"],
        &["a/k 11 1", "a/l 12 1", "a/m 13 1"],
        &[("a", 3, 6), ("b", 0, 0)],
    );
}

#[test]
fn a_record_stands_with_its_last_change() {
    let again = batch(|batch| {
        let all = (|| {
            batch.put("a", "k", Expect::Any, &b"1"[..])?;
            batch.put("a", "l", Expect::Any, &b"1"[..])?;
            batch.put("a", "k", Expect::Version(11), &b"2"[..])?;
            batch.delete("a", "l", Expect::Version(12)).map(drop)
        })();
        all.expect("valid");
    });
    check(
        Database::default(),
        &[again],
        &["+11 +12 +13 -14"],
        &["a/k 11 1", "a/l 12 1", "a/k 13 2", "a/l 14 -"],
        &["a/k 13 2", "a/l 14 -"],
        &[("a", 1, 2)],
    );
}

#[test]
fn an_appended_key_has_the_version_it_takes() {
    let appends = batch(|batch| {
        let all = (|| {
            batch.delete("a", "nothing", Expect::Any)?;
            batch.append("a", "log/", &b"1"[..])?;
            batch.append("a", "log/", &b"2"[..]).map(drop)
        })();
        all.expect("valid");
    });
    let (first, second) = (
        "a/log/00000000000000000011 11 1",
        "a/log/00000000000000000012 12 2",
    );
    check(
        // Somebody wrote such a key by hand: it is written over.
        Database::of("a", &[("log/00000000000000000012", 2, 100)]),
        &[appends],
        &["0 +11 +12"],
        &[first, second],
        &[first, second],
        &[("a", 2, 50)],
    );
}

#[test]
fn quotas_count_what_the_batches_before_left() {
    let bounded = |mut batch: Batch, bytes| {
        batch.bound("a", Quota { bytes });
        batch.bound("untouched", Quota { bytes: 0 });
        batch
    };
    let two = batch(|batch| {
        batch.put("a", "l", Expect::Any, &b"1"[..]).expect("valid");
        batch.put("a", "m", Expect::Any, &b"1"[..]).expect("valid");
    });
    check(
        Database::of("a", &[("k", 3, 6)]),
        &[
            bounded(two.clone(), 9),
            bounded(put("l", Expect::Any, "1"), 8),
            bounded(put("m", Expect::Any, "1"), 9),
            bounded(delete("k", Expect::Any), 1),
            bounded(two, 4),
            bounded(put("l", Expect::Any, "22"), 4),
            bounded(put("l", Expect::Any, "3"), 0),
        ],
        &[
            "`a/m` would bring namespace `a` to 10 bytes, its quota is 9",
            "+11",
            "`a/m` would bring namespace `a` to 10 bytes, its quota is 9",
            "-12",
            "+13 +14",
            "`a/l` would bring namespace `a` to 5 bytes, its quota is 4",
            "+15",
        ],
        &["a/l 11 1", "a/k 12 -", "a/l 13 1", "a/m 14 1", "a/l 15 3"],
        &["a/k 12 -", "a/m 14 1", "a/l 15 3"],
        &[("a", 2, 4)],
    );
}

#[test]
fn what_the_database_cannot_tell_is_handed_on() {
    let mut database = Database::default();
    let mut plan = Plan::new(0);
    let told = plan.add(&put("broken", Expect::Any, "1"), &mut database);
    assert_eq!(told, Err(Broken));
}
