//! Damage in a file is told, and named as closely as can be.

use std::thread;

use rusqlite::ffi;

use super::super::super::{Batch, Expect, Trouble};
use super::*;

/// Everything that can be read from a database.
#[derive(Debug, PartialEq)]
pub(super) struct All {
    header: Header,
    usage: Vec<(Arc<str>, Usage)>,
    changes: Vec<Change>,
    /// How many of them are found under their keys too.
    found: usize,
}

async fn read(sqlite: &Sqlite) -> Result<All, StorageError> {
    let mut snapshot = sqlite.snapshot().await?;
    let mut changes = Vec::new();
    loop {
        let page = snapshot.next().await?;
        if page.is_empty() {
            break;
        }
        changes.extend(page);
    }
    let mut found = 0;
    for change in &changes {
        let at = Address::checked(&change.namespace, &change.key);
        let record = sqlite.get(at).await?;
        found += usize::from(record.is_some_and(|record| record.version == change.version));
    }
    Ok(All {
        header: sqlite.own_header()?,
        usage: sqlite.usage().await?,
        changes,
        found,
    })
}

/// A database of small pages, so that a small file has some of every kind.
pub(super) async fn small(path: &Path) -> All {
    other(path.to_owned(), "PRAGMA page_size = 512; VACUUM");
    let sqlite = Arc::new(open(path));
    let storage = Storage::of(sqlite.clone());
    let mut batch = Batch::new();
    for number in 0..30 {
        let namespace = ["a", "b.c", "history"][number % 3];
        let value = format!("{{\"value\":{number}}}").into_bytes();
        let key = format!("key_{number:02}");
        batch
            .put(namespace, &key, Expect::Any, value)
            .expect("valid");
    }
    storage.apply(batch).await.expect("writes");
    for (key, pages) in [("gone", 2), ("large", 2)] {
        let value = format!("\"{}\"", key.repeat(pages * 100));
        storage
            .set("b.c", key, value.into_bytes())
            .await
            .expect("writes");
    }
    storage.delete("b.c", "gone").await.expect("deletes");
    sqlite.raise_epoch().await.expect("writes");
    let all = read(&sqlite).await.expect("reads");
    storage.close().await.expect("closes");
    all
}

/// Tells what is wrong with a file, or that all is in it.
fn told(path: &Path, expect: &All) -> Option<String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.build().expect("a runtime");
    match Sqlite::open(path) {
        Err(error) => {
            assert!(error.hint().is_some(), "no hint for `{error}`");
            Some(error.to_string())
        }
        Ok(sqlite) => {
            let found = runtime
                .block_on(read(&sqlite))
                .expect("what was checked can be read");
            assert_eq!(found, *expect, "damage was not told");
            None
        }
    }
}

/// Every byte of the file in turn, one of its bits or all of them.
#[test]
fn no_flipped_byte_goes_unnoticed() {
    let directory = directory();
    let path = directory.path().join("db");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let expect = runtime.block_on(small(&path));
    let bytes = fs::read(&path).expect("reads");
    let workers = thread::available_parallelism().map_or(2, |n| n.get());
    let told = thread::scope(|scope| {
        let work = |worker| {
            let path = directory.path().join(format!("{worker}.db"));
            let (expect, bytes) = (&expect, &bytes);
            scope.spawn(move || {
                let places = (worker..bytes.len()).step_by(workers);
                places
                    .filter(|place| flip(&path, bytes, *place, expect))
                    .count()
            })
        };
        let workers: Vec<_> = (0..workers).map(work).collect();
        let told = workers
            .into_iter()
            .map(|worker| worker.join().expect("ends well"));
        told.sum::<usize>()
    });
    // The others are in space that holds nothing.
    assert!(told > bytes.len() / 3, "{told} of {} told", bytes.len());
}

/// Tells whether the flip is told; if not, it must have changed nothing.
fn flip(path: &Path, bytes: &[u8], place: usize, expect: &All) -> bool {
    let mut bytes = bytes.to_vec();
    bytes[place] ^= [0xff, 1 << (place / 7 % 8)][place % 2];
    fs::write(path, bytes).expect("writes");
    let told = told(path, expect);
    if let Some(told) = &told {
        let name = path.display().to_string();
        assert!(told.contains(&name), "byte {place}: `{told}` names no file");
    }
    told.is_some()
}

