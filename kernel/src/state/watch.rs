//! Watching state: each watcher has a bounded queue of its own, so a slow one holds up nobody.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use octa_plugin_api::Payload;
use parking_lot::Mutex;

use super::Inner;
use crate::storage::{Address, Invalid, Query};

/// Changes that may wait for one watcher; one more drops the oldest.
pub const WATCH_CAPACITY: usize = 1_024;

/// Which keys of a namespace to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keys {
    /// One key.
    One(String),
    /// All keys that start so; an empty prefix means all.
    Prefix(String),
}

impl Keys {
    pub(super) fn check(&self, namespace: &str) -> Result<(), Invalid> {
        match self {
            Self::One(key) => Address::new(namespace, key).map(drop),
            Self::Prefix(prefix) => Query::new(namespace, prefix).map(drop),
        }
    }

    fn contain(&self, key: &str) -> bool {
        match self {
            Self::One(one) => one == key,
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
        }
    }
}

/// A committed change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The key.
    pub key: Arc<str>,
    /// The version that the change took.
    pub version: u64,
    /// The new value; nothing if the record was deleted.
    pub value: Option<Payload>,
}

impl Change {
    pub(super) fn new(key: &str, version: u64, value: Option<Payload>) -> Self {
        Self {
            key: key.into(),
            version,
            value,
        }
    }
}

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The next change.
    Changed(Change),
    /// The watcher was too slow: so many changes before the next one were dropped, and reading again is due.
    Missed(u64),
}

/// Yields the changes of some keys in the order of their versions, each once.
///
/// Dropping it ends the watch.
#[derive(Debug)]
pub struct Watcher {
    namespace: Box<str>,
    queue: Arc<Mutex<Queue>>,
    state: Weak<Inner>,
}

impl Watcher {
    /// Waits for the next notice; `None` when the state is gone and all was told.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The same as [`next`](Self::next), for callers that poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Notice>> {
        let mut queue = self.queue.lock();
        if let Some(notice) = queue.pop() {
            return Poll::Ready(Some(notice));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        let before = queue.waker.replace(cx.waker().clone());
        drop(queue);
        // Dropping a waker may run anything, so not under the lock.
        drop(before);
        Poll::Pending
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        Inner::unwatch(&self.state, self);
    }
}

/// The state's end of a watcher; dropping it tells the watcher that nothing more comes.
#[derive(Debug)]
pub(super) struct Watch {
    namespace: Box<str>,
    keys: Keys,
    queue: Arc<Mutex<Queue>>,
}

/// One lock for both ends, held to push or pop; waking happens outside it.
#[derive(Debug, Default)]
struct Queue {
    changes: VecDeque<Change>,
    missed: u64,
    waker: Option<Waker>,
    ended: bool,
}

pub(super) fn pair(namespace: &str, keys: Keys, state: Weak<Inner>) -> (Watch, Watcher) {
    let queue = Arc::new(Mutex::new(Queue::default()));
    let watch = Watch {
        namespace: namespace.into(),
        keys,
        queue: queue.clone(),
    };
    (
        watch,
        Watcher {
            namespace: namespace.into(),
            queue,
            state,
        },
    )
}

impl Watch {
    pub(super) fn wants(&self, at: Address<'_>) -> bool {
        *self.namespace == *at.namespace() && self.keys.contain(at.key())
    }

    pub(super) fn feeds(&self, watcher: &Watcher) -> bool {
        Arc::ptr_eq(&self.queue, &watcher.queue)
    }

    /// Queues a change; returns whom to wake.
    pub(super) fn push(&self, change: Change) -> Option<Waker> {
        let mut queue = self.queue.lock();
        if queue.changes.len() == WATCH_CAPACITY {
            queue.changes.pop_front();
            queue.missed += 1;
        }
        queue.changes.push_back(change);
        queue.waker.take()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut queue = self.queue.lock();
        queue.ended = true;
        let waker = queue.waker.take();
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Notice> {
        if self.missed > 0 {
            return Some(Notice::Missed(std::mem::take(&mut self.missed)));
        }
        self.changes.pop_front().map(Notice::Changed)
    }
}
