//! The end of a kernel: in bounded time, whatever the storage does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use octa_plugin_api::{export, tentacle};

use super::faulty::{Fate, Faulty};
use super::neighbours::pass;
use super::outbox::{record, settle};
use super::*;
use crate::{Config, Kernel, Linked, lifecycle::State};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does nothing.
#[derive(Default)]
struct Lamp;

#[tentacle(name = "lamp")]
impl Lamp {}

#[test]
fn an_end_does_not_wait_for_a_storage_that_is_lost() {
    run(async {
        let memory: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        // It is never answered that the event is deleted.
        let fates = vec![Fate::Done(0), Fate::CutBefore];
        let faulty = Faulty::over(memory.clone(), fates).await;
        let mut bench = Bench::on(faulty.clone(), Neighbours::Perhaps);
        bench.open();
        let position = record(&bench.journal(), "k").await;
        faulty.cut().await;
        assert_eq!(bench.hear().await["key"], "k");
        let journals = bench.journals.clone();
        let closing = tokio::spawn(async move { journals.close().await });
        settle().await;
        pass(&[&bench], 4).await;
        assert!(!closing.is_finished(), "it is given some time");
        pass(&[&bench], 1).await;
        assert!(closing.is_finished());
        let mut next = Bench::on(memory, Neighbours::None);
        next.open();
        assert_eq!(next.rest().await, [("k".to_owned(), position)]);
    });
}

#[test]
fn what_is_recorded_while_it_ends_is_left() {
    run(async {
        let memory: Arc<dyn StorageAdapter> = Arc::new(Memory::new());
        // The event is deleted slowly.
        let fates = vec![Fate::Done(0), Fate::Done(50)];
        let faulty = Faulty::over(memory.clone(), fates).await;
        let mut bench = Bench::on(faulty, Neighbours::None);
        record(&bench.journal(), "k").await;
        let journals = bench.journals.clone();
        let closing = tokio::spawn(async move { journals.close().await });
        settle().await;
        bench.open();
        assert_eq!(bench.hear().await["key"], "k");
        let late = record(&bench.journal(), "late").await;
        assert!(!closing.is_finished());
        closing.await.expect("it ends");
        assert!(bench.heard.try_recv().is_none());
        let mut next = Bench::on(memory, Neighbours::None);
        next.open();
        assert_eq!(next.rest().await, [("late".to_owned(), late)]);
    });
}

#[test]
fn a_sign_that_was_not_shown_is_not_taken_away() {
    run(async {
        for seconds in [0, 2] {
            let faulty = Faulty::over(Arc::new(Memory::new()), Vec::new()).await;
            let signs = Arc::new(AtomicUsize::new(0));
            let counted = signs.clone();
            faulty.others(move |batch| {
                let mut writes = batch.writes().iter();
                let is_of_signs = writes.any(|write| &**write.namespace() == "kernel.outbox");
                counted.fetch_add(usize::from(is_of_signs), Ordering::Relaxed);
                None
            });
            let mut bench = Bench::on(faulty, Neighbours::Perhaps);
            tokio::spawn(bench.journals.run());
            record(&bench.journal(), "k").await;
            pass(&[&bench], seconds).await;
            bench.journals.open();
            assert_eq!(bench.rest().await.len(), 1);
            let signs = signs.load(Ordering::Relaxed);
            let expect = if seconds == 0 { 0 } else { signs.max(2) };
            assert_eq!(signs, expect, "after {seconds} s");
        }
    });
}

#[tokio::test]
async fn plugins_are_stopped_though_the_journal_cannot_be_closed() {
    let fates = vec![Fate::Done(0), Fate::CutBefore];
    let faulty = Faulty::over(Arc::new(Memory::new()), fates).await;
    let faulty = Arc::into_inner(faulty).expect("nobody else has it");
    let clock = VirtualClock::default();
    // Time goes faster here than plugins stop.
    let config = Config::parse("[kernel]\nstop_deadline = \"1000000m\"", "octa.toml");
    let plugin = Linked::new(&export::linked::<Lamp>()).expect("a manifest");
    let kernel = Kernel::builder()
        .clock(clock.clone())
        .storage(faulty)
        .config(config.expect("a configuration"))
        .plugin(plugin)
        .build()
        .expect("a kernel");
    kernel.start().await.expect("nothing to look for");
    assert_eq!(kernel.plugins()[0].state, State::Started);
    let mut heard = kernel.subscribe("lamps.told").await.expect("a pattern");
    let journal = kernel.journal("lamps", "readings").expect("names");
    let recorded = journal.record("k", payload(&json!(1)), Some("lamps.told".into()));
    recorded.await.expect("it is recorded");
    heard.recv().await.expect("the bus is open");
    let stopped = kernel.clone();
    let mut stopping = tokio::spawn(async move { stopped.stop().await });
    let stops = async {
        while !stopping.is_finished() {
            clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    };
    let stops = tokio::time::timeout(PATIENCE, stops).await;
    stops.expect("it stops");
    (&mut stopping).await.expect("it does not panic");
    assert_ne!(kernel.plugins()[0].state, State::Started);
}
