//! Adapters that each break one promise, around one that keeps them all.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use octa_plugin_api::Payload;
use parking_lot::Mutex;
use tokio::task::yield_now;

use super::super::super::{
    Address, Batch, BoxFuture, Change, Changes, Expect, Memory, Outcome, Page, Query, QuotaSpent,
    Record, Since, Snapshot, StorageAdapter, StorageError, Usage, Write, appended,
};

/// The promise that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    LosesAWrite,
    KeepsTheBeginningOfARefusedBatch,
    AppliesBatchesInParts,
    ReportsOtherVersions,
    IgnoresExpectations,
    TakesVersionsWhenRefusing,
    ChangesValues,
    ReadsWhatWas,
    AppendsInTheOrderOfArrival,
    IgnoresQuotas,
    CountsOverwritingTwice,
    ChecksQuotasBeforeItsTurn,
    TellsTheUsageOfBefore,
    ListsEmptyNamespaces,
    ListsOutOfOrder,
    ListsWithoutPrefix,
    ListsNoFurther,
    DropsAChange,
    RepeatsAChange,
    ReordersChanges,
    TellsRefusedBatches,
    TellsWhatCannotBeRead,
    TellsWhatWasNotAskedFor,
    CutsPagesSilently,
    NeverTells,
    WaitsForTheFuture,
    MissesWhatIsWatched,
    StartsFromTheBeginning,
    TakesSnapshotsLater,
    TakesSnapshotsOutOfOrder,
    MiscountsSnapshots,
    ReadsSnapshotsInOnePiece,
    RenumbersReplicas,
    KeepsTheCounterOfReplicas,
    ReplicatesNoDeletions,
    TellsReplicasInPart,
    AnswersWhenClosed,
    LeavesWatchersWaiting,
}

/// An adapter with one fault.
#[derive(Debug)]
pub(super) struct Faulty {
    memory: Arc<Memory>,
    fault: Fault,
    count: AtomicU64,
    is_closed: AtomicBool,
    /// What a fault keeps for later.
    records: Mutex<HashMap<String, Option<Record>>>,
    refused: Mutex<Vec<Change>>,
    hidden: Mutex<BTreeSet<u64>>,
    usage: Mutex<Vec<(Arc<str>, Usage)>>,
}

impl Faulty {
    pub(super) fn new(fault: Fault) -> Self {
        Self {
            memory: Arc::new(Memory::new()),
            fault,
            count: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            records: Mutex::default(),
            refused: Mutex::default(),
            hidden: Mutex::default(),
            usage: Mutex::default(),
        }
    }

