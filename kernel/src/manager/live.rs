//! One generation of a plugin as the manager holds it: its instance, what that reaches, and what
//! carries calls and events to it while it serves.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use octa_loader::{ContentHash, Instance, Manifest};
use parking_lot::Mutex;

use super::{Core, record::Source, workers::process_of};
use crate::{
    bus::{Publisher, SubscriptionHandle},
    config::{Allow, Containment},
    deliveries::{Deliveries, Lanes, Mailbox},
    facilities::{Commons, Facilities},
    fate::Fate,
    reload::{GenerationStatus, nanos},
    services::{Health, Intake, Probation},
    status::{Ledger, ProcessStatus},
};

/// A generation that has an instance.
pub(crate) struct Live {
    pub(super) number: u64,
    /// When it was made; later, since when it serves.
    pub(super) since: Mutex<Duration>,
    pub(super) source: Source,
    pub(super) manifest: Arc<Manifest>,
    pub(super) allow: Allow,
    pub(super) containment: Containment,
    /// Its configuration, as JSON with the secrets in it.
    pub(super) config: serde_json::Value,
    pub(super) instance: Instance,
    pub(super) fate: Fate,
    pub(super) facilities: Arc<Facilities>,
    /// What it serves with, while it does.
    serving: Mutex<Option<Serving>>,
}

/// What carries calls and events to an instance.
struct Serving {
    lanes: Lanes,
    health: Arc<Health>,
    /// Asks for the health, until it is dropped.
    _following: async_task::Task<()>,
}

/// What belongs to a plugin whatever its generation: the queues of its subscriptions, and the
/// pause of its calls.
#[derive(Clone, Default)]
pub(super) struct Doors {
    pub(super) intake: Intake,
    mailboxes: Arc<Mutex<Mailboxes>>,
}

/// Queues by pattern, and number among those of one pattern.
type Mailboxes = BTreeMap<(String, usize), Mailbox>;

impl Live {
    pub(super) fn new(
        number: u64,
        since: Duration,
        from: super::make::Ingredients,
        instance: Instance,
        facilities: Arc<Facilities>,
    ) -> Self {
        Self {
            number,
            since: Mutex::new(since),
            source: from.source,
            manifest: from.manifest,
            allow: from.allow,
            containment: from.containment,
            config: from.config,
            fate: fate_of(&instance),
            instance,
            facilities,
            serving: Mutex::new(None),
        }
    }

    /// It serves since now.
    pub(super) fn takes_over(&self, core: &Core) {
        *self.since.lock() = core.commons.clock.wall();
    }

    pub(super) fn name(&self) -> &str {
        &self.manifest.name
    }

    pub(super) fn hash(&self) -> Option<ContentHash> {
        self.source.hash()
    }

    /// What it holds of the kernel.
    pub(super) fn ledger(&self) -> Ledger {
        let held = self.facilities.holdings();
        Ledger {
            work: self.instance.unfinished(),
            subscriptions: held.subscriptions,
            held_events: held.events,
            held_tasks: held.tasks,
        }
    }

    pub(super) fn status(&self) -> GenerationStatus {
        GenerationStatus {
            number: self.number,
            version: self.manifest.version.to_string(),
            hash: self.hash().map(|hash| hash.to_string()),
            since: nanos(*self.since.lock()),
        }
    }

    /// The process that carries it, if it is not the kernel's.
    pub(super) fn process(&self) -> Option<ProcessStatus> {
        process_of(self.instance.generation(), self.containment.group.as_ref())
    }

    /// Its own opinion of itself, while it serves.
    pub(super) fn health(&self) -> Option<f64> {
        self.serving.lock().as_ref().map(|it| it.health.get())
    }

