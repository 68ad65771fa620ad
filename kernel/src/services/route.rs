//! One capability: its providers, and whose turn it is.

use std::{
    cell::Cell,
    fmt,
    ops::Deref,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use octa_loader::{Capability, Instance};
use tokio::sync::{Notify, futures::OwnedNotified};

use crate::fate::Fate;

use super::{
    Health, Intake, Probation,
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
    providers: ArcSwap<Providers>,
    changed: Arc<Notify>,
    turns: [Turn; SHARDS],
}

/// Who offers a capability at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Providers {
    present: Vec<Provider>,
    /// Plugins that offered it when they were taken away with their intake paused, or after a
    /// death: as long as it is, or they are to be started again, they are expected back.
    away: Vec<Away>,
}

/// What is left of a provider that is expected back.
#[derive(Debug, Clone)]
struct Away {
    plugin: Arc<str>,
    intake: Intake,
    deadline: Option<Duration>,
    idempotent: bool,
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
    /// Whether calling it twice does what calling it once does.
    pub(crate) idempotent: bool,
    pub(super) intake: Intake,
    /// While its generation is new.
    pub(super) probation: Option<Arc<Probation>>,
    pub(super) health: Arc<Health>,
    pub(super) fate: Fate,
}

impl Provider {
    /// Whether it says that it can do nothing.
    pub(super) fn is_dead(&self) -> bool {
        self.health.get() <= 0.0
    }

    fn is_of(&self, plugin: &str) -> bool {
        &**self.instance.name() == plugin
    }

    fn away(&self) -> Away {
        Away {
            plugin: self.instance.name().clone(),
            intake: self.intake.clone(),
            deadline: self.deadline,
            idempotent: self.idempotent,
        }
    }

    /// What its manifest says of the capability.
    pub(crate) fn describe(&self) -> Option<Capability> {
        let manifest = self.instance.generation().manifest();
        manifest.capabilities.get(self.handler as usize).cloned()
    }
}

impl Providers {
    /// The intake of each plugin that offers the capability or will again, the deadline that it
    /// declares for it, and whether it is dead and nobody has seen to that yet.
    pub(super) fn intakes(&self) -> impl Iterator<Item = (&Intake, Option<Duration>, bool)> {
        let present = self.present.iter();
        let present = present.map(|p| (&p.intake, p.deadline, p.fate.is_dead()));
        let away = self.away.iter();
        present.chain(away.map(|away| (&away.intake, away.deadline, false)))
    }
}

impl Deref for Providers {
    type Target = [Provider];

    #[inline(always)]
    fn deref(&self) -> &[Provider] {
        &self.present
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
            changed: Arc::default(),
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

    /// Whether it is offered, and all who offer it declare it idempotent.
    pub(crate) fn is_idempotent(&self) -> bool {
        let providers = self.providers.load();
        let away = providers.away.iter().map(|away| away.idempotent);
        let mut declared = providers
            .iter()
            .map(|p| p.idempotent)
            .chain(away)
            .peekable();
        declared.peek().is_some() && declared.all(|idempotent| idempotent)
    }

    #[inline(always)]
    pub(crate) fn providers(&self) -> arc_swap::Guard<Arc<Providers>> {
        self.providers.load()
    }

    /// Ready after the next change of the providers from now on, also if that comes before it is
    /// polled.
    pub(super) fn next_change(&self) -> OwnedNotified {
        self.changed.clone().notified_owned()
    }

    /// Lets a provider serve, in the place of that of the same plugin if there is one.
    pub(super) fn put(&self, provider: Provider) {
        let mut providers = Providers::clone(&self.providers.load());
        let plugin = provider.instance.name().clone();
        providers.away.retain(|away| away.plugin != plugin);
        match providers.present.iter_mut().find(|p| p.is_of(&plugin)) {
            Some(old) => *old = provider,
            None => providers.present.push(provider),
        }
        self.change(providers);
    }

    /// Takes away what a plugin offers; if its intake is paused or it is expected back, there are
    /// calls that wait for what it offers next.
    pub(super) fn remove(&self, plugin: &str) {
        self.take_away(plugin, |intake| intake.is_paused() || intake.is_expected());
    }

    /// Takes away what a plugin offers, for it will not offer it again.
    pub(super) fn forget(&self, plugin: &str) {
        self.take_away(plugin, |_| false);
    }

    fn take_away(&self, plugin: &str, is_expected: impl Fn(&Intake) -> bool) {
        let before = self.providers.load();
        let mut after = Providers::default();
        for provider in before.iter() {
            if !provider.is_of(plugin) {
                after.present.push(provider.clone());
            } else if is_expected(&provider.intake) {
                after.away.push(provider.away());
            }
        }
        let stays = |away: &&Away| &*away.plugin != plugin || is_expected(&away.intake);
        after.away.extend(before.away.iter().filter(stays).cloned());
        if after.present.len() < before.present.len() || after.away.len() < before.away.len() {
            self.change(after);
        }
    }

    /// Who waits for a change looks at the providers after it asked to be told.
    fn change(&self, providers: Providers) {
        self.providers.store(Arc::new(providers));
        self.changed.notify_waiters();
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
