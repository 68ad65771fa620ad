//! Copies that are whole, those that are given up, and what is left of them.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::super::{Batch, BoxFuture, Expect, Memory, Outcome, Sqlite};
use super::*;

async fn full(records: usize) -> Memory {
    let memory = Memory::new();
    for at in 0..records {
        let mut batch = Batch::new();
        let (namespace, key) = (format!("n{}", at % 3), format!("k{at}"));
        let put = batch.put(&namespace, &key, Expect::Any, at.to_string().into_bytes());
        put.expect("a valid write");
        memory.apply(batch).await.expect("it is written");
    }
    let mut batch = Batch::new();
    let delete = batch.delete("n0", "k0", Expect::Any);
    delete.expect("a valid write");
    memory.apply(batch).await.expect("it is deleted");
    memory
}

#[tokio::test]
async fn a_copy_is_the_same_and_goes_on_behind_it() {
    let (from, to) = (full(2_500).await, Memory::new());
    let mut told = Vec::new();
    let copied = copy(&from, &to, |progress| told.push(progress)).await;
    let copied = copied.expect("it is copied");
    assert_eq!((copied.records, copied.last_version), (2_499, 2_501));
    let compared = contents(&from, |_| ()).await.expect("it is read");
    assert_eq!(copied, compared);
    let ends = |step| {
        let mut told = told.iter().filter(|it| it.step == step).peekable();
        assert_eq!(told.peek().map(|it| (it.done, it.of)), Some((0, 2_499)));
        told.last().map(|it| it.done)
    };
    let last = [Step::Copying, Step::Checking].map(ends);
    assert_eq!(last, [Some(2_499); 2]);
    let mut batch = Batch::new();
    batch
        .put("n0", "k0", Expect::Absent, &b"1"[..])
        .expect("valid");
    let outcomes = to.apply(batch).await.expect("it is written");
    assert_eq!(outcomes, [Outcome::Put { version: 2_502 }]);
}

#[tokio::test]
async fn an_empty_database_hands_on_its_counter() {
    let (from, to) = (full(1).await, Memory::new());
    let copied = copy(&from, &to, |_| ()).await.expect("it is copied");
    assert_eq!((copied.records, copied.last_version), (0, 2));
    let found = contents(&to, |_| ()).await.expect("it is read");
    assert_eq!(found.last_version, 2);
}

#[tokio::test]
async fn what_is_there_is_left_alone() {
    let (from, to) = (full(3).await, full(5).await);
    let before = contents(&to, |_| ()).await.expect("it is read");
    let error = copy(&from, &to, |_| ()).await.expect_err("it is not empty");
    assert_eq!(
        error.to_string(),
        "the database to copy into is not empty (records: 4)"
    );
    assert_eq!(contents(&to, |_| ()).await.expect("it is read"), before);
}

#[tokio::test]
async fn what_is_cleared_can_be_copied_into() {
    let (from, to) = (full(3).await, full(1_500).await);
    clear(&to).await.expect("it is cleared");
    assert_eq!(to.usage().await.expect("it is read"), []);
    let copied = copy(&from, &to, |_| ()).await.expect("it is copied");
    assert_eq!((copied.records, copied.last_version), (2, 3_000));
}

/// Polls it once, and drops it.
async fn give_up<T>(work: impl Future<Output = T>) {
    let mut work = pin!(work);
    poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx).is_ready())).await;
}

#[tokio::test]
async fn what_was_under_way_is_cleared_too() {
    let directory = tempfile::tempdir().expect("a directory");
    let sqlite = Sqlite::open(directory.path().join("octa.db")).expect("it opens");
    let pages: Vec<Vec<_>> = (0..20)
        .map(|page| {
            let key = |at| format!("{page}/{at}");
            let record = |at| Change::new("n", key(at), 1, Some(b"1"[..].into()));
            (0..1_000).map(record).collect()
        })
        .collect();
    for page in &pages {
        give_up(sqlite.replicate(page, 1)).await;
        clear(&sqlite).await.expect("it is cleared");
    }
    // Behind all that was begun.
    sqlite.replicate(&[], 0).await.expect("it is written");
    assert_eq!(sqlite.usage().await.expect("it is read"), []);
}

