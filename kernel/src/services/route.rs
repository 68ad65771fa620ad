//! One capability: its providers, and whose turn it is.

use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use octa_loader::{Capability, Instance};

use super::{
    Health,
    chain::{DIGITS, digits},
};

/// How many counters take turns; one shared counter would be written by all calling threads.
const SHARDS: usize = 16;

/// A capability, whoever offers it.
pub(crate) struct Route {
    name: Arc<str>,
    number: usize,
    digits: [u8; DIGITS],
    /// The digits as text: a chain of this one call.
    chain: Box<str>,
    providers: ArcSwap<Vec<Provider>>,
    turns: [Turn; SHARDS],
}

/// A counter on a cache line of its own, or two where lines are fetched in pairs.
#[repr(align(128))]
#[derive(Default)]
struct Turn(AtomicUsize);

/// An instance that offers a capability.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    pub(crate) instance: Instance,
    /// Its number in the manifest.
    pub(crate) handler: u32,
    pub(crate) blocking: bool,
    pub(crate) deadline: Option<Duration>,
    health: Arc<Health>,
}

impl Provider {
    pub(super) fn new(
        instance: Instance,
        handler: u32,
        capability: &Capability,
        health: Arc<Health>,
    ) -> Self {
        Self {
            instance,
            handler,
            blocking: capability.blocking,
            deadline: capability.deadline_ms.map(Duration::from_millis),
            health,
        }
    }

    /// Whether it says that it can do nothing.
    pub(super) fn is_dead(&self) -> bool {
        self.health.get() <= 0.0
    }

    /// What its manifest says of the capability.
    pub(crate) fn describe(&self) -> Option<Capability> {
        let manifest = self.instance.generation().manifest();
        manifest.capabilities.get(self.handler as usize).cloned()
    }
}

impl Route {
    pub(super) fn new(name: Arc<str>, number: usize) -> Self {
        Self {
            name,
            number,
            digits: digits(number),
            chain: String::from_utf8_lossy(&digits(number)).into(),
            providers: ArcSwap::default(),
            turns: Default::default(),
        }
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn digits(&self) -> &[u8; DIGITS] {
        &self.digits
    }

    /// The same digits as a chain of this one call.
    pub(super) fn chain(&self) -> &str {
        &self.chain
    }

    pub(crate) fn is_offered(&self) -> bool {
        !self.providers.load().is_empty()
    }

    pub(crate) fn providers(&self) -> arc_swap::Guard<Arc<Vec<Provider>>> {
        self.providers.load()
    }

    pub(super) fn add(&self, provider: Provider) {
        let mut providers = Vec::clone(&self.providers.load());
        providers.retain(|other| other.instance.name() != provider.instance.name());
        providers.push(provider);
        self.providers.store(Arc::new(providers));
    }

    pub(super) fn remove(&self, plugin: &str) {
        let providers = self.providers.load();
        if providers
            .iter()
            .any(|provider| &**provider.instance.name() == plugin)
        {
            let mut left = Vec::clone(&providers);
            left.retain(|provider| &**provider.instance.name() != plugin);
            self.providers.store(Arc::new(left));
        }
    }

    /// Whose turn it is among `count` providers: each thread goes round by itself.
    #[inline]
    pub(super) fn turn(&self, count: usize) -> usize {
        if count < 2 {
            return 0;
        }
        self.turns[shard_of_this_thread()]
            .0
            .fetch_add(1, Ordering::Relaxed)
            % count
    }
}

fn shard_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    SHARD.with(|shard| {
        if shard.get() == usize::MAX {
            shard.set(NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS);
        }
        shard.get()
    })
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Route(`{}`, {} providers)",
            self.name,
            self.providers.load().len()
        )
    }
}