    /// Tells it of every so many calls.
    fn is_turn(&self, of: u64) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed) % of == of - 1
    }

    async fn delete(&self, namespace: &str, key: &str, version: u64) -> Result<(), StorageError> {
        let change = Change::new(namespace, key, version, None);
        self.memory.replicate(&[change], 0).await
    }

    async fn write(&self, batch: Batch) -> Result<Vec<Outcome>, StorageError> {
        let answer = self.memory.apply(batch.clone()).await;
        let first = batch.writes().first().cloned();
        match (self.fault, first, &answer) {
            (Fault::LosesAWrite, Some(write), Ok(_)) if self.is_turn(5) => {
                let version = answer.as_ref().map_or(0, |it| it[0].version().unwrap_or(0));
                let key = write.key(version);
                self.delete(write.namespace(), &key, version).await?;
            }
            (Fault::KeepsTheBeginningOfARefusedBatch, Some(write), Err(_)) => {
                let mut part = Batch::new();
                again(&mut part, &write, write.expect());
                // It may be what is refused.
                drop(self.memory.apply(part).await);
            }
            (Fault::TellsRefusedBatches, Some(write), Err(_)) => {
                let value = write.value().cloned();
                let change = Change::new(write.namespace().clone(), write.key(0), 0, value);
                self.refused.lock().push(change);
            }
            (Fault::TakesVersionsWhenRefusing, Some(_), Err(_)) => {
                let taken = self.memory.snapshot().await?.last_version() + 1;
                self.memory.replicate(&[], taken).await?;
            }
            _ => {}
        }
        answer
    }

    /// Applies every write as a batch of its own, after looking whether all of them would be.
    async fn write_in_parts(&self, batch: &Batch) -> Result<Vec<Outcome>, StorageError> {
        let mut all = Vec::new();
        for write in batch.writes() {
            let mut part = Batch::new();
            again(&mut part, write, write.expect());
            bounds_of(batch, &mut part);
            all.extend(self.memory.apply(part).await?);
            yield_now().await;
        }
        Ok(all)
    }

    async fn bytes(&self, namespace: &str) -> Result<u64, StorageError> {
        let all = self.memory.usage().await?;
        let of = all.iter().find(|(name, _)| **name == *namespace);
        Ok(of.map_or(0, |(_, usage)| usage.bytes))
    }

    /// Decides on quotas by itself, counting what is overwritten as if it stayed, or before others have written.
    async fn write_bounded(&self, batch: &Batch) -> Result<Vec<Outcome>, StorageError> {
        let mut decided = without_bounds(batch, |write| write.expect());
        for (namespace, quota) in batch.quotas() {
            let now = self.bytes(namespace).await?;
            let own = batch
                .writes()
                .iter()
                .filter(|it| it.namespace() == namespace);
            let sizes = own.filter_map(|write| Some(write.key(0).len() + write.value()?.len()));
            let more = sizes.sum::<usize>() as u64;
            if now + more <= quota.bytes || more == 0 {
                continue;
            }
            if self.fault == Fault::CountsOverwritingTwice {
                let key = batch.writes()[0].key(0);
                let at = Address::new(namespace, &key).expect("it was valid before");
                return Err(QuotaSpent::new(at, now + more, *quota).into());
            }
            decided.bound(namespace.clone(), *quota);
        }
        yield_now().await;
        self.memory.apply(decided).await
    }

    async fn write_and_hide(&self, batch: Batch) -> Result<Vec<Outcome>, StorageError> {
        let next = self.memory.snapshot().await?.last_version() + 1;
        let versions = next..next + batch.writes().len() as u64;
        self.hidden.lock().extend(versions.clone());
        let answer = self.memory.apply(batch).await;
        for _ in 0..20 {
            yield_now().await;
        }
        self.hidden
            .lock()
            .retain(|version| !versions.contains(version));
        answer
    }

    fn told(&self, since: Since<'_>, mut told: Changes) -> Changes {
        let from = since.after().unwrap_or(0);
        match self.fault {
            Fault::DropsAChange => told.changes.retain(|change| change.version % 6 != 5),
            Fault::RepeatsAChange if told.changes.len() > 1 => {
                told.next = told.changes[told.changes.len() - 2].version;
            }
            Fault::ReordersChanges => told.changes.reverse(),
            Fault::TellsRefusedBatches if since.after().is_some() => {
                for mut change in std::mem::take(&mut *self.refused.lock()) {
                    change.version = from + 1;
                    told.changes.insert(0, change);
                }
            }
            Fault::MissesWhatIsWatched if !told.changes.is_empty() => {
                told = Changes::missed(told.next);
            }
            Fault::CutsPagesSilently if told.changes.len() > 100 => {
                told.changes.drain(100..told.changes.len() - 1);
            }
            Fault::TellsReplicasInPart => {
                let hidden = self.hidden.lock();
                told.changes
                    .retain(|change| !hidden.contains(&change.version));
            }
            _ => {}
        }
        told
    }

    fn is_open(&self) -> bool {
        !self.is_closed.load(Ordering::Relaxed)
    }
}

/// Adds a write once more, expecting something else.
fn again(batch: &mut Batch, write: &Write, expect: Expect) {
    let (namespace, key) = (write.namespace(), write.key(0));
    let value = write.value().cloned();
    let added = match (value, key == write.key(1)) {
        (Some(value), true) => batch.put(namespace, &key, expect, value),
        (Some(value), false) => batch.append(namespace, &key[..key.len() - 20], value),
        (None, _) => batch.delete(namespace, &key, expect),
    };
    added.expect("it was valid before");
}

fn bounds_of(from: &Batch, to: &mut Batch) {
    for (namespace, quota) in from.quotas() {
        to.bound(namespace.clone(), *quota);
    }
}

fn without_bounds(batch: &Batch, expect: impl Fn(&Write) -> Expect) -> Batch {
    let mut other = Batch::new();
    for write in batch.writes() {
        again(&mut other, write, expect(write));
    }
    other
}