    /// Begins to serve: calls, and the events of its subscriptions. Where another generation of
    /// the plugin serves, its calls come here from now on, and its events when its handlers have
    /// ended.
    pub(super) fn serve(
        &self,
        core: &Core,
        doors: &Doors,
        publisher: &Publisher,
        probation: Option<Arc<Probation>>,
    ) {
        self.instance.open();
        let deliveries = |handler: u32, declared: &octa_loader::Subscription| Deliveries {
            instance: self.instance.clone(),
            handler,
            declared: declared.clone(),
            publisher: publisher.clone(),
            spare: core.spare.clone(),
            clock: core.commons.clock.clone(),
            probation: probation.clone(),
            fate: self.fate.clone(),
        };
        let mailboxes = doors.mailboxes_of(core, &self.manifest, publisher);
        let handlers = (0..)
            .zip(&self.manifest.subscriptions)
            .map(|(handler, declared)| deliveries(handler, declared));
        let lanes = Lanes::begin(
            mailboxes.into_iter().zip(handlers).collect(),
            &core.commons.pool,
        );
        let health = Arc::new(Health::default());
        let (instance, clock) = (self.instance.clone(), core.commons.clock.clone());
        let following = core
            .commons
            .pool
            .start(health.clone().follow(instance, clock));
        self.offer(core, doors, &health, probation);
        *self.serving.lock() = Some(Serving {
            lanes,
            health,
            _following: following,
        });
    }

    /// Offers its capabilities again, without counting how they do.
    pub(super) fn end_probation(&self, core: &Core, doors: &Doors) {
        // Locked meanwhile: who replaces it takes this first, and offers the other one after that.
        let serving = self.serving.lock();
        if let Some(serving) = &*serving {
            self.offer(core, doors, &serving.health, None);
        }
    }

    fn offer(
        &self,
        core: &Core,
        doors: &Doors,
        health: &Arc<Health>,
        probation: Option<Arc<Probation>>,
    ) {
        let services = &core.commons.services;
        services.register(
            &self.instance,
            &self.manifest,
            health,
            &doors.intake,
            probation,
            &self.fate,
        );
    }

    /// Begins no further event; calls are let in until the instance is closed.
    pub(super) fn leave(&self) -> Leaving {
        let serving = self.serving.lock().take();
        if let Some(serving) = &serving {
            serving.lanes.leave();
        }
        Leaving(serving)
    }
}

/// A generation in the kernel's own process dies with that alone.
fn fate_of(instance: &Instance) -> Fate {
    if instance.generation().worker().is_none() {
        return Fate::shared();
    }
    let instance = instance.clone();
    Fate::own(move || instance.is_dead())
}

/// What a generation is still about to do.
pub(super) struct Leaving(Option<Serving>);

impl Leaving {
    /// Waits until no call and no event is being handled.
    pub(super) async fn gone(&self, instance: &Instance) {
        if let Some(serving) = &self.0 {
            serving.lanes.gone().await;
        }
        instance.drained().await;
    }

    /// Takes their events from handlers that cannot be ended.
    pub(super) fn cut_off(&self) {
        if let Some(serving) = &self.0 {
            serving.lanes.cut_off();
        }
    }
}

impl Doors {
    /// The queues of these subscriptions, in their order: those that are there, and new ones.
    fn mailboxes_of(
        &self,
        core: &Core,
        manifest: &Manifest,
        publisher: &Publisher,
    ) -> Vec<Mailbox> {
        let mut there = self.mailboxes.lock();
        let mut counts = BTreeMap::new();
        let mut wanted = Vec::new();
        let mut kept = Mailboxes::new();
        for declared in &manifest.subscriptions {
            let pattern = declared.pattern.as_str().to_owned();
            let count = counts.entry(pattern.clone()).or_insert(0);
            let which = *count;
            let key = (pattern, which);
            *count += 1;
            let mailbox = match there.remove(&key) {
                Some(mailbox) => {
                    mailbox.reshape(declared);
                    mailbox
                }
                None => {
                    let Commons { bus, letters, .. } = &core.commons;
                    Mailbox::open(bus, letters, &manifest.name, which, declared)
                }
            };
            wanted.push(mailbox.clone());
            kept.insert(key, mailbox);
        }
        // What is not listened to any more.
        for mailbox in std::mem::replace(&mut *there, kept).into_values() {
            mailbox.close(publisher);
        }
        wanted
    }

    /// Closes all queues: the plugin has stopped.
    pub(super) fn close(&self, publisher: &Publisher) {
        for mailbox in std::mem::take(&mut *self.mailboxes.lock()).into_values() {
            mailbox.close(publisher);
        }
    }

    pub(super) fn subscriptions(&self) -> Vec<SubscriptionHandle> {
        self.mailboxes
            .lock()
            .values()
            .map(Mailbox::handle)
            .collect()
    }

    /// How many events wait.
    pub(super) fn waiting(&self) -> usize {
        let handles = self.subscriptions();
        handles.iter().map(|it| it.counters().queued).sum()
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({} {})", self.manifest.name, self.number)
    }
}
