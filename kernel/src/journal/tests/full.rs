//! A journal that is full: who consumes it goes on, so that it can be trimmed.

use super::reading::{positions, record};
use super::*;
use crate::storage::{Quota, Quotas};

/// A kernel on the same storage, where less may be stored than there is.
fn with_less(bench: &Bench) -> Bench {
    let adapter = bench.journals.0.storage.adapter().clone();
    let mut bench = Bench::on(adapter, Neighbours::None);
    let each = Some(Quota { bytes: 10 });
    let storage = bench.journals.0.storage.clone().with_quotas(Quotas {
        each,
        ..Quotas::default()
    });
    let (clock, runtime): (Arc<dyn Clock>, _) = (Arc::new(bench.clock.clone()), Handle::current());
    bench.journals = Journals::new(&storage, &bench.bus, &clock, &runtime, Neighbours::None);
    bench
}

#[test]
fn who_consumes_goes_on_so_that_it_can_be_trimmed() {
    run(async {
        let bench = Bench::new();
        let all = record(&bench.journal(), 0..20).await;
        let old = bench.journal().consumer("old").expect("a name");
        old.next(1).await.expect("there is one");
        let journal = with_less(&bench).journal();
        let refused = journal.record("k", &b"1"[..], None).await;
        let refused = told(&refused.expect_err("it is full"));
        assert!(refused.contains("its quota is 10"), "{refused}");
        for name in ["old", "new"] {
            let consumer = journal.consumer(name).expect("a name");
            let next = consumer.next(100).await.expect("there are some");
            assert_eq!(positions(&next), all);
            let done = consumer.acknowledge(all[19]).await;
            assert_eq!(done.expect("it goes on"), all[19]);
        }
        let trimmed = journal.trim(u64::MAX, Trim::Acknowledged).await;
        assert_eq!(trimmed.expect("it is trimmed"), 20);
    });
}

#[test]
fn consumers_beyond_the_quota_are_bounded() {
    run(async {
        let bench = Bench::new();
        record(&bench.journal(), 0..1).await;
        let less = with_less(&bench);
        let begin = async |name: String| {
            let consumer = less.journal().consumer(&name).expect("a name");
            consumer.next(1).await
        };
        for number in 0..1_000 {
            begin(number.to_string()).await.expect("it begins");
        }
        let refused = begin("more".to_owned()).await.expect_err("it is full");
        let expect = "cannot go on as consumer `more` of stream `readings` of `meters`: \
                      `kernel.journal.meters/c";
        assert!(told(&refused).starts_with(expect), "{}", told(&refused));
        begin("0".to_owned()).await.expect("it is known");
        let journal = less.journal();
        let zero = journal.consumer("0").expect("a name");
        assert!(zero.forget().await.expect("it is forgotten"));
        begin("more".to_owned()).await.expect("it begins");
    });
}