/// A database with a small and a large value, and the bytes of its file.
async fn pair(directory: &TempDir) -> (PathBuf, Vec<u8>) {
    let path = directory.path().join("db");
    let storage = Storage::new(open(&path));
    let large = format!("\"{}\"", "x".repeat(50_000));
    storage
        .set("a", "k", b"\"small\"".to_vec())
        .await
        .expect("writes");
    storage
        .set("a", "large", large.into_bytes())
        .await
        .expect("writes");
    storage.set("b", "k", b"1".to_vec()).await.expect("writes");
    storage.close().await.expect("closes");
    let bytes = fs::read(&path).expect("reads");
    (path, bytes)
}

/// Finds the last place of `part`.
pub(super) fn place(bytes: &[u8], part: &[u8]) -> usize {
    let place = bytes.windows(part.len()).rposition(|found| found == part);
    place.expect("is in the file")
}

#[tokio::test]
async fn a_damaged_value_is_named_and_the_others_can_be_read() {
    let directory = directory();
    let (path, mut bytes) = pair(&directory).await;
    let inside = place(&bytes, &[b'x'; 1_000]);
    bytes[inside] ^= 1;
    fs::write(&path, bytes).expect("writes");
    let expect = "storage `db` is damaged: record `a/large` does not match its checksum";
    assert_eq!(refusal(&directory, &path), expect);

    let sqlite = Arc::new(Sqlite::options().check(false).open(&path).expect("opens"));
    let storage = Storage::of(sqlite.clone());
    let named = "record `a/large` does not match its checksum";
    assert_corrupt(storage.get("a", "large").await, named);
    assert_corrupt(
        storage.list(Query::new("a", "").expect("valid")).await,
        named,
    );
    let mut snapshot = sqlite.snapshot().await.expect("a snapshot");
    assert_corrupt(snapshot.next().await, named);
    assert!(storage.get("a", "k").await.expect("reads").is_some());
    let new = storage.set("a", "large", b"2".to_vec()).await;
    assert_eq!(
        new.expect("writes"),
        4,
        "a damaged value can be overwritten"
    );
    assert!(storage.get("a", "large").await.expect("reads").is_some());
}

fn assert_corrupt<T: std::fmt::Debug>(result: Result<T, StorageError>, words: &str) {
    let error = result.expect_err("is damaged");
    assert!(error.hint().is_some(), "no hint for `{error}`");
    let StorageError::Unavailable {
        trouble, source, ..
    } = error
    else {
        panic!("expected unavailable, found `{error}`");
    };
    assert_eq!(
        (trouble, source.to_string().as_str()),
        (Trouble::Corrupt, words)
    );
}

#[tokio::test]
async fn what_is_lost_is_told() {
    let check = |sql: &'static str, expect: &'static str| async move {
        let directory = directory();
        let (path, _) = pair(&directory).await;
        other(path.clone(), sql);
        let refusal = refusal(&directory, &path);
        assert_eq!(refusal, format!("storage `db` is damaged: {expect}"));
    };
    check(
        "DELETE FROM records WHERE key = 'large'",
        "namespace `a` has 1 records of 8 bytes, expected 2 of 50015",
    )
    .await;
    check(
        "DELETE FROM usage WHERE namespace = 'b'",
        "namespace `b` has 1 records of 2 bytes, expected 0 of 0",
    )
    .await;
    check(
        "UPDATE records SET value = x'32' WHERE namespace = 'b'",
        "record `b/k` does not match its checksum",
    )
    .await;
    check(
        "UPDATE meta SET last_version = 100",
        "what it says of itself does not match its checksum",
    )
    .await;
    check(
        "DELETE FROM meta",
        "what it says of itself does not match its checksum",
    )
    .await;
    check(
        "DROP TABLE usage",
        "its table `usage` is not as its format has it",
    )
    .await;
    check(
        "PRAGMA user_version = 0",
        "it has format 0, which there never was",
    )
    .await;
    check(
        "PRAGMA user_version = 1",
        "SQLite finds `no such table: counter`",
    )
    .await;
}

