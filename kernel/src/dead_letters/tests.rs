//! Letters that are added, taken, written down and read again, over storages that are slow, fail,
//! or were left in the middle.

mod shared;

use std::{
    pin::pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};

use octa_plugin_api::{ErrorKind, Payload};
use tokio::sync::Semaphore;

use super::*;
use crate::{
    bus::{Subscription, SubscriptionOptions},
    storage::{Batch, BoxFuture, Memory, Outcome, Page, Query, StorageAdapter, StorageError},
    time::VirtualClock,
};

/// A kernel's letters, and what a kernel has beside them.
struct Desk {
    letters: DeadLetters,
    clock: VirtualClock,
    bus: Bus,
    subscription: Subscription,
}

impl Desk {
    fn new() -> Self {
        Self::bounded(LETTERS_MAX, BYTES_MAX)
    }

    fn bounded(letters_max: usize, bytes_max: usize) -> Self {
        let clock = VirtualClock::default();
        let bus = Bus::new(Arc::new(|| 5));
        let pattern = "work.**".parse().expect("a pattern");
        let options = SubscriptionOptions {
            declared: Some(0),
            ..SubscriptionOptions::new("worker", pattern)
        };
        Self {
            letters: DeadLetters::bounded(Arc::new(clock.clone()), letters_max, bytes_max),
            clock,
            subscription: bus.subscribe(options),
            bus,
        }
    }

    fn add(&mut self, payload: Payload, cause: &str) -> u64 {
        let publisher = self.bus.publisher("tester");
        let published = publisher.publish("work.now", payload, 9);
        drop(published.expect("a topic"));
        let given_up = GivenUp {
            subscription: &self.subscription.handle(),
            event: &self.subscription.try_recv().expect("an event"),
            error: &Error::new(ErrorKind::Failed, cause.to_owned()),
            attempts: 3,
        };
        self.letters.add(&given_up)
    }

    fn add_number(&mut self, number: u64) -> u64 {
        self.add(Payload::json(&number).expect("JSON"), "on purpose")
    }

    fn ids(&self) -> Vec<u64> {
        self.letters.all().iter().map(|letter| letter.id).collect()
    }

    /// The key of a letter's first record.
    fn key(&self, id: u64) -> String {
        format!("{id:020}/{}", self.letters.0.kernel)
    }

    /// Runs the keeper until all is written down and it has ended.
    async fn keep_to_the_end(&self, storage: &Storage) {
        tokio::join!(self.letters.keep(storage.clone()), self.letters.close());
    }
}

/// What another kernel reads from the same storage.
async fn read_again(storage: &Storage) -> Desk {
    let desk = Desk::new();
    desk.keep_to_the_end(storage).await;
    desk
}

async fn keys(storage: &Storage) -> Vec<String> {
    let query = Query::new(NAMESPACE, "").and_then(|query| query.limit(1_000));
    let page = storage.list(query.expect("a query")).await.expect("a page");
    page.entries
        .iter()
        .map(|entry| entry.key.to_string())
        .collect()
}

