//! Batches that are committed together: how many, and what becomes of them where one cannot be written.

use super::super::super::{Expect, Trouble};
use super::super::{open, writer};
use super::*;

/// A writer without its thread, what it is asked, and what keeps others from its file.
struct Alone {
    writer: Writer,
    tail: Arc<Tail>,
    queue: mpsc::UnboundedSender<Job>,
    jobs: mpsc::UnboundedReceiver<Job>,
    _lock: Lock,
}

type Answer = oneshot::Receiver<Result<Vec<Outcome>, StorageError>>;

impl Alone {
    /// Opens a file, with something said about its connection.
    fn open(path: &Path, sql: &str) -> Self {
        let opened = open::open(path, false).expect("opens");
        opened.connection.execute_batch(sql).expect("is done");
        let tail = Arc::new(Tail::new(opened.header.last_version));
        let health = Arc::new(Health::new("db".into()));
        let (queue, jobs) = mpsc::unbounded_channel();
        let (connection, place) = (opened.connection, opened.place);
        Self {
            writer: writer::Writer::new(connection, place, opened.header, health, tail.clone()),
            tail,
            queue,
            jobs,
            _lock: opened.lock,
        }
    }

    fn ask(&self, batch: Batch) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Job::Apply(batch, reply)).expect("is open");
        answer
    }

    /// Has the next group written; tells whether there was one.
    fn serve(&mut self) -> bool {
        let job = self.jobs.try_recv().ok();
        let job = job.map(|job| self.writer.serve(job, &mut self.jobs));
        job.is_some()
    }
}

fn put(writes: impl IntoIterator<Item = (&'static str, String, String)>) -> Batch {
    let mut batch = Batch::new();
    for (namespace, key, value) in writes {
        let put = batch.put(namespace, &key, Expect::Any, value.into_bytes());
        put.expect("a valid write");
    }
    batch
}

fn one(namespace: &'static str, key: &str, value: &str) -> Batch {
    put([(namespace, key.to_owned(), value.to_owned())])
}

#[tokio::test]
async fn who_watches_beside_writers_of_large_batches_misses_nothing() {
    const WRITERS: usize = 32;
    const WRITES: usize = 1_000;
    let directory = directory();
    let mut alone = Alone::open(&directory.path().join("db"), "PRAGMA synchronous = OFF");
    let now = alone.tail.since(Since::all(None)).await;
    let mut after = now.expect("is open").next;
    let answers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let write = |at| ("a", format!("{writer}/{at}"), "1".to_owned());
            alone.ask(put((0..WRITES).map(write)))
        })
        .collect();
    let (mut told, mut last_version) = (0, after);
    let mut answers = answers.into_iter().peekable();
    while alone.serve() {
        while let Some(answered) = answers.next_if(|it| !it.is_empty()) {
            let outcomes = answered.await.expect("is answered").expect("is written");
            last_version = outcomes.last().and_then(Outcome::version).expect("a write");
        }
        while after < last_version {
            let changes = alone.tail.since(Since::all(Some(after))).await;
            let changes = changes.expect("is open");
            assert!(!changes.missed, "what comes behind {after} is missed");
            told += changes.changes.len();
            after = changes.next;
        }
    }
    assert_eq!(told, WRITERS * WRITES);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_begun() {
    let directory = directory();
    let mut alone = Alone::open(&directory.path().join("db"), "");
    let batches = ["first", "second", "third"].map(|key| one("a", key, "1"));
    let [mut first, second, mut third] = batches.map(|batch| alone.ask(batch));
    drop(second);
    alone.serve();
    for (version, answer) in [(1, &mut first), (2, &mut third)] {
        let outcomes = answer.try_recv().expect("an answer").expect("is written");
        assert_eq!(outcomes, [Outcome::Put { version }]);
    }
}

/// What three batches of a group are answered, of which the last cannot be written.
fn check(path: &Path, sql: &str, last: Batch, expect: Trouble) {
    let mut alone = Alone::open(path, sql);
    let batches = [one("a", "first", "1"), one("b.c", "second", "1"), last];
    let answers = batches.map(|batch| alone.ask(batch));
    alone.serve();
    assert!(!alone.serve(), "they are one group");
    let [first, second, last] = answers.map(|mut answer| answer.try_recv().expect("an answer"));
    let versions = [first, second].map(|answer| answer.expect("is written")[0].version());
    let versions = versions.map(|version| version.expect("a write"));
    assert_eq!(versions[0] + 1, versions[1], "{versions:?}");
    match last {
        Err(StorageError::Unavailable { trouble, .. }) => assert_eq!(trouble, expect),
        other => panic!("expected {expect:?}, found {other:?}"),
    }
}

#[tokio::test]
async fn a_damaged_record_keeps_no_other_from_being_written() {
    let directory = directory();
    let path = directory.path().join("db");
    damage::small(&path).await;
    let mut bytes = fs::read(&path).expect("reads");
    let inside = damage::place(&bytes, b"{\"value\":29}");
    let page = inside / 512 * 512;
    bytes[page..page + 8].fill(0xff);
    fs::write(&path, bytes).expect("writes");
    check(&path, "", one("history", "key_29", "1"), Trouble::Corrupt);
}

#[tokio::test]
async fn what_finds_no_space_keeps_nothing_from_it_that_does() {
    let directory = directory();
    let path = directory.path().join("db");
    drop(open(&path));
    let large = format!("\"{}\"", "x".repeat(500_000));
    check(
        &path,
        "PRAGMA max_page_count = 60",
        one("a", "large", &large),
        Trouble::Full,
    );
}