impl StorageAdapter for Faulty {
    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>> {
        Box::pin(async move {
            if self.fault == Fault::AnswersWhenClosed && !self.is_open() {
                return Ok(None);
            }
            let mut found = self.memory.get(at).await?;
            match self.fault {
                Fault::ReadsWhatWas => {
                    let mut records = self.records.lock();
                    let before = records.insert(at.to_string(), found.clone());
                    return Ok(before.unwrap_or(found));
                }
                Fault::TellsWhatCannotBeRead => {
                    let hidden = self.hidden.lock();
                    found = found.filter(|record| !hidden.contains(&record.version));
                }
                _ => {}
            }
            Ok(found)
        })
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        Box::pin(async move {
            match self.fault {
                Fault::AppliesBatchesInParts if batch.writes().len() > 1 => {
                    self.write_in_parts(&batch).await
                }
                Fault::ReportsOtherVersions => {
                    let outcomes = self.memory.apply(batch).await?;
                    let other = |outcome| match outcome {
                        Outcome::Put { version } => Outcome::Put {
                            version: version / 2 + 1,
                        },
                        other => other,
                    };
                    Ok(outcomes.into_iter().map(other).collect())
                }
                Fault::IgnoresExpectations => {
                    let mut other = without_bounds(&batch, |_| Expect::Any);
                    bounds_of(&batch, &mut other);
                    self.memory.apply(other).await
                }
                Fault::ChangesValues => {
                    let mut other = Batch::new();
                    for write in batch.writes() {
                        let compact = |value: &Payload| {
                            let value: serde_json::Value =
                                serde_json::from_slice(value).expect("values are JSON");
                            value.to_string().into_bytes()
                        };
                        let key = write.key(0);
                        match write.value() {
                            Some(value) if key == write.key(1) => drop(
                                other
                                    .put(write.namespace(), &key, write.expect(), compact(value))
                                    .expect("it was valid before"),
                            ),
                            _ => again(&mut other, write, write.expect()),
                        }
                    }
                    bounds_of(&batch, &mut other);
                    self.memory.apply(other).await
                }
                Fault::AppendsInTheOrderOfArrival => {
                    let mut other = Batch::new();
                    for write in batch.writes() {
                        let (key, value) = (write.key(0), write.value().cloned());
                        match value {
                            Some(value) if key != write.key(1) => {
                                let number = self.count.fetch_add(1, Ordering::Relaxed);
                                let key = appended(&key[..key.len() - 20], number);
                                other
                                    .put(write.namespace(), &key, Expect::Any, value)
                                    .map(drop)
                                    .expect("it was valid before");
                            }
                            _ => again(&mut other, write, write.expect()),
                        }
                    }
                    bounds_of(&batch, &mut other);
                    self.memory.apply(other).await
                }
                Fault::IgnoresQuotas => {
                    let unbounded = without_bounds(&batch, |write| write.expect());
                    self.memory.apply(unbounded).await
                }
                Fault::CountsOverwritingTwice | Fault::ChecksQuotasBeforeItsTurn => {
                    self.write_bounded(&batch).await
                }
                Fault::TellsWhatCannotBeRead => self.write_and_hide(batch).await,
                _ => self.write(batch).await,
            }
        })
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        Box::pin(async move {
            let mut page = match self.fault {
                Fault::ListsWithoutPrefix => {
                    let whole = Query::new(query.namespace(), "").expect("it was valid before");
                    self.memory.list(whole).await?
                }
                _ => self.memory.list(query).await?,
            };
            match self.fault {
                Fault::ListsOutOfOrder => page.entries.reverse(),
                Fault::ListsNoFurther => page.next = None,
                _ => {}
            }
            Ok(page)
        })
    }