#[tokio::test]
async fn letters_come_back_as_they_were() {
    let storage = Storage::new(Memory::new());
    let mut desk = Desk::new();
    desk.add(Payload::from("{\"a\": 1}".as_bytes()), "first");
    desk.add(Payload::from(vec![0xff, 0, 0x7f]), "second");
    desk.add(Payload::empty(), &"ä".repeat(CAUSE_MAX));
    desk.keep_to_the_end(&storage).await;
    let again = read_again(&storage).await;
    let texts = |desk: &Desk| {
        let letters = desk.letters.all().into_iter();
        letters
            .map(|letter| format!("{letter:?}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&again), texts(&desk));
    let letter = again.letters.get(1).expect("it is there");
    assert_eq!(
        (&*letter.plugin, &*letter.subscription),
        ("worker", "work.**")
    );
    assert_eq!(
        (&*letter.cause, &*letter.kind, letter.attempts),
        ("first", "failed", 3)
    );
    assert_eq!(u128::from(letter.time), desk.clock.wall().as_nanos());
    let event = &letter.event;
    assert_eq!((&*event.topic, &*event.source), ("work.now", "tester"));
    assert_eq!((event.time, event.sequence, event.correlation), (5, 1, 9));
}

#[tokio::test]
async fn numbers_go_on_where_they_were() {
    let storage = Storage::new(Memory::new());
    let mut desk = Desk::new();
    for number in 0..3 {
        desk.add_number(number);
    }
    assert!(desk.letters.forget(2).is_some() && desk.letters.forget(2).is_none());
    desk.keep_to_the_end(&storage).await;
    let mut again = read_again(&storage).await;
    assert_eq!(again.ids(), [1, 3]);
    assert_eq!(again.add_number(9), 4);
}

#[tokio::test]
async fn large_events_lie_in_pieces() {
    let storage = Storage::new(Memory::new());
    let mut desk = Desk::new();
    // The worst that can be: every byte is escaped, and the batches are full.
    let text = Payload::from("\u{1}".repeat(9 << 20).into_bytes());
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    let bytes = Payload::from(bytes);
    desk.add(text.clone(), &"\u{1}".repeat(CAUSE_MAX));
    desk.add(bytes.clone(), "odd");
    desk.keep_to_the_end(&storage).await;
    let again = read_again(&storage).await;
    let payload = |id| {
        again
            .letters
            .get(id)
            .expect("it is there")
            .event
            .payload
            .clone()
    };
    assert!(payload(1) == text && payload(2) == bytes);
    let last = Desk::new();
    let keeping = last.letters.keep(storage.clone());
    tokio::join!(keeping, async {
        last.letters.known().await;
        for id in [1, 2] {
            last.letters.forget(id).expect("it is there");
        }
        last.letters.close().await;
    });
    assert_eq!(keys(&storage).await, [""; 0]);
}

#[tokio::test]
async fn what_was_left_in_the_middle_is_cleared_away() {
    let storage = Storage::new(Memory::new());
    let mut desk = Desk::new();
    desk.add(Payload::from(vec![b'1'; 300_000]), "in pieces");
    desk.add_number(2);
    desk.keep_to_the_end(&storage).await;
    let (head, rest) = (desk.key(1), desk.key(2));
    assert_eq!(keys(&storage).await.len(), 4);
    storage
        .delete(NAMESPACE, &head)
        .await
        .expect("it is deleted");
    let newer = Desk::new().key(7);
    storage
        .set(NAMESPACE, &newer, &b"{\"newer\": 1}"[..])
        .await
        .expect("it is written");
    storage
        .set(NAMESPACE, "no number", &b"1"[..])
        .await
        .expect("it is written");
    let mut again = read_again(&storage).await;
    assert_eq!(again.ids(), [2]);
    let left = [rest, newer, "no number".to_owned()];
    assert_eq!(keys(&storage).await, left);
    assert_eq!(again.add_number(0), 8);
}

#[test]
fn the_oldest_make_room() {
    let mut desk = Desk::bounded(3, 2_000);
    for number in 0..5 {
        desk.add_number(number);
    }
    assert_eq!(desk.ids(), [3, 4, 5]);
    desk.add(Payload::from(vec![b'1'; 1_200]), "large");
    assert_eq!(desk.ids(), [5, 6]);
    desk.add(
        Payload::from(vec![b'1'; 5_000]),
        "larger than all that may be",
    );
    assert_eq!(desk.ids(), [7]);
    desk.add_number(8);
    assert_eq!(desk.ids(), [8]);
}

#[tokio::test]
async fn more_than_may_be_kept_are_not_read_again() {
    let storage = Storage::new(Memory::new());
    let mut desk = Desk::new();
    for number in 0..10 {
        desk.add_number(number);
    }
    desk.keep_to_the_end(&storage).await;
    let again = Desk::bounded(4, BYTES_MAX);
    again.keep_to_the_end(&storage).await;
    assert_eq!(again.ids(), [7, 8, 9, 10]);
    assert_eq!(keys(&storage).await.len(), 4);
}

/// The numbers and causes of a kernel's letters.
fn causes(desk: &Desk) -> Vec<(u64, String)> {
    let letters = desk.letters.all();
    let causes = letters.iter().map(|it| (it.id, it.cause.clone()));
    causes.collect()
}

/// A storage that stands still until it is let on, and may fail.
#[derive(Debug, Clone)]
struct Slow {
    memory: Arc<Memory>,
    turns: Arc<Semaphore>,
    fails: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
}

impl Slow {
    fn new() -> Self {
        Self {
            memory: Arc::new(Memory::new()),
            turns: Arc::new(Semaphore::new(0)),
            fails: Arc::default(),
            written: Arc::default(),
        }
    }
}

impl StorageAdapter for Slow {
    crate::delegate_storage!(memory: get, changes, usage, snapshot, replicate, close);

    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Vec<Outcome>, StorageError>> {
        Box::pin(async move {
            let turn = self.turns.acquire().await.expect("it is open");
            turn.forget();
            if self.fails.load(Ordering::SeqCst) {
                return Err(refused());
            }
            self.written
                .fetch_add(batch.writes().len(), Ordering::SeqCst);
            self.memory.apply(batch).await
        })
    }

    fn list<'a>(&'a self, query: Query<'a>) -> BoxFuture<'a, Result<Page, StorageError>> {
        match self.fails.load(Ordering::SeqCst) {
            true => Box::pin(async { Err(refused()) }),
            false => self.memory.list(query),
        }
    }
}

fn refused() -> StorageError {
    StorageError::Unavailable {
        store: "slow".into(),
        trouble: crate::storage::Trouble::Full,
        source: Arc::new(std::io::Error::other("on purpose")),
    }
}

fn poll(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> Poll<()> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_flood_waits_for_nobody_and_takes_no_more_room() {
    let slow = Slow::new();
    let mut desk = Desk::bounded(100, BYTES_MAX);
    let mut keeping = pin!(desk.letters.keep(Storage::new(slow.clone())));
    assert!(poll(keeping.as_mut()).is_pending());
    for number in 0..50_000 {
        desk.add_number(number);
        if number % 1_000 == 0 {
            assert!(
                poll(keeping.as_mut()).is_pending(),
                "the storage stands still"
            );
        }
    }
    assert_eq!(desk.ids(), (49_901..=50_000).collect::<Vec<_>>());
    let (unwritten, written) = desk.letters.0.table.lock().pending();
    assert!(unwritten <= 200 && written <= 200, "{unwritten}, {written}");
    slow.turns.add_permits(10);
    assert!(poll(keeping.as_mut()).is_pending());
    assert_eq!(desk.letters.0.table.lock().pending(), (0, 100));
    // What had made room before it was written was never written.
    let found = slow.written.load(Ordering::SeqCst);
    assert!(found <= 100 + 2 * 100, "{found}");
}

#[tokio::test]
async fn what_could_not_be_written_is_written_later() {
    let slow = Slow::new();
    slow.turns.add_permits(1_000);
    let storage = Storage::new(slow.clone());
    let mut desk = Desk::new();
    let letters = desk.letters.clone();
    let mut keeping = pin!(letters.keep(storage.clone()));
    assert!(poll(keeping.as_mut()).is_pending());
    slow.fails.store(true, Ordering::SeqCst);
    desk.add_number(1);
    desk.add_number(2);
    assert!(poll(keeping.as_mut()).is_pending());
    desk.letters.forget(1).expect("it is there");
    desk.add_number(3);
    slow.fails.store(false, Ordering::SeqCst);
    assert!(
        poll(keeping.as_mut()).is_pending(),
        "it is left alone for a while"
    );
    assert_eq!(keys(&storage).await.len(), 0);
    let pause = desk.clock.until_next().expect("it waits");
    desk.clock.advance(pause);
    assert!(poll(keeping.as_mut()).is_pending());
    assert_eq!(keys(&storage).await, [desk.key(2), desk.key(3)]);
}

#[tokio::test]
async fn what_could_not_be_read_is_read_later() {
    let slow = Slow::new();
    slow.turns.add_permits(1_000);
    let storage = Storage::new(slow.clone());
    let mut before = Desk::new();
    before.add(Payload::empty(), "before");
    before.keep_to_the_end(&storage).await;
    slow.fails.store(true, Ordering::SeqCst);
    let mut desk = Desk::new();
    let letters = desk.letters.clone();
    let mut keeping = pin!(letters.keep(storage.clone()));
    assert!(poll(keeping.as_mut()).is_pending(), "it is tried again");
    desk.letters.known().await;
    assert_eq!(desk.add(Payload::empty(), "meanwhile"), 1);
    slow.fails.store(false, Ordering::SeqCst);
    let pause = desk.clock.until_next().expect("it waits");
    desk.clock.advance(pause);
    assert!(poll(keeping.as_mut()).is_pending());
    let expect = [(1, "meanwhile".to_owned()), (2, "before".to_owned())];
    assert_eq!(causes(&desk), expect);
    assert_eq!(keys(&storage).await.len(), 2);
}

#[tokio::test]
async fn a_storage_that_can_never_be_read_stops_nobody() {
    let slow = Slow::new();
    slow.fails.store(true, Ordering::SeqCst);
    slow.turns.add_permits(1_000);
    let storage = Storage::new(slow.clone());
    let mut desk = Desk::new();
    desk.add_number(1);
    desk.keep_to_the_end(&storage).await;
    assert_eq!(desk.ids(), [1]);
    assert_eq!(slow.written.load(Ordering::SeqCst), 0);
}
