//! A journal of which a part is lost: a fact without its mark, and a mark without its fact.

use super::reading::{positions, record};
use super::*;

const RECORDS: &str = "kernel.journal.meters";

async fn lose(bench: &Bench, key: &str) {
    let lost = bench.journals.0.storage.delete(RECORDS, key).await;
    assert!(lost.expect("it is deleted"), "`{key}` was there");
}

async fn lose_fact(bench: &Bench, position: u64) {
    lose(bench, &bench.journal().place.fact(position)).await;
}

async fn one(bench: &Bench, key: &str) -> Recorded {
    let topic = Some("meters.read".into());
    let journal = bench.journal();
    let recorded = journal.record(key, payload(&json!(key)), topic);
    recorded.await.expect("it is recorded")
}

#[test]
fn facts_are_trimmed_whose_marks_are_lost() {
    run(async {
        let bench = Bench::new();
        let journal = bench.journal();
        let all = record(&journal, 0..300).await;
        for key in ["0", "5", "6", "299"] {
            lose(&bench, &format!("key/readings/{key}")).await;
        }
        // Nobody knows any more that it was there.
        let again = one(&bench, "5").await;
        assert_eq!(again.novelty, Novelty::New);
        let trim = async |before| journal.trim(before, Trim::Acknowledged).await;
        assert_eq!(trim(all[299] + 1).await.expect("it is trimmed"), 300);
        let left = journal.facts(0, 10).await.expect("they are read");
        assert_eq!(positions(&left), [again.position]);
        let found = journal.find("5").await.expect("it is read");
        assert_eq!(found.as_ref(), left.first(), "its mark stays");
        assert_eq!(trim(u64::MAX).await.expect("it is trimmed"), 1);
        let usage = bench.journals.0.storage.usage().await.expect("read");
        let records = usage.iter().find(|(name, _)| &**name == RECORDS);
        assert_eq!(records.map(|(_, usage)| usage.records), Some(1));
    });
}

#[test]
fn a_key_whose_fact_is_lost_is_new_again() {
    run(async {
        let mut bench = Bench::new();
        bench.open();
        let lost = one(&bench, "k").await.position;
        lose_fact(&bench, lost).await;
        let journal = bench.journal();
        assert_eq!(journal.find("k").await.expect("it is read"), None);
        let again = one(&bench, "k").await;
        assert_eq!(again.novelty, Novelty::New);
        assert!(again.position > lost);
        assert_eq!(one(&bench, "k").await.novelty, Novelty::Repeated);
        let found = journal.find("k").await.expect("it is read");
        assert_eq!(found.map(|fact| fact.position), Some(again.position));
        let told = [lost, again.position].map(|position| ("k".to_owned(), position));
        assert_eq!(bench.rest().await, told);
    });
}

#[test]
fn parts_are_gathered_for_a_key_whose_fact_is_lost() {
    run(async {
        let bench = Bench::new();
        let journal = bench.journal();
        let gather = async |name, expected: &[&str]| {
            let value = &payload(&json!(1))[..];
            let part = Part {
                name,
                value,
                expected,
            };
            journal.gather("k", part, None).await.expect("it is kept")
        };
        // At once, and in two steps.
        for expected in [&["a"][..], &["a", "b"]] {
            lose_fact(&bench, one(&bench, "k").await.position).await;
            let mut gathered = gather("a", expected).await;
            assert_eq!(gathered.missing, expected[1..]);
            if expected.len() > 1 {
                gathered = gather("b", expected).await;
            }
            assert_eq!(gathered.novelty, Novelty::New);
            let found = journal.find("k").await.expect("it is read");
            let found = found.map(|fact| fact.position);
            assert_eq!(found, gathered.position);
            journal
                .trim(u64::MAX, Trim::Forced)
                .await
                .expect("it is trimmed");
        }
    });
}