    fn changes<'a>(&'a self, since: Since<'a>) -> BoxFuture<'a, Result<Changes, StorageError>> {
        Box::pin(async move {
            let asked = match (self.fault, since.after()) {
                (Fault::StartsFromTheBeginning, None) => {
                    self.memory.changes(Since::all(None)).await?;
                    return Ok(Changes::new(Vec::new(), 0));
                }
                (Fault::WaitsForTheFuture, Some(after)) => {
                    let now = self.memory.changes(Since::all(None)).await?.next;
                    let namespace = since.namespace().unwrap_or("a");
                    Since::new(namespace, since.prefix(), Some(after.min(now)))
                        .map(|capped| {
                            if since.namespace().is_some() {
                                capped
                            } else {
                                Since::all(capped.after())
                            }
                        })
                        .expect("it was valid before")
                }
                (Fault::TellsWhatWasNotAskedFor, after) => Since::all(after),
                (Fault::NeverTells, Some(_)) => std::future::pending().await,
                _ => since,
            };
            let was_open = self.is_open();
            let told = self.memory.changes(asked).await;
            if self.fault == Fault::LeavesWatchersWaiting && was_open && told.is_err() {
                std::future::pending::<()>().await;
            }
            Ok(self.told(since, told?))
        })
    }

    fn usage(&self) -> BoxFuture<'_, Result<Vec<(Arc<str>, Usage)>, StorageError>> {
        Box::pin(async move {
            let mut now = self.memory.usage().await?;
            let mut before = self.usage.lock();
            match self.fault {
                Fault::TellsTheUsageOfBefore => std::mem::swap(&mut *before, &mut now),
                Fault::ListsEmptyNamespaces => {
                    for (namespace, _) in &*before {
                        if !now.iter().any(|(name, _)| name == namespace) {
                            now.push((namespace.clone(), Usage::default()));
                        }
                    }
                    before.clone_from(&now);
                }
                _ => {}
            }
            Ok(now)
        })
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Box<dyn Snapshot>, StorageError>> {
        Box::pin(async move {
            let taken = self.memory.snapshot().await?;
            Ok(Box::new(FaultySnapshot {
                taken,
                memory: self.memory.clone(),
                fault: self.fault,
                is_read: false,
            }) as Box<dyn Snapshot>)
        })
    }

    fn replicate<'a>(
        &'a self,
        changes: &'a [Change],
        last_version: u64,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            match self.fault {
                Fault::RenumbersReplicas => {
                    let mut last = self.memory.snapshot().await?.last_version();
                    let renumbered: Vec<_> = changes
                        .iter()
                        .map(|change| {
                            last += 1;
                            let mut change = change.clone();
                            change.version = last;
                            change
                        })
                        .collect();
                    self.memory
                        .replicate(&renumbered, last_version.max(last))
                        .await
                }
                Fault::KeepsTheCounterOfReplicas => {
                    let newest = changes.iter().map(|change| change.version).max();
                    self.memory.replicate(changes, newest.unwrap_or(0)).await
                }
                Fault::ReplicatesNoDeletions => {
                    let puts: Vec<_> = changes
                        .iter()
                        .filter(|it| it.value.is_some())
                        .cloned()
                        .collect();
                    self.memory.replicate(&puts, last_version).await
                }
                Fault::TellsReplicasInPart => {
                    let but_the_last = changes.iter().rev().skip(1);
                    self.hidden
                        .lock()
                        .extend(but_the_last.map(|change| change.version));
                    self.memory.replicate(changes, last_version).await
                }
                _ => self.memory.replicate(changes, last_version).await,
            }
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        self.is_closed.store(true, Ordering::Relaxed);
        self.memory.close()
    }
}

struct FaultySnapshot {
    taken: Box<dyn Snapshot>,
    memory: Arc<Memory>,
    fault: Fault,
    is_read: bool,
}

impl Snapshot for FaultySnapshot {
    fn last_version(&self) -> u64 {
        self.taken.last_version()
    }

    fn records(&self) -> u64 {
        self.taken.records() + u64::from(self.fault == Fault::MiscountsSnapshots)
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Vec<Change>, StorageError>> {
        Box::pin(async move {
            if self.fault == Fault::TakesSnapshotsLater && !self.is_read {
                self.taken = self.memory.snapshot().await?;
            }
            self.is_read = true;
            let mut some = self.taken.next().await?;
            match self.fault {
                Fault::TakesSnapshotsOutOfOrder => some.reverse(),
                Fault::ReadsSnapshotsInOnePiece => loop {
                    let more = self.taken.next().await?;
                    if more.is_empty() {
                        break;
                    }
                    some.extend(more);
                },
                _ => {}
            }
            Ok(some)
        })
    }
}
