//! Several kernels on one storage: who tells what another has left.

use std::time::Duration;

use super::faulty::{Fate, Faulty};
use super::outbox::{record, settle};
use super::*;
use crate::storage::Query;

/// Lets time go on in steps, so that all that waits for it does what it does.
pub(super) async fn pass(benches: &[&Bench], seconds: u64) {
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
            usage
                .iter()
                .all(|(name, _)| !name.starts_with("kernel.outbox")),
            "no sign is left"
        );
    });
}

#[test]
fn what_is_left_by_a_clean_end_is_told_by_one_that_starts_meanwhile() {
    run(async {
        let adapter: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        let ends = Bench::on(adapter.clone(), Neighbours::Perhaps);
        tokio::spawn(ends.journals.run());
        let left = record(&ends.journal(), "left").await;
        pass(&[&ends], 2).await;
        let mut starts = Bench::on(adapter, Neighbours::Perhaps);
        starts.open();
        // It has looked at the sign of life, and sees it taken away.
        pass(&[&starts], 1).await;
        ends.journals.close().await;
        pass(&[&starts], 3).await;
        assert!(starts.heard.try_recv().is_none(), "it may be told yet");
        pass(&[&starts], 2).await;
        assert_eq!(starts.rest().await, [("left".to_owned(), left)]);
    });
}

#[test]
fn what_cannot_be_read_holds_up_its_namespace_alone() {
    run(async {
        for neighbours in [Neighbours::None, Neighbours::Perhaps] {
            let memory: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
            let before = Bench::on(memory.clone(), neighbours);
            let aside = |bench: &Bench| {
                let journal = bench.journals.journal("lamps", "readings", "lamps");
                journal.expect("valid names")
            };
            record(&before.journal(), "unread").await;
            let mut expect = vec![("left".to_owned(), record(&aside(&before), "left").await)];
            let damaged = Faulty::over(memory.clone(), Vec::new()).await;
            let line = "kernel.outbox.meters";
            let query = Query::new(line, "").expect("a query");
            let page = memory.list(query).await.expect("a page");
            damaged.damage(line, &page.entries[0].key);
            let mut after = Bench::on(damaged, neighbours);
            after.open();
            record(&after.journal(), "behind").await;
            expect.push(("new".to_owned(), record(&aside(&after), "new").await));
            pass(&[&after], 6).await;
            assert_eq!(after.rest().await, expect);
            // Where it is mended, all of it is told in its order.
            let mut mended = Bench::on(memory, Neighbours::None);
            mended.open();
            let told = mended.rest().await;
            let keys: Vec<_> = told.iter().map(|(key, _)| &**key).collect();
            assert_eq!(keys, ["unread", "behind"]);
        }
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