#[tokio::test]
async fn a_page_of_the_table_is_told_with_what_stands_before_it() {
    let directory = directory();
    let path = directory.path().join("db");
    small(&path).await;
    let mut bytes = fs::read(&path).expect("reads");
    let inside = place(&bytes, b"{\"value\":29}");
    let page = inside / 512 * 512;
    bytes[page..page + 8].fill(0xff);
    fs::write(&path, bytes).expect("writes");
    let told = refusal(&directory, &path);
    let expect = "storage `db` is damaged: what comes behind record `history/key_";
    assert!(told.starts_with(expect), "{told}");
    let storage = Sqlite::options().check(false).open(&path);
    let storage = Storage::new(storage.expect("opens"));
    let read = storage.get("history", "key_29").await;
    assert_corrupt(
        read,
        "record `history/key_29` cannot be read: database disk image is malformed",
    );
}

#[tokio::test]
async fn a_damaged_list_of_free_pages_is_told_before_one_is_used_twice() {
    let directory = directory();
    let path = directory.path().join("db");
    small(&path).await;
    let mut bytes = fs::read(&path).expect("reads");
    // The number of free pages, in the head of the file.
    assert!(bytes[39] > 1, "there are some");
    bytes[39] -= 1;
    fs::write(&path, bytes).expect("writes");
    let told = refusal(&directory, &path);
    let expect = "storage `db` is damaged: SQLite finds `";
    assert!(told.starts_with(expect), "{told}");
}

#[tokio::test]
async fn a_file_that_could_only_be_read_is_told() {
    let directory = directory();
    let (path, mut bytes) = pair(&directory).await;
    // The least version that may write, in the head of the file.
    bytes[18] = 3;
    fs::write(&path, bytes).expect("writes");
    assert_eq!(
        refusal(&directory, &path),
        "storage `db` is damaged: SQLite finds `the file is for newer versions to write`"
    );
}

#[tokio::test]
async fn a_version_that_was_not_given_is_told() {
    let directory = directory();
    let (path, _) = pair(&directory).await;
    let header = Sqlite::header(&path).expect("reads").expect("is there");
    let connection = Connection::open(&path).expect("opens");
    header.at(2).write(&connection).expect("writes");
    drop(connection);
    assert_eq!(
        refusal(&directory, &path),
        "storage `db` is damaged: record `b/k` has version 3, the last one given is 2"
    );
}

#[tokio::test]
async fn an_emptied_file_is_not_taken_for_a_new_one() {
    let directory = directory();
    let (path, _) = pair(&directory).await;
    let id = Sqlite::header(&path).expect("reads").expect("is there").id;
    fs::write(&path, "").expect("writes");
    let expect = format!("storage `db` is damaged: it is empty, expected database `{id}`");
    assert_eq!(refusal(&directory, &path), expect);
    assert_eq!(refusal(&directory, &path), expect, "and stays so");
    fs::remove_file(&path).expect("deletes");
    drop(open(&path));
}

#[test]
fn tells_troubles_apart() {
    let check = |code, expect| {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        assert_eq!(super::super::damage::trouble(&error), expect);
    };
    check(ffi::SQLITE_FULL, Trouble::Full);
    check(ffi::SQLITE_IOERR_SHMSIZE, Trouble::Full);
    check(ffi::SQLITE_READONLY, Trouble::Permission);
    check(ffi::SQLITE_CANTOPEN, Trouble::Permission);
    check(ffi::SQLITE_CORRUPT, Trouble::Corrupt);
    check(ffi::SQLITE_NOTADB, Trouble::Corrupt);
    check(ffi::SQLITE_BUSY, Trouble::Busy);
    check(ffi::SQLITE_IOERR_FSYNC, Trouble::Io);
    check(ffi::SQLITE_SCHEMA, Trouble::Other);
}
