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
use octa_loader::{
    Capability, Instance,
    policy::{Policy, Routing},
};
use serde_json::Value;
use tokio::sync::{Notify, futures::OwnedNotified};

use crate::{fate::Fate, time::Clock};

use super::{
    Health, Intake, Probation,
    chain::{DIGITS, digits},
    counts::Counts,
    room::Rooms,
    rules::Rules,
    seat::Guard,
    steps::Steps,
};

/// How many counters take turns; one shared counter would be written by all calling threads.
const SHARDS: usize = 16;

/// How long a provider may take that declares no deadline, before it is to blame for being late.
const PATIENCE: Duration = Duration::from_secs(1);

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
    detours: AtomicUsize,
    clock: Arc<dyn Clock>,
    counts: Counts,
}

/// Who offers a capability at one moment, and how it is called.
#[derive(Debug, Clone, Default)]
pub(crate) struct Providers {
    /// The only one, where a call is nothing but the way there and back: all that the way of a
    /// plain call looks at.
    plain: Option<Box<Provider>>,
    /// The first choice first, where one is.
    present: Vec<Provider>,
    /// Plugins that offered it when they were taken away with their intake paused, or after a
    /// death: as long as it is, or they are to be started again, they are expected back.
    away: Vec<Away>,
    wishes: Wishes,
    rules: Arc<Rules>,
    rooms: Rooms,
}

/// How a capability is to be called.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wishes {
    /// By the configuration.
    pub(super) configured: Policy,
    /// By who is asked first or was last, if the configuration says nothing.
    declared: Arc<Policy>,
    /// Who declares it.
    declared_by: Option<Arc<str>>,
    pub(super) steps: Option<Arc<Steps>>,
    pub(super) is_measured: bool,
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
    /// What its manifest asks for.
    pub(super) policy: Arc<Policy>,
    /// The hash of its name.
    pub(super) seed: u64,
    /// Where its calls are limited, judged or measured; made when it is put in.
    pub(super) guard: Option<Arc<Guard>>,
}

impl Provider {
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// How well it does, by its own opinion and by what the kernel sees.
    pub(super) fn health(&self) -> f64 {
        let seen = self.guard.as_ref().map_or(1.0, |guard| guard.health());
        self.health.get().min(seen)
    }

    /// How much is to do for it, the more the worse it does.
    pub(super) fn load(&self) -> f64 {
        let in_flight = self.guard.as_ref().map_or(0, |guard| guard.in_flight());
        (in_flight as f64 + 1.0) / self.health()
    }

    /// The time that it should have for a call before it is to blame for being late.
    pub(super) fn patience(&self) -> Duration {
        self.deadline.unwrap_or(PATIENCE)
    }

    /// Whether it says that it can do nothing.
    pub(super) fn is_dead(&self) -> bool {
        self.health.get() <= 0.0
    }

    /// Whether it would take a call now.
    pub(super) fn is_ready(&self) -> bool {
        !self.is_dead() && self.guard.as_ref().is_none_or(|guard| guard.is_ready())
    }

