//! What holds behind a restore: no version is given twice, and a part is known for one.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::storage::{Half, Storage};

async fn set(path: &Path, key: &str) -> u64 {
    let storage = Storage::new(Sqlite::open(path).expect("it opens"));
    let version = storage.set("lamps", key, &b"1"[..]).await;
    storage.close().await.expect("it closes");
    version.expect("it is written")
}

#[tokio::test]
async fn no_version_is_given_twice_after_a_restore() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    let (path, to, standby) = (at("home.bak"), at("octa.db"), at("standby.db"));
    backed_up(5, &path).await;
    for _ in 0..10 {
        set(&to, "old").await;
    }
    let restored = restore(&path, &to, None, true, |_| ()).await;
    let contents = restored.expect("it is restored").contents;
    assert_eq!((contents.records, contents.last_version), (5, 10));
    assert_eq!(set(&to, "new").await, 11);

    // A standby that has taken over has gone on.
    for _ in 0..20 {
        set(&standby, "old").await;
    }
    let restored = restore(&path, &to, Some(&standby), true, |_| ()).await;
    assert_eq!(restored.expect("it is restored").contents.last_version, 20);

    // Nor where what was there is empty, or is damaged but for what it says of itself.
    let memory = Memory::new();
    let raised = memory.replicate(&[], 30).await;
    raised.expect("it is raised");
    let copied = backup(&memory, &to, true, |_| ()).await;
    assert_eq!(copied.expect("it is backed up").last_version, 30);
    let restored = restore(&path, &to, None, false, |_| ()).await;
    assert_eq!(restored.expect("it is restored").contents.last_version, 30);
    let large = format!("\"{}\"", "x".repeat(50_000));
    let storage = Sqlite::open(&to).expect("it opens");
    write(&storage, "large", &large).await;
    storage.close().await.expect("it closes");
    let mut bytes = fs::read(&to).expect("a file");
    let inside = bytes.windows(500).position(|part| part == [b'x'; 500]);
    bytes[inside.expect("it is there")] = b'y';
    fs::write(&to, bytes).expect("a file");
    let restored = restore(&path, &to, None, true, |_| ()).await;
    assert_eq!(restored.expect("it is restored").contents.last_version, 31);
}

/// What is told of a storage in memory at this moment.
fn part_of(memory: &Memory) -> Option<Half> {
    let mut part = pin!(crate::storage::half(memory));
    let mut cx = Context::from_waker(Waker::noop());
    match part.as_mut().poll(&mut cx) {
        Poll::Ready(part) => part.expect("it is read"),
        Poll::Pending => panic!("memory makes nobody wait"),
    }
}

#[tokio::test]
async fn what_a_restore_left_is_told_and_restored_into_again() {
    let home = tempfile::tempdir().expect("a directory");
    let at = |name: &str| home.path().join(name);
    let (path, aside) = (at("home.bak"), at("before.db"));
    let made = backed_up(30, &path).await;
    let to = Arc::new(memory(1_500).await);
    let (place, seen) = (("memory", &*aside), to.clone());
    // From its first page to its last, whenever it is killed.
    let restored = restore_into(&path, &*to, place, true, move |at| {
        if at.done > 0 || at.step == copy::Step::Checking {
            let part = part_of(&seen).expect("it is told");
            assert_eq!(part.aside.as_deref(), Some(place.1));
        }
    });
    drop(restored.await.expect("it is restored"));
    assert_eq!(part_of(&to), None);

    // As if it had been.
    let begun = crate::storage::half::begin(&*to, Some(&aside)).await;
    begun.expect("it is written");
    let again = at("again.db");
    let restored = restore_into(&path, &*to, ("memory", &again), true, |_| ()).await;
    let restored = restored.expect("it is restored");
    assert_eq!(restored.contents.digest, made.digest);
    assert_eq!(restored.aside, [aside], "what was there at first");
    assert!(!again.exists(), "what is only a part is kept nowhere");
    assert_eq!(part_of(&to), None);
}

#[tokio::test]
async fn a_part_is_no_backup() {
    let home = tempfile::tempdir().expect("a directory");
    let (path, to) = (home.path().join("part.db"), home.path().join("octa.db"));
    let sqlite = Sqlite::open(&path).expect("it opens");
    let begun = crate::storage::half::begin(&sqlite, None).await;
    begun.expect("it is written");
    sqlite.close().await.expect("it closes");
    assert_eq!(
        told(restore(&path, &to, None, true, |_| ()).await, home.path()),
        "cannot restore `HOME/part.db`\n\
         the database to copy from was to be filled itself, and holds only a part\n\
         hint: fill it again first"
    );
    assert!(!to.exists());
}
