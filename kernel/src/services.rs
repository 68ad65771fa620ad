//! Services: who offers which capability, and the way of a call to one of them.
//!
//! A plain call takes no lock and allocates nothing here; what a call may reach was decided
//! when its handle was made.

mod again;
mod call;
mod chain;
mod checks;
mod counts;
mod guard;
mod guarded;
mod health;
mod intake;
mod kept;
mod keyed;
mod kinds;
mod order;
mod pending;
mod probation;
mod refusals;
mod room;
mod route;
mod rules;
mod seat;
mod status;
mod steps;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use octa_loader::{Capability, Envelope, Instance, Manifest, NameKind};
use octa_plugin_api::{Error, ErrorKind};
use parking_lot::Mutex;

pub use counts::CallCounts;
pub use guard::{BreakerState, BreakerStatus, Measured};
pub use status::{ProviderStatus, ServiceStatus};

pub(crate) use call::Begun;
pub(crate) use health::Health;
pub(crate) use intake::Intake;
pub(crate) use pending::PendingCall;
pub(crate) use probation::Probation;
pub(crate) use route::{Provider, Route};

pub(crate) use seat::WAIT;
use steps::Steps;

use crate::{config::Config, fate::Fate, nearest::nearest, pool::Pool, spare::Spare, time::Clock};

/// All capabilities of a kernel. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Services(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Every capability that was ever offered: a handle on one stays good while its providers
    /// come and go.
    routes: ArcSwap<HashMap<Arc<str>, Arc<Route>>>,
    /// Those that plugins declare, or did: a configuration may name others. Looked at only by who
    /// finds nobody.
    declared: Mutex<HashSet<Arc<str>>>,
    /// Held by who adds or takes away; readers take no lock.
    change: Mutex<()>,
    clock: Arc<dyn Clock>,
    spare: Spare,
    /// Runs calls that nobody waits for.
    pool: Pool,
    deadline: Duration,
    measured: Measuring,
}

/// Whether rates and latencies of all capabilities are kept.
#[derive(Debug, Default)]
struct Measuring {
    configured: AtomicBool,
    /// Those who look at them now.
    lookers: AtomicUsize,
}

impl Measuring {
    fn is_on(&self) -> bool {
        self.configured.load(Ordering::Relaxed) || self.lookers.load(Ordering::Relaxed) > 0
    }
}

/// Somebody who looks at rates and latencies: as long as there is one, they are kept.
#[derive(Debug)]
pub(crate) struct Looking(Services);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.0.measured.lookers.fetch_sub(1, Ordering::Relaxed);
        self.0.measure();
    }
}

impl Services {
    pub(crate) fn new(clock: Arc<dyn Clock>, spare: Spare, pool: Pool, deadline: Duration) -> Self {
        Self(Arc::new(Shared {
            routes: ArcSwap::default(),
            declared: Mutex::default(),
            change: Mutex::new(()),
            clock,
            spare,
            pool,
            deadline,
            measured: Measuring::default(),
        }))
    }

    /// The time that a call may take if nobody says otherwise.
    pub(crate) fn default_deadline(&self) -> Duration {
        self.0.deadline
    }

    /// Takes in what a plugin would offer if it were started, so that who calls it is told that,
    /// and not that nobody knows it. One that may not run says nothing of how it is called.
    pub(crate) fn announce(&self, manifest: &Manifest, may_run: bool) {
        let _changing = self.0.change.lock();
        let mut routes = HashMap::clone(&self.0.routes.load());
        for capability in &manifest.capabilities {
            let route = self.route(&mut routes, &capability.name);
            self.0.declared.lock().insert(route.name().clone());
            if may_run {
                route.declare(&manifest.name, &capability.policy);
            }
        }
        self.0.routes.store(Arc::new(routes));
    }

    /// Calls capabilities as a configuration says from now on. What is remembered of their calls
    /// stays where the settings for it are the same.
    pub(crate) fn configure(&self, config: &Config) {
        let _changing = self.0.change.lock();
        let mut routes = HashMap::clone(&self.0.routes.load());
        for name in config.capabilities.keys().chain(config.pipelines.keys()) {
            self.route(&mut routes, name);
        }
        self.0
            .measured
            .configured
            .store(config.kernel.measure, Ordering::Relaxed);
        let is_measured = self.0.measured.is_on();
        for (name, route) in &routes {
            let configured = config.capabilities.get(&**name);
            let steps = Steps::of(&config.pipelines, name).map(Arc::new);
            route.wish(|wishes| {
                wishes.configured = configured.cloned().unwrap_or_default();
                wishes.steps = steps;
                wishes.is_measured = is_measured;
            });
        }
        self.0.routes.store(Arc::new(routes));
    }

    /// Keeps rates and latencies of all capabilities until what is returned is dropped.
    pub(crate) fn look(&self) -> Looking {
        self.0.measured.lookers.fetch_add(1, Ordering::Relaxed);
        self.measure();
        Looking(self.clone())
    }

    fn measure(&self) {
        let _changing = self.0.change.lock();
        let is_measured = self.0.measured.is_on();
        for route in self.0.routes.load().values() {
            route.wish(|wishes| wishes.is_measured = is_measured);
        }
    }

