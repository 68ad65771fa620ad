//! Writes that were polled once and then kept, as by a plugin that does something else: they hold nothing that others
//! need.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::*;

/// So many that they are not written by the time that the last is begun.
const MANY: usize = 5_000;

type Kept<'a> = Pin<Box<dyn Future<Output = Result<u64, StorageError>> + Send + 'a>>;

/// Polls each once, and keeps those that are not answered at once, as nearly all are not.
async fn begin_writes(storage: &Storage) -> Vec<Kept<'_>> {
    let mut kept: Vec<Kept<'_>> = Vec::new();
    for at in 0..MANY {
        let write = async move { storage.set("a", &at.to_string(), b"1".to_vec()).await };
        let mut write: Kept<'_> = Box::pin(write);
        let is_ready = poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx).is_ready())).await;
        if !is_ready {
            kept.push(write);
        }
    }
    kept
}

#[tokio::test]
async fn writes_that_are_kept_keep_no_place_in_the_queue() {
    let directory = directory();
    let storage = Storage::new(open(directory.path().join("db")));
    let kept = begin_writes(&storage).await;
    let after = storage.set("a", "after", b"1".to_vec()).await;
    assert_eq!(after.expect("is written"), MANY as u64 + 1);
    drop(kept);
}

#[tokio::test]
async fn closing_does_not_wait_for_writes_that_are_kept() {
    let directory = directory();
    let storage = Storage::new(open(directory.path().join("db")));
    let kept = begin_writes(&storage).await;
    storage.close().await.expect("closes");
    for write in kept {
        write.await.expect("it was accepted");
    }
}
