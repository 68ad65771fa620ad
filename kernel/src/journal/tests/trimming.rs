//! Trimming: what is forgotten, and whom it waits for, also who comes meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::faulty::Faulty;
use super::reading::{positions, record};
use super::*;
use crate::storage::{Batch, Expect};

const RECORDS: &str = "kernel.journal.meters";

/// What is written when a consumer begins.
async fn beginning(name: &str) -> Batch {
    let adapter = Faulty::over(Arc::new(Memory::new()), Vec::new()).await;
    let bench = Bench::on(adapter.clone(), Neighbours::None);
    record(&bench.journal(), 0..1).await;
    let seen = Arc::new(Mutex::new(None));
    let sees = seen.clone();
    adapter.others(move |batch| {
        *sees.lock() = Some(batch.clone());
        None
    });
    let consumer = bench.journal().consumer(name).expect("a name");
    consumer.next(1).await.expect("there is one");
    seen.lock().take().expect("something is written")
}

/// What others commit once, before the first batch that writes to such a key.
async fn others(memory: &Arc<dyn StorageAdapter>, prefix: &'static str, batch: Batch) -> Bench {
    let adapter = Faulty::over(memory.clone(), Vec::new()).await;
    let is_done = AtomicBool::new(false);
    adapter.others(move |about| {
        let mut writes = about.writes().iter();
        let is_first = writes.any(|write| write.key(0).starts_with(prefix))
            && !is_done.swap(true, Ordering::Relaxed);
        is_first.then(|| batch.clone())
    });
    Bench::on(adapter, Neighbours::None)
}

#[test]
fn who_begins_while_it_is_trimmed_has_all_that_is_there_then() {
    run(async {
        for how in [Trim::Acknowledged, Trim::Forced] {
            let memory: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
            let before = Bench::on(memory.clone(), Neighbours::None).journal();
            let all = record(&before, 0..300).await;
            before
                .consumer("done")
                .expect("a name")
                .acknowledge(all[299])
                .await
                .expect("it is");
            let journal = others(&memory, "log/", beginning("new").await)
                .await
                .journal();
            let forgotten = journal.trim(u64::MAX, how).await.expect("it is trimmed");
            let new = journal.consumer("new").expect("a name");
            match how {
                Trim::Acknowledged => {
                    assert_eq!(forgotten, 0);
                    let next = new.next(1).await.expect("there is one");
                    assert_eq!(positions(&next), all[..1], "{how:?}");
                }
                Trim::Forced => {
                    assert_eq!(forgotten, 300);
                    let done = new.position().await.expect("it is read");
                    assert_eq!(done, all[299], "it goes on behind");
                }
            }
        }
    });
}

#[test]
fn who_begins_between_two_batches_keeps_the_rest() {
    run(async {
        let memory: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let before = Bench::on(memory.clone(), Neighbours::None).journal();
        let all = record(&before, 0..600).await;
        // The first fact of the second batch.
        let prefix = format!("log/readings/{:020}", all[250]).leak();
        let journal = others(&memory, prefix, beginning("new").await)
            .await
            .journal();
        let trimmed = journal.trim(u64::MAX, Trim::Acknowledged).await;
        assert_eq!(trimmed.expect("it is trimmed"), 250);
        let new = journal.consumer("new").expect("a name");
        let next = new.next(1).await.expect("there is one");
        assert_eq!(positions(&next), all[250..251]);
    });
}

#[test]
fn two_who_trim_forget_each_fact_once() {
    run(async {
        let memory: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let one = Bench::on(memory.clone(), Neighbours::None).journal();
        record(&one, 0..600).await;
        let two = Bench::on(memory, Neighbours::None).journal();
        let (a, b) = tokio::join!(
            one.trim(u64::MAX, Trim::Acknowledged),
            two.trim(u64::MAX, Trim::Acknowledged)
        );
        assert_eq!(a.expect("it is trimmed") + b.expect("it is trimmed"), 600);
    });
}

#[test]
fn who_is_forgotten_while_it_is_trimmed_stays_forgotten() {
    run(async {
        let memory: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let before = Bench::on(memory.clone(), Neighbours::None).journal();
        let all = record(&before, 0..3).await;
        before
            .consumer("gone")
            .expect("a name")
            .next(1)
            .await
            .expect("there is one");
        let mut forgetting = Batch::new();
        let forgotten = forgetting.delete(RECORDS, "cursor/readings/gone", Expect::Any);
        forgotten.expect("valid");
        let journal = others(&memory, "cursor/", forgetting).await.journal();
        let trimmed = journal.trim(all[2], Trim::Forced).await;
        assert_eq!(trimmed.expect("it is trimmed"), 2);
        assert_eq!(journal.consumers().await.expect("listed"), []);
    });
}

#[test]
fn facts_are_trimmed_behind_the_slowest() {
    run(async {
        let journal = Bench::new().journal();
        let all = record(&journal, 0..600).await;
        let [fast, slow] = ["fast", "slow"].map(|name| journal.consumer(name).expect("a name"));
        fast.acknowledge(all[500]).await.expect("it is");
        slow.next(1).await.expect("there is one");
        let trim = async |before, how| journal.trim(before, how).await.expect("it is trimmed");
        assert_eq!(
            trim(all[400], Trim::Acknowledged).await,
            0,
            "nothing is acknowledged by all"
        );
        slow.acknowledge(all[2]).await.expect("it is");
        assert_eq!(trim(u64::MAX, Trim::Acknowledged).await, 3);
        assert_eq!(trim(all[0], Trim::Forced).await, 0);
        assert_eq!(
            trim(all[400], Trim::Forced).await,
            397,
            "in more than one batch"
        );
        assert_eq!(
            positions(&journal.facts(0, 1).await.expect("read")),
            [all[400]]
        );
        assert_eq!(
            slow.position().await.expect("read"),
            all[399],
            "it goes on behind"
        );
        assert_eq!(fast.position().await.expect("read"), all[500]);
        assert_eq!(
            slow.acknowledge(all[7]).await.expect("it is"),
            all[399],
            "though it is gone"
        );
        assert_eq!(journal.find("0").await.expect("read"), None);
        let again = journal
            .record("0", payload(&json!(0)), None)
            .await
            .expect("recorded");
        assert_eq!(again.novelty, Novelty::New, "its key is forgotten, too");
        assert_eq!(trim(u64::MAX, Trim::Forced).await, 201);
        assert_eq!(
            slow.position().await.expect("read"),
            again.position,
            "not beyond what was"
        );
        let storage = &journal.shared.storage;
        let usage = storage.usage().await.expect("read");
        let records = usage
            .iter()
            .find(|(name, _)| &**name == "kernel.journal.meters");
        assert_eq!(
            records.map(|(_, usage)| usage.records),
            Some(3),
            "the two consumers, and that they began"
        );
    });
}