    /// The route of a capability, made if it is new.
    fn route<'a>(
        &self,
        routes: &'a mut HashMap<Arc<str>, Arc<Route>>,
        name: &str,
    ) -> &'a Arc<Route> {
        let number = routes.len();
        let route = routes.entry(name.into());
        route.or_insert_with_key(|name| {
            let route = Route::new(name.clone(), number, self.0.clock.clone());
            route.wish(|wishes| wishes.is_measured = self.0.measured.is_on());
            Arc::new(route)
        })
    }

    /// Offers the capabilities of an instance, in the place of what its plugin offered before:
    /// at no moment is there no provider of what both offer. The instance must be open already,
    /// or the intake paused until it is.
    ///
    /// How its calls end is noted on `probation`; who ends that registers the same instance
    /// without it. Who dies by its `fate` is told by that.
    pub(crate) fn register(
        &self,
        instance: &Instance,
        manifest: &Manifest,
        health: &Arc<Health>,
        intake: &Intake,
        probation: Option<Arc<Probation>>,
        fate: &Fate,
    ) {
        let _changing = self.0.change.lock();
        let seed = order::hash(instance.name());
        let offer = |handler, capability: &Capability| Provider {
            instance: instance.clone(),
            handler,
            blocking: capability.blocking,
            deadline: capability.deadline_ms.map(Duration::from_millis),
            idempotent: capability.idempotent,
            intake: intake.clone(),
            probation: probation.clone(),
            health: health.clone(),
            fate: fate.clone(),
            policy: Arc::new(capability.policy.clone()),
            seed,
            guard: None,
        };
        let mut routes = HashMap::clone(&self.0.routes.load());
        for (handler, capability) in (0..).zip(&manifest.capabilities) {
            let route = self.route(&mut routes, &capability.name);
            self.0.declared.lock().insert(route.name().clone());
            route.put(offer(handler, capability));
        }
        for route in routes.values() {
            let is_offered = |c: &Capability| c.name == **route.name();
            if !manifest.capabilities.iter().any(is_offered) {
                route.forget(instance.name());
            }
        }
        self.0.routes.store(Arc::new(routes));
    }

    /// Takes back what a plugin offers. While its intake is paused or expects it, it is expected
    /// to offer it again.
    pub(crate) fn unregister(&self, plugin: &str) {
        let _changing = self.0.change.lock();
        for route in self.0.routes.load().values() {
            route.remove(plugin);
        }
    }

    /// Finds a capability.
    ///
    /// # Errors
    ///
    /// Names the nearest known, if it was never offered, or says why no capability can be called
    /// so.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Route>, Error> {
        let routes = self.0.routes.load();
        if let Some(route) = routes.get(name) {
            return Ok(route.clone());
        }
        if let Err(error) = NameKind::Capability.check(name) {
            return Err(Error::new(ErrorKind::InvalidInput, error.to_string()));
        }
        let message = format!("no plugin offers the capability `{name}`");
        Err(self.unknown(name, message))
    }

    /// That nobody was ever known to offer what is called so.
    fn unknown(&self, name: &str, message: String) -> Error {
        let error = Error::new(ErrorKind::UnknownCapability, message);
        let routes = self.0.routes.load();
        let offered = routes.values().filter(|route| route.is_offered());
        match nearest(name, offered.map(|route| &**route.name())) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        }
    }

    /// What is offered now, in the order of the names.
    pub(crate) fn offered(&self) -> Vec<Arc<Route>> {
        let routes = self.0.routes.load();
        let mut offered: Vec<_> = routes
            .values()
            .filter(|r| r.is_offered())
            .cloned()
            .collect();
        offered.sort_by(|a, b| a.name().cmp(b.name()));
        offered
    }

    /// The names of the routes of a chain, for an error.
    fn names(&self, numbers: &[usize]) -> Vec<String> {
        let routes = self.0.routes.load();
        let name_of = |number: &usize| {
            let found = routes.values().find(|route| route.number() == *number);
            found.map_or_else(|| "?".to_owned(), |route| route.name().to_string())
        };
        numbers.iter().map(name_of).collect()
    }

    /// The route of a name, if there is one.
    fn route_of(&self, name: &str) -> Option<Arc<Route>> {
        self.0.routes.load().get(name).cloned()
    }

    /// What is left of a call's time for another capability that it leads to, which may declare
    /// less.
    fn left_for(&self, route: &Route, envelope: &Envelope<'_>) -> Option<Duration> {
        let providers = route.providers();
        let declared = providers.first().and_then(|provider| provider.deadline);
        let left = [envelope.remaining, declared].into_iter().flatten();
        left.min()
    }

    /// The time that a call of this envelope may take where so much is declared.
    #[inline(always)]
    fn deadline(&self, envelope: &Envelope<'_>, declared: Option<Duration>) -> Duration {
        match envelope.remaining {
            None => declared.unwrap_or(self.0.deadline),
            // A host's own wish counts; what is left of a plugin's time is only an upper bound.
            Some(wish) if envelope.caller == crate::kernel::HOST => wish,
            Some(left) => declared.map_or(left, |declared| declared.min(left)),
        }
    }
}
