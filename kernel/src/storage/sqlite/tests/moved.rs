//! A file that is replaced, moved, deleted or cut while it is open: told, and nothing is acknowledged into it.

use super::super::super::Trouble;
use super::*;

/// Opens a database, has something done to it, and checks that the next write and what follows are refused.
async fn check(expect: Trouble, words: &str, change: impl FnOnce(&Path)) -> TempDir {
    let directory = directory();
    let path = directory.path().join("db");
    let storage = Storage::new(open(&path));
    for number in 0..10u32 {
        let key = format!("k{number}");
        storage.set("a", &key, b"1".to_vec()).await.expect("writes");
    }
    change(&path);
    for _again in 0..2 {
        let error = storage
            .set("a", "late", b"1".to_vec())
            .await
            .expect_err("must be refused");
        assert!(error.hint().is_some(), "no hint for `{error}`");
        let StorageError::Unavailable {
            trouble, source, ..
        } = error
        else {
            panic!("expected unavailable, found `{error}`");
        };
        assert_eq!(trouble, expect);
        let source = source.to_string();
        assert!(source.ends_with(words), "{source}");
    }
    // What is left of a file that was cut may still be read, or be told to be damaged.
    let read = storage.get("a", "k1").await;
    assert!(read.is_err() || expect != Trouble::Replaced, "{read:?}");
    storage.close().await.expect("closes");
    directory
}

/// What is in a file, which must be whole.
async fn keys(path: &Path) -> usize {
    let storage = Storage::new(open(path));
    let page = storage.list(Query::new("a", "").expect("valid")).await;
    page.expect("a page").entries.len()
}

#[tokio::test]
async fn a_file_moved_away_keeps_all_that_was_acknowledged() {
    let words = "db` is gone, expected the file that was opened";
    let directory = check(Trouble::Replaced, words, |path| {
        fs::rename(path, path.with_file_name("old")).expect("moves");
    })
    .await;
    assert_eq!(keys(&directory.path().join("old")).await, 10);
}

#[tokio::test]
async fn a_file_put_in_the_place_is_left_alone() {
    let words = "db` is another file, expected the file that was opened";
    let directory = check(Trouble::Replaced, words, |path| {
        let other = path.with_file_name("other");
        let sqlite = open(&other);
        drop(sqlite);
        fs::rename(path, path.with_file_name("old")).expect("moves");
        fs::rename(other, path).expect("moves");
    })
    .await;
    assert_eq!(keys(&directory.path().join("db")).await, 0);
    assert_eq!(keys(&directory.path().join("old")).await, 10);
}

#[tokio::test]
async fn a_deleted_file_or_log_takes_no_more_writes() {
    let words = "db` is gone, expected the file that was opened";
    check(Trouble::Replaced, words, |path| {
        fs::remove_file(path).expect("deletes");
    })
    .await;
    let words = "db-wal` is gone, expected the file that was opened";
    let directory = check(Trouble::Replaced, words, |path| {
        fs::remove_file(path.with_file_name("db-wal")).expect("deletes");
    })
    .await;
    assert_eq!(keys(&directory.path().join("db")).await, 10);
}

#[tokio::test]
async fn a_file_that_was_cut_takes_no_more_writes() {
    let words = "it has 100 bytes, expected at least 16384";
    let directory = check(Trouble::Corrupt, words, |path| {
        let file = fs::OpenOptions::new().write(true).open(path);
        file.and_then(|file| file.set_len(100)).expect("cuts");
    })
    .await;
    drop(directory);
}

#[tokio::test]
async fn a_file_that_was_written_over_is_left_as_it_is_now() {
    let words = "db` is overwritten, expected the file that was opened";
    let bytes = vec![b'x'; 1 << 20];
    let directory = check(Trouble::Replaced, words, |path| {
        fs::write(path, &bytes).expect("writes");
    })
    .await;
    let left = fs::read(directory.path().join("db")).expect("reads");
    assert!(left == bytes, "the log went into what is not ours");
    let log = directory.path().join("db-wal");
    assert!(
        fs::read(log).is_ok_and(|log| log.is_empty()),
        "a log is left"
    );
}

#[tokio::test]
async fn an_older_copy_written_over_it_is_noticed() {
    let directory = directory();
    let path = directory.path().join("db");
    let copy = directory.path().join("copy");
    for (number, value) in [b"1", b"2"].into_iter().enumerate() {
        let storage = Storage::new(open(&path));
        storage.set("a", "k", value.to_vec()).await.expect("writes");
        storage.close().await.expect("closes");
        if number == 0 {
            fs::copy(&path, &copy).expect("copies");
        }
    }
    let storage = Storage::new(open(&path));
    storage.set("a", "k", b"3".to_vec()).await.expect("writes");
    fs::write(&path, fs::read(&copy).expect("reads")).expect("writes");
    let error = storage.set("a", "k", b"4".to_vec()).await;
    let error = error.expect_err("must be refused");
    assert!(matches!(
        error,
        StorageError::Unavailable {
            trouble: Trouble::Replaced,
            ..
        }
    ));
    storage.close().await.expect("closes");
    let storage = Storage::new(open(&path));
    let record = storage
        .get("a", "k")
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!(record.value[..], b"1"[..], "the copy is there as it was");
}

#[tokio::test]
async fn another_program_may_empty_the_log() {
    let directory = directory();
    let path = directory.path().join("db");
    let storage = Storage::new(open(&path));
    for value in 1..300u32 {
        let value = value.to_string().into_bytes();
        storage.set("a", "k", value).await.expect("goes on");
        other(path.clone(), "PRAGMA wal_checkpoint");
    }
}

#[tokio::test]
async fn a_file_that_was_only_touched_takes_writes() {
    let directory = directory();
    let path = directory.path().join("db");
    let storage = Storage::new(open(&path));
    storage.set("a", "k", b"1".to_vec()).await.expect("writes");
    let file = fs::OpenOptions::new().append(true).open(&path);
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    file.and_then(|file| file.set_modified(long_ago))
        .expect("touches");
    storage.set("a", "k", b"2".to_vec()).await.expect("goes on");
}
