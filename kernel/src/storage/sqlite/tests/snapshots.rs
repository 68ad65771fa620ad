//! What others copy from: snapshots, and what a file says of itself.

use super::super::super::Expect;
use super::*;

async fn filled(path: &Path, records: usize) -> Arc<Sqlite> {
    let sqlite = Arc::new(open(path));
    let storage = Storage::of(sqlite.clone());
    for first in (0..records).step_by(500) {
        let mut batch = Batch::new();
        for at in first..records.min(first + 500) {
            let key = format!("{at:06}");
            batch
                .put("a", &key, Expect::Any, b"1".to_vec())
                .expect("valid");
        }
        storage.apply(batch).await.expect("writes");
    }
    sqlite
}

#[tokio::test]
async fn a_snapshot_does_not_see_what_comes_after_it() {
    let directory = directory();
    let sqlite = filled(&directory.path().join("db"), 2_500).await;
    let storage = Storage::of(sqlite.clone());
    let mut snapshot = sqlite.snapshot().await.expect("a snapshot");
    assert_eq!(
        (snapshot.last_version(), snapshot.records()),
        (2_500, 2_500)
    );
    let mut seen = 0;
    loop {
        let page = snapshot.next().await.expect("a read");
        for change in &page {
            assert_eq!(*change.key, *format!("{seen:06}"));
            assert_eq!(change.version, seen + 1);
            seen += 1;
        }
        if page.is_empty() {
            break;
        }
        storage.delete("a", "002400").await.expect("writes");
        let new = format!("{seen:06}-new");
        storage.set("a", &new, b"1".to_vec()).await.expect("writes");
    }
    assert_eq!(seen, 2_500);
}

#[tokio::test]
async fn a_snapshot_ends_with_the_storage_and_keeps_nobody_out() {
    let directory = directory();
    let path = directory.path().join("db");
    let sqlite = filled(&path, 1_500).await;
    let mut snapshot = sqlite.snapshot().await.expect("a snapshot");
    snapshot.next().await.expect("a read");
    sqlite.close().await.expect("closes");
    assert!(matches!(snapshot.next().await, Err(StorageError::Closed)));
    assert!(matches!(sqlite.snapshot().await, Err(StorageError::Closed)));
    assert!(!directory.path().join("db-wal").exists(), "the log is left");
    drop(open(&path));
}

#[tokio::test]
async fn the_log_is_emptied_again_behind_a_snapshot() {
    let directory = directory();
    let sqlite = filled(&directory.path().join("db"), 10).await;
    let storage = Storage::of(sqlite.clone());
    let snapshot = sqlite.snapshot().await.expect("a snapshot");
    // SQLite does not write a page again that stays the same.
    let large = |round: usize| {
        let text = format!("{round:08}").repeat(1 << 16);
        format!("\"{text}\"").into_bytes()
    };
    let log = || {
        let log = fs::metadata(directory.path().join("db-wal"));
        log.expect("is there").len()
    };
    for round in 0..60 {
        storage.set("a", "k", large(round)).await.expect("writes");
    }
    assert!(log() > 20 << 20, "the log has {} bytes", log());
    drop(snapshot);
    for round in 0..40 {
        storage.set("a", "k", large(round)).await.expect("writes");
    }
    assert!(log() <= 17 << 20, "the log has {} bytes", log());
}

#[tokio::test]
async fn a_file_says_whom_it_follows_and_who_leads() {
    let directory = directory();
    let path = directory.path().join("db");
    assert_eq!(Sqlite::header(&path).expect("reads"), None);
    let sqlite = filled(&path, 1).await;
    let first = sqlite.own_header().expect("reads");
    assert_eq!((first.epoch, first.following), (0, false));
    let other = open(directory.path().join("other"));
    assert_ne!(other.own_header().expect("reads").id, first.id);
    let follower = other.follow(&first.id, first.epoch).await.expect("writes");
    assert_eq!((&follower.id, follower.following), (&first.id, true));
    let leader = other.raise_epoch().await.expect("writes");
    assert_eq!((leader.epoch, leader.following), (1, false));
    assert_eq!(
        Sqlite::header(other.path()).expect("reads"),
        Some(leader.clone())
    );
    other.close().await.expect("closes");
    let again = open(directory.path().join("other"));
    assert_eq!(again.own_header().expect("reads"), leader);
}

#[test]
fn who_holds_a_file_is_told_while_it_is_held() {
    let directory = directory();
    let path = directory.path().join("db");
    assert_eq!(Sqlite::holder(&path).expect("reads"), None);
    let sqlite = open(&path);
    let holder = Sqlite::holder(&path).expect("reads").expect("is held");
    assert_eq!(holder.process, Some(process::id()));
    drop(sqlite);
    assert_eq!(Sqlite::holder(&path).expect("reads"), None);
    let lock = Lock::take(&path).expect("is free");
    let error = Sqlite::open(&path).expect_err("is held");
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(lock);
    drop(open(&path));
}