/// Leaves what a copy that is killed behind its first page does.
async fn copy_some(from: &Memory, to: &Memory) {
    half::begin(to, None).await.expect("it is written");
    let page = from.snapshot().await.expect("it is read").next().await;
    let written = to.replicate(&page.expect("it is read"), 7_000).await;
    written.expect("it is written");
}

#[tokio::test]
async fn what_a_copy_left_is_in_no_copys_way() {
    let (from, to) = (full(2_500).await, Memory::new());
    copy_some(&from, &to).await;
    let part = half::half(&to).await.expect("it is read");
    assert_eq!(part, Some(Half::default()));
    let error = copy(&to, &Memory::new(), |_| ()).await;
    let error = error.expect_err("it is only a part");
    assert_eq!(
        error.to_string(),
        "the database to copy from was to be filled itself, and holds only a part"
    );
    let copied = copy(&from, &to, |_| ()).await.expect("it is copied");
    let expect = contents(&from, |_| ()).await.expect("it is read");
    assert_eq!(copied.digest, expect.digest);
    assert_eq!(half::half(&to).await.expect("it is read"), None);
    assert_eq!(to.usage().await.expect("it is read").len(), 3);
}

#[tokio::test]
async fn a_part_is_told_until_all_was_compared() {
    let from = full(2_500).await;
    let to = Careless(Memory::new());
    copy(&from, &to, |_| ()).await.expect_err("it differs");
    let part = half::half(&to.0).await.expect("it is read");
    assert_eq!(part, Some(Half::default()));
    clear(&to.0).await.expect("it is cleared");
    assert_eq!(half::half(&to.0).await.expect("it is read"), None);
    assert_eq!(to.0.usage().await.expect("it is read"), []);
}

#[tokio::test]
async fn no_two_databases_have_the_same_digest() {
    let digest = async |writes: &[(&str, &str, &str)]| {
        let memory = Memory::new();
        for (namespace, key, value) in writes {
            let mut batch = Batch::new();
            let put = batch.put(namespace, key, Expect::Any, value.as_bytes());
            put.expect("a valid write");
            memory.apply(batch).await.expect("it is written");
        }
        contents(&memory, |_| ()).await.expect("it is read").digest
    };
    let of = digest(&[("a", "b", "1")]).await;
    for other in [
        &[("a", "b", "2")][..],
        &[("a", "c", "1")],
        &[("c", "b", "1")],
        &[("ab", "1", "1")],
        &[("a", "b", "1"), ("a", "b", "1")],
        &[("a", "b", "1"), ("a", "c", "1")],
        &[],
    ] {
        assert_ne!(digest(other).await, of, "{other:?}");
    }
}

/// Writes all but the last of what is copied into it.
#[derive(Debug)]
struct Careless(Memory);

impl StorageAdapter for Careless {
    crate::delegate_storage!(0: get, apply, list, changes, usage, snapshot, close);

    fn replicate<'a>(
        &'a self,
        changes: &'a [Change],
        last_version: u64,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let kept = match changes {
            [only] => usize::from(half::is_mark(only)),
            changes => changes.len().saturating_sub(1),
        };
        self.0.replicate(&changes[..kept], last_version)
    }
}

#[tokio::test]
async fn a_copy_that_differs_is_found_out() {
    let (from, to) = (full(3).await, Careless(Memory::new()));
    let error = copy(&from, &to, |_| ()).await.expect_err("it differs");
    let told = error.to_string();
    assert!(
        told.starts_with("the copy has 1 records with the digest "),
        "{told}"
    );
    assert!(told.contains(", expected 2 with "), "{told}");
}

#[tokio::test]
async fn a_database_that_fails_is_told_from_the_other() {
    let (closed, open) = (Memory::new(), Memory::new());
    closed.close().await.expect("it closes");
    let error = copy(&closed, &open, |_| ()).await.expect_err("it fails");
    assert!(matches!(error, CopyError::Read(_)), "{error}");
    let error = copy(&open, &closed, |_| ()).await.expect_err("it fails");
    assert!(matches!(error, CopyError::Write(_)), "{error}");
}
