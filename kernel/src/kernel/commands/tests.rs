//! Starts that fail and what they leave, and stops over a storage that does not answer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use octa_plugin_api::{Error, ErrorKind, Payload, export, tentacle};

use super::*;
use crate::{
    Linked,
    bus::SubscriptionOptions,
    dead_letters::GivenUp,
    storage::{
        Address, Batch, BoxFuture, Memory, Outcome, Page, Query, Record, StorageAdapter,
        StorageError,
    },
    time::VirtualClock,
};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does nothing.
#[derive(Default)]
struct Lamp;

#[tentacle(name = "lamp")]
impl Lamp {}

fn lamp() -> Linked {
    Linked::new(&export::linked::<Lamp>()).expect("a manifest")
}

/// From when on a storage does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lost {
    Never,
    AtClose,
    Wholly,
}

/// A storage that stops answering, and can be read after it was closed.
#[derive(Clone, Debug)]
struct Losing {
    memory: Arc<Memory>,
    lost: Arc<AtomicUsize>,
}

impl Losing {
    fn new(lost: Lost) -> Self {
        Self {
            memory: Arc::default(),
            lost: Arc::new(AtomicUsize::new(lost as usize)),
        }
    }

    fn lose(&self, lost: Lost) {
        self.lost.store(lost as usize, Ordering::SeqCst);
    }

    async fn answer<T>(&self, unless: Lost, answer: impl Future<Output = T>) -> T {
        if self.lost.load(Ordering::SeqCst) >= unless as usize {
            std::future::pending::<()>().await;
        }
        answer.await
    }
}

impl StorageAdapter for Losing {
    crate::delegate_storage!(memory: changes, usage, snapshot, replicate);

    fn get<'a>(&'a self, at: Address<'a>) -> BoxFuture<'a, Result<Option<Record>, StorageError>> {
        Box::pin(self.answer(Lost::Wholly, self.memory.get(at)))
    }

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        Box::pin(self.answer(Lost::Wholly, self.memory.apply(batch)))
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        Box::pin(self.answer(Lost::Wholly, self.memory.list(query)))
    }

    fn close(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(self.answer(Lost::AtClose, async { Ok(()) }))
    }
}

/// Stops a kernel while time goes on; it must end.
async fn stop(kernel: &Kernel, clock: &VirtualClock) {
    let stopped = kernel.clone();
    let stopping = tokio::spawn(async move { stopped.stop().await });
    let passes = async {
        while !stopping.is_finished() {
            clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    };
    let stops = tokio::time::timeout(PATIENCE, passes).await;
    stops.expect("it stops");
    stopping.await.expect("it does not panic");
}

/// Gives up an event, so that there is a dead letter.
fn give_up(kernel: &Kernel) {
    let bus = &kernel.commons().bus;
    let options = SubscriptionOptions::new("worker", "work.now".parse().expect("a pattern"));
    let mut subscription = bus.subscribe(options);
    let publisher = bus.publisher("tester");
    drop(publisher.publish("work.now", Payload::empty(), 0));
    let given_up = GivenUp {
        subscription: &subscription.handle(),
        event: &subscription.try_recv().expect("an event"),
        error: &Error::new(ErrorKind::Failed, "on purpose".to_owned()),
        attempts: 1,
    };
    kernel.commons().letters.add(&given_up);
}

#[tokio::test]
async fn a_stop_ends_though_the_storage_never_answers() {
    for lost in [Lost::Never, Lost::AtClose, Lost::Wholly] {
        for has_answered in [false, true] {
            let clock = VirtualClock::default();
            let storage = Losing::new(if has_answered { Lost::Never } else { lost });
            let kernel = Kernel::builder()
                .clock(clock.clone())
                .storage(storage.clone())
                .build()
                .expect("a kernel");
            if has_answered {
                kernel.commons().letters.known().await;
                storage.lose(lost);
            }
            give_up(&kernel);
            stop(&kernel, &clock).await;
        }
    }
}

/// How many events wait to be told.
async fn waiting(storage: &Losing) -> u64 {
    let usage = storage.usage().await.expect("read");
    let lines = usage
        .iter()
        .filter(|(name, _)| &**name == "kernel.outbox.lamps");
    lines.map(|(_, usage)| usage.records).sum()
}

#[tokio::test]
async fn what_waits_is_told_by_a_start_that_succeeds_and_by_nothing_else() {
    let folder = tempfile::tempdir().expect("a directory");
    let there = folder.path().join("plugins");
    std::fs::create_dir(&there).expect("it is made");
    // Each with an event, and a storage that is read after the end.
    let begin = async |plugins: &Path| {
        let storage = Losing::new(Lost::Never);
        let builder = Kernel::builder().storage(storage.clone()).plugin(lamp());
        let kernel = builder.plugins(plugins).build().expect("a kernel");
        let journal = kernel.journal("lamps", "readings").expect("names");
        let recorded = journal.record("k", &b"1"[..], Some("lamps.told".into()));
        recorded.await.expect("it is recorded");
        (kernel, storage)
    };
    let (fails, storage) = begin(&folder.path().join("missing")).await;
    let failed = fails.start().await.expect_err("there is no directory");
    assert!(matches!(failed, ScanError::Directory(_)), "{failed}");
    fails.stop().await;
    assert_eq!(waiting(&storage).await, 1, "a start fails");
    let (one, storage) = begin(&there).await;
    one.start_plugin("typo").await.expect_err("there is none");
    one.start_plugin("lamp").await.expect("it starts");
    one.stop().await;
    assert_eq!(waiting(&storage).await, 1, "one plugin is started");
    let (all, storage) = begin(&there).await;
    all.start().await.expect("there is a directory");
    all.stop().await;
    assert_eq!(waiting(&storage).await, 0, "all are started");
}
