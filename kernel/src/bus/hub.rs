//! What all handles of one bus share: who subscribes, the clock, the ids; the hot paths read it
//! and write to none of it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::sync::Notify;

use super::WallClock;
use super::matcher::Matcher;
use super::queue::Queue;
use super::retained::Retained;
use super::subscription::SubscriptionOptions;

/// How many ids a publisher takes at a time, so that publishers seldom meet.
const ID_BLOCK: u64 = 1024;

pub(super) struct Hub {
    clock: Arc<WallClock>,
    /// Read by a publisher whose routes are out of date, written by subscribe and unsubscribe.
    registry: RwLock<Registry>,
    /// Counts the changes of the registry; changed only under its lock.
    version: AtomicU64,
    next_id: AtomicU64,
    /// Held while an event is published to be retained, and while a subscription is made: so the
    /// one is handed to the other either as retained or as published. Locked before a publisher
    /// and before the registry; who publishes otherwise does not know of it.
    retained: Mutex<Retained>,
    /// The queues with drops that the overflow report has not heard of, each once. Locked for some
    /// instructions, also with a publisher locked; nothing is locked after it.
    overflowed: Mutex<Vec<Arc<Queue>>>,
    /// Wakes the overflow report.
    overflow: Notify,
}

#[derive(Debug, Default)]
struct Registry {
    matcher: Matcher<u64, Arc<Queue>>,
    queues: BTreeMap<u64, Arc<Queue>>,
    next_number: u64,
    closed: bool,
}

impl Hub {
    pub(super) fn new(clock: Arc<WallClock>) -> Self {
        Self {
            clock,
            registry: RwLock::default(),
            version: AtomicU64::new(0),
            next_id: AtomicU64::new(1),
            retained: Mutex::default(),
            overflowed: Mutex::default(),
            overflow: Notify::new(),
        }
    }

    pub(super) fn now(&self) -> u64 {
        (self.clock)()
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn take_ids(&self) -> Range<u64> {
        let first = self.next_id.fetch_add(ID_BLOCK, Ordering::Relaxed);
        first..first + ID_BLOCK
    }

    pub(super) fn matches(&self, topic: &str) -> Vec<Arc<Queue>> {
        self.registry.read().matcher.matches(topic)
    }

    pub(super) fn queues(&self) -> Vec<Arc<Queue>> {
        self.registry.read().queues.values().cloned().collect()
    }

    pub(super) fn subscribe(&self, options: SubscriptionOptions) -> Arc<Queue> {
        let retained = self.retained.lock();
        let mut registry = self.registry.write();
        let number = registry.next_number;
        registry.next_number += 1;
        let queue = Arc::new(Queue::new(number, options));
        if registry.closed {
            queue.close();
            return queue;
        }
        // Before any publisher knows of it: nothing newer can come first.
        queue.preload(retained.matching(&queue.pattern));
        registry.queues.insert(number, Arc::clone(&queue));
        let pattern = &queue.pattern;
        registry.matcher.insert(pattern, number, Arc::clone(&queue));
        self.version.fetch_add(1, Ordering::Release);
        queue
    }

    /// What is retained, for who publishes to that; see the field.
    pub(super) fn retained(&self) -> MutexGuard<'_, Retained> {
        self.retained.lock()
    }

    /// The open queue of a subscription that its plugin has declared.
    pub(super) fn declared(&self, plugin: &str, pattern: &str, which: usize) -> Option<Arc<Queue>> {
        let registry = self.registry.read();
        let is_it = |queue: &&Arc<Queue>| {
            queue.declared == Some(which)
                && *queue.name == *plugin
                && queue.pattern.as_str() == pattern
        };
        registry.queues.values().find(is_it).cloned()
    }

    pub(super) fn unsubscribe(&self, queue: &Queue) {
        let mut registry = self.registry.write();
        if registry.queues.remove(&queue.number).is_some() {
            registry.matcher.remove(&queue.pattern, queue.number);
            self.version.fetch_add(1, Ordering::Release);
        }
        drop(registry);
        queue.close();
    }

    /// Drops what lies in a queue whose consumer is gone.
    pub(super) fn clear(&self, queue: &Arc<Queue>) {
        if queue.clear() {
            self.overflowed(queue);
        }
    }

    /// Ends every subscription, also those to come.
    pub(super) fn close(&self) {
        let mut registry = self.registry.write();
        registry.closed = true;
        registry.matcher = Matcher::default();
        let queues = std::mem::take(&mut registry.queues);
        self.version.fetch_add(1, Ordering::Release);
        drop(registry);
        for queue in queues.into_values() {
            queue.close();
        }
        self.overflow.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.registry.read().closed
    }

    /// Says that a queue has drops to tell.
    pub(super) fn overflowed(&self, queue: &Arc<Queue>) {
        self.note_overflow(queue);
        self.wake_report();
    }

    /// The same for who [wakes the report](Self::wake_report) later, with nothing locked.
    #[cold]
    pub(super) fn note_overflow(&self, queue: &Arc<Queue>) {
        self.overflowed.lock().push(Arc::clone(queue));
    }

    pub(super) fn wake_report(&self) {
        self.overflow.notify_one();
    }

    /// The queues that have drops to tell since this was asked last.
    pub(super) fn take_overflowed(&self) -> Vec<Arc<Queue>> {
        std::mem::take(&mut *self.overflowed.lock())
    }

    pub(super) async fn wait_for_overflow(&self) {
        self.overflow.notified().await;
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
