//! Facts in order, and consumers.

use super::*;

/// Records these many facts; answers their positions.
pub(super) async fn record(journal: &Journal, keys: std::ops::Range<u64>) -> Vec<u64> {
    let mut positions = Vec::new();
    for key in keys {
        let (key, fact) = (key.to_string(), payload(&json!(key)));
        let recorded = journal.record(&key, fact, None).await;
        positions.push(recorded.expect("it is recorded").position);
    }
    positions
}

pub(super) fn positions(facts: &[Fact]) -> Vec<u64> {
    facts.iter().map(|fact| fact.position).collect()
}

#[test]
fn facts_are_read_in_order() {
    run(async {
        let journal = Bench::new().journal();
        let all = record(&journal, 0..5).await;
        let read = async |after, limit| {
            let facts = journal.facts(after, limit).await;
            positions(&facts.expect("they are read"))
        };
        assert_eq!(read(0, 10).await, all);
        assert_eq!(read(all[1], 2).await, all[2..4]);
        assert_eq!(read(all[4], 10).await, [0; 0]);
        for (limit, found) in [(0, "0"), (1_001, "1001")] {
            let refused = journal.facts(0, limit).await.expect_err("it is refused");
            let expect = format!("the limit of a page has {found} entries, expected 1 to 1000");
            assert_eq!(told(&refused), expect);
        }
    });
}

#[test]
fn the_next_fact_is_waited_for() {
    run(async {
        let journal = Bench::new().journal();
        let waiter = journal.clone();
        let waiting = tokio::spawn(async move { waiter.facts_to_come(0, 10).await });
        tokio::task::yield_now().await;
        let other = journal.shared.storage.clone();
        other
            .set("meters", "unrelated", payload(&json!(1)))
            .await
            .expect("it is written");
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        let all = record(&journal, 0..1).await;
        let come = waiting.await.expect("it ends").expect("they are read");
        assert_eq!(positions(&come), all);
    });
}

#[test]
fn a_consumer_goes_on_behind_what_it_acknowledged() {
    run(async {
        let journal = Bench::new().journal();
        let all = record(&journal, 0..4).await;
        let consumer = journal.consumer("billing").expect("a name");
        let next = async |consumer: &Consumer| {
            let facts = consumer.next(2).await.expect("there are some");
            positions(&facts)
        };
        assert_eq!(next(&consumer).await, all[..2]);
        assert_eq!(
            next(&consumer).await,
            all[..2],
            "the same until it is acknowledged"
        );
        assert_eq!(consumer.acknowledge(all[0]).await.expect("it is"), all[0]);
        assert_eq!(next(&consumer).await, all[1..3]);
        assert_eq!(consumer.acknowledge(all[2]).await.expect("it is"), all[2]);
        // Another of the same name is behind, and does not draw it back.
        let other = journal.consumer("billing").expect("a name");
        assert_eq!(other.acknowledge(all[1]).await.expect("it is"), all[2]);
        assert_eq!(other.position().await.expect("it is read"), all[2]);
        assert_eq!(next(&other).await, all[3..]);
        assert_eq!(
            next(&journal.consumer("else").expect("a name")).await,
            all[..2]
        );
        let consumers = journal.consumers().await.expect("they are listed");
        assert_eq!(
            consumers,
            [("billing".to_owned(), all[2]), ("else".to_owned(), 0)]
        );
        assert!(consumer.forget().await.expect("it is forgotten"));
        assert!(!consumer.forget().await.expect("it is unknown"));
        assert_eq!(next(&consumer).await, all[..2]);
    });
}

#[test]
fn what_is_to_come_is_not_acknowledged() {
    run(async {
        let journal = Bench::new().journal();
        let all = record(&journal, 0..1).await;
        let consumer = journal.consumer("billing").expect("a name");
        for position in [all[0] + 1, u64::MAX] {
            let refused = consumer
                .acknowledge(position)
                .await
                .expect_err("it is refused");
            let expect = format!(
                "consumer `billing` of stream `readings` of `meters` acknowledges {position}, \
                 where there is no fact (hint: acknowledge the position of a fact that was read)"
            );
            assert_eq!(told(&refused), expect);
        }
        assert_eq!(consumer.position().await.expect("it is read"), 0);
    });
}
