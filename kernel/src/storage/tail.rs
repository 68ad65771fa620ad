//! The latest changes, kept in memory for who watches a database that one process alone writes.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::StorageError;
use super::change::{Change, Changes, Since};
use super::check::MAX_PAGE_ENTRIES;
use super::record::PAGE_BYTES;

/// The most changes that are kept.
pub const KEPT_CHANGES: usize = 16_384;
/// The bytes of keys and values behind which no more changes are kept.
pub const KEPT_BYTES: usize = 32 << 20;
/// The part of that after which who waits hears how far it is.
const FAR: f64 = 0.5;

/// The latest committed changes of a database.
///
/// Nothing is kept while nobody watches; who fell behind what is kept is told so.
#[derive(Debug)]
pub struct Tail {
    /// Held to add a few changes or to read a page of them, never while waiting or waking.
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// `None` while nobody watches.
    changes: Option<VecDeque<Change>>,
    bytes: usize,
    /// All changes behind this version are kept.
    from: u64,
    last_version: u64,
    added: Added,
    /// What had been added when somebody asked last.
    asked: Added,
    waiting: HashMap<u64, Waiter>,
    last_waiter: u64,
    is_closed: bool,
}

/// What was added in all.
#[derive(Clone, Copy, Debug, Default)]
struct Added {
    changes: u64,
    bytes: u64,
}

impl Added {
    /// Whether what was added since is more than this part of what is kept.
    fn is_beyond(self, since: Self, part: f64) -> bool {
        let more = |added: u64, kept: usize| added as f64 >= kept as f64 * part;
        more(self.changes - since.changes, KEPT_CHANGES)
            || more(self.bytes - since.bytes, KEPT_BYTES)
    }
}

#[derive(Debug)]
struct Waiter {
    namespace: Option<Box<str>>,
    prefix: Box<str>,
    begun: Added,
    waker: Waker,
}

impl Tail {
    /// Begins behind the last version of a database.
    pub fn new(last_version: u64) -> Self {
        Self {
            kept: Mutex::new(Kept {
                changes: None,
                bytes: 0,
                from: last_version,
                last_version,
                added: Added::default(),
                asked: Added::default(),
                waiting: HashMap::new(),
                last_waiter: 0,
                is_closed: false,
            }),
        }
    }

    /// Adds what has been committed, in order; `changes` is only asked for them if somebody watches.
    ///
    /// Call it between the commit and the answers, under whatever keeps commits in order.
    pub fn push<I>(&self, last_version: u64, changes: impl FnOnce() -> I) -> Wakers
    where
        I: IntoIterator<Item = Change>,
    {
        let mut kept = self.kept.lock();
        kept.last_version = kept.last_version.max(last_version);
        if kept.changes.is_none() {
            kept.from = kept.last_version;
            return Wakers::default();
        }
        let mut wakers = Wakers::default();
        for change in changes() {
            if change.version <= kept.newest() {
                // Written again, or copied: who is behind reads again, and nobody is told twice.
                kept.forget(&mut wakers);
                break;
            }
            kept.add(&change);
            kept.wake(&change, &mut wakers);
            if let Some(changes) = &mut kept.changes {
                changes.push_back(change);
            }
        }
        kept.shrink();
        wakers
    }

    /// Waits for the changes that are asked for; see [`StorageAdapter::changes`](super::StorageAdapter::changes).
    pub fn since<'a>(
        &'a self,
        since: Since<'a>,
    ) -> impl Future<Output = Result<Changes, StorageError>> + Send + 'a {
        Waiting {
            tail: self,
            since,
            cursor: since.after(),
            begun: None,
            waiter: None,
        }
    }

    /// Answers everyone who waits, and who asks later, that the storage is closed.
    pub fn close(&self) -> Wakers {
        let mut kept = self.kept.lock();
        kept.is_closed = true;
        kept.changes = None;
        Wakers(kept.waiting.drain().map(|(_, it)| it.waker).collect())
    }
}

impl Kept {
    /// Keeps changes from now on, if it did not.
    fn begin(&mut self) {
        self.asked = self.added;
        if self.changes.is_none() {
            self.changes = Some(VecDeque::new());
            self.from = self.last_version;
        }
    }

    /// The version of the last change that is kept, or behind which all are.
    fn newest(&self) -> u64 {
        let last = self.changes.as_ref().and_then(VecDeque::back);
        last.map_or(self.from, |change| change.version)
    }