    /// Whether both are the same instance.
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.health, &other.health)
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
    /// Where a call goes that is nothing but the way there and back.
    #[inline(always)]
    pub(super) fn plain(&self) -> Option<&Provider> {
        self.plain.as_deref()
    }

    pub(crate) fn rules(&self) -> &Arc<Rules> {
        &self.rules
    }

    pub(super) fn configured(&self) -> &Policy {
        &self.wishes.configured
    }

    pub(super) fn routing(&self) -> Routing {
        self.rules.routing()
    }

    /// Brings everything into line with who is present and what is wished.
    fn settle(&mut self, before: &Self, clock: &Arc<dyn Clock>) {
        let order = &self.wishes.configured.order;
        let choice = |provider: &Provider| order.iter().position(|name| provider.is_of(name));
        self.present
            .sort_by_key(|provider| choice(provider).unwrap_or(usize::MAX));
        if let Some(first) = self.present.first() {
            self.wishes.declared = first.policy.clone();
            self.wishes.declared_by = Some(first.instance.name().clone());
        }
        let is_one_of_many = self.present.len() > 1;
        let is_same = self.wishes == before.wishes && is_one_of_many == (before.present.len() > 1);
        if self.wishes != before.wishes {
            let policy = self.wishes.configured.over(&self.wishes.declared);
            let steps = self.wishes.steps.clone();
            self.rules = Arc::new(Rules::new(policy, steps, &before.rules));
        }
        let policy = self.rules.policy();
        for provider in &mut self.present {
            let plugin = provider.instance.name();
            let old = before.present.iter().find(|it| it.is_of(plugin));
            let guard = old.and_then(|old| old.guard.as_ref());
            let is_itself = old.is_some_and(|old| old.is_same(provider));
            if is_itself && is_same {
                provider.guard = guard.cloned();
                continue;
            }
            let room = (policy.concurrency).map(|limit| self.rooms.of(plugin, limit));
            let guard = guard.filter(|_| is_itself).map(|guard| &**guard);
            let is_measured = self.wishes.is_measured;
            provider.guard = Guard::of(
                provider,
                policy,
                is_one_of_many,
                is_measured,
                guard,
                room,
                clock,
            );
        }
        self.plain = match &self.present[..] {
            [only] if only.guard.is_none() && !self.rules.concern_calls() => {
                Some(Box::new(only.clone()))
            }
            _ => None,
        };
    }

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
    pub(super) fn new(name: Arc<str>, number: usize, clock: Arc<dyn Clock>) -> Self {
        Self {
            name,
            number,
            digits: digits(number),
            chain: String::from_utf8_lossy(&digits(number)).into(),
            providers: ArcSwap::default(),
            changed: Arc::default(),
            turns: Default::default(),
            detours: AtomicUsize::new(0),
            clock,
            counts: Counts::default(),
        }
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
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

    /// Whether a call of it leads anywhere.
    pub(crate) fn is_offered(&self) -> bool {
        let providers = self.providers.load();
        !providers.is_empty() || providers.rules.steps().is_some()
    }

    /// What it is, as its first provider describes it.
    pub(crate) fn describe(&self) -> Option<Capability> {
        let providers = self.providers.load();
        if let Some(first) = providers.first() {
            return first.describe();
        }
        let steps = providers.rules.steps()?;
        Some(Capability {
            name: self.name.to_string(),
            description: format!("pipeline: {}", steps.names().join(" → ")),
            input: Value::Bool(true),
            output: Value::Bool(true),
            idempotent: false,
            blocking: false,
            deadline_ms: None,
            policy: Policy::default(),
        })
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
        let mut after = Providers {
            wishes: before.wishes.clone(),
            rules: before.rules.clone(),
            rooms: before.rooms.clone(),
            ..Providers::default()
        };
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

    /// Lets it be called in another way, or as a plugin that was never started declares it.
    pub(super) fn wish(&self, change: impl FnOnce(&mut Wishes)) {
        let before = self.providers.load();
        let mut after = Providers::clone(&before);
        change(&mut after.wishes);
        if after.wishes != before.wishes {
            self.change(after);
        }
    }

    /// Takes in what a plugin declares that would offer it if it were started, and may be; what
    /// another one said before holds until one of them is.
    pub(super) fn declare(&self, plugin: &str, policy: &Policy) {
        if !self.providers.load().is_empty() {
            return;
        }
        self.wish(|wishes| {
            if wishes.declared_by.as_deref().is_none_or(|by| by == plugin) {
                wishes.declared = Arc::new(policy.clone());
                wishes.declared_by = Some(plugin.into());
            }
        });
    }

    /// Who waits for a change looks at the providers after it asked to be told.
    fn change(&self, mut providers: Providers) {
        providers.settle(&self.providers.load(), &self.clock);
        self.providers.store(Arc::new(providers));
        self.changed.notify_waiters();
    }

    /// The number of a call that goes elsewhere than to the provider whose turn it was.
    pub(super) fn detour(&self) -> usize {
        self.detours.fetch_add(1, Ordering::Relaxed)
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