    /// Keeps changes from now on only; who waits for one is to look whether it was among them.
    fn forget(&mut self, wakers: &mut Wakers) {
        self.changes = Some(VecDeque::new());
        self.bytes = 0;
        self.from = self.last_version;
        let waiting = self.waiting.drain();
        wakers.0.extend(waiting.map(|(_, waiter)| waiter.waker));
    }

    fn add(&mut self, change: &Change) {
        self.bytes += change.bytes();
        self.added.changes += 1;
        self.added.bytes += change.bytes() as u64;
    }

    /// Wakes who waits for a change, and who has waited so long for something rare that what it has seen
    /// is soon out of reach: it tells then how far it is.
    fn wake(&mut self, change: &Change, wakers: &mut Wakers) {
        let added = self.added;
        let wanted = self.waiting.extract_if(|_, it| {
            let namespace = it.namespace.as_deref();
            let is_wanted = namespace.is_none_or(|wanted| *wanted == *change.namespace)
                && change.key.starts_with(&*it.prefix);
            is_wanted || added.is_beyond(it.begun, FAR)
        });
        wakers.0.extend(wanted.map(|(_, waiter)| waiter.waker));
    }

    /// Keeps to the bounds, and nothing once nobody asks any more.
    fn shrink(&mut self) {
        if self.waiting.is_empty() && self.added.is_beyond(self.asked, 1.0) {
            self.changes = None;
            self.bytes = 0;
            self.from = self.last_version;
        }
        while let Some(changes) = &mut self.changes
            && (changes.len() > KEPT_CHANGES || self.bytes > KEPT_BYTES)
            && let Some(dropped) = changes.pop_front()
        {
            self.bytes -= dropped.bytes();
            self.from = dropped.version;
        }
    }

    /// The changes behind `after` that are wanted, or that some are no longer kept; nothing yet to tell: `None`.
    fn read(&self, since: &Since<'_>, after: u64, begun: Added) -> Option<Changes> {
        let Some(kept) = &self.changes else {
            return (after != self.last_version).then(|| Changes::missed(self.last_version));
        };
        if after < self.from || after > self.last_version {
            return Some(Changes::missed(self.last_version));
        }
        let first = kept.partition_point(|change| change.version <= after);
        let mut found = Changes::new(Vec::new(), self.last_version);
        let mut bytes = 0;
        for change in kept.range(first..) {
            if !since.wants(&change.namespace, &change.key) {
                continue;
            }
            if found.changes.len() == MAX_PAGE_ENTRIES || bytes >= PAGE_BYTES {
                found.next = found.changes.last().map_or(after, |last| last.version);
                break;
            }
            bytes += change.bytes();
            found.changes.push(change.clone());
        }
        let is_far_on = self.added.is_beyond(begun, FAR);
        (is_far_on || !found.changes.is_empty()).then_some(found)
    }
}

/// Waits for changes; leaves nothing behind when it is dropped.
struct Waiting<'a> {
    tail: &'a Tail,
    since: Since<'a>,
    /// The version up to which nothing wanted was found.
    cursor: Option<u64>,
    begun: Option<Added>,
    waiter: Option<u64>,
}

impl Future for Waiting<'_> {
    type Output = Result<Changes, StorageError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // Dropping a waker may run anything: declared first, so that it is dropped behind the lock.
        let _before;
        let mut kept = this.tail.kept.lock();
        _before = this.waiter.take().and_then(|id| kept.waiting.remove(&id));
        if kept.is_closed {
            return Poll::Ready(Err(StorageError::Closed));
        }
        let begun = *this.begun.get_or_insert(kept.added);
        let found = match this.cursor {
            Some(after) => kept.read(&this.since, after, begun),
            None => Some(Changes::new(Vec::new(), kept.last_version)),
        };
        kept.begin();
        if let Some(found) = found {
            return Poll::Ready(Ok(found));
        }
        this.cursor = Some(kept.last_version);
        kept.last_waiter += 1;
        let id = kept.last_waiter;
        this.waiter = Some(id);
        let waiter = Waiter {
            namespace: this.since.namespace().map(Into::into),
            prefix: this.since.prefix().into(),
            begun,
            waker: cx.waker().clone(),
        };
        kept.waiting.insert(id, waiter);
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.waiter {
            let waiter = self.tail.kept.lock().waiting.remove(&id);
            // Behind the lock, as above.
            drop(waiter);
        }
    }
}

/// Who is to be woken, once no lock is held.
#[derive(Debug, Default)]
#[must_use = "who waits for changes must be woken"]
pub struct Wakers(Vec<Waker>);

impl Wakers {
    /// Wakes them.
    pub fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests;
