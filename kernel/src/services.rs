//! Services: who offers which capability, and the way of a call to one of them.
//!
//! A plain call takes no lock and allocates nothing here; what a call may reach was decided
//! when its handle was made.

mod again;
mod call;
mod chain;
mod health;
mod intake;
mod kept;
mod pending;
mod probation;
mod route;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use octa_loader::{Capability, Envelope, Instance, Manifest};
use octa_plugin_api::{Error, ErrorKind};
use parking_lot::Mutex;

pub(crate) use call::Begun;
pub(crate) use health::Health;
pub(crate) use intake::Intake;
pub(crate) use pending::PendingCall;
pub(crate) use probation::Probation;
pub(crate) use route::{Provider, Route};

use crate::{fate::Fate, nearest::nearest, spare::Spare, time::Clock};

/// All capabilities of a kernel. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Services(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Every capability that was ever offered: a handle on one stays good while its providers
    /// come and go.
    routes: ArcSwap<HashMap<Arc<str>, Arc<Route>>>,
    /// Held by who adds or takes away; readers take no lock.
    change: Mutex<()>,
    clock: Arc<dyn Clock>,
    spare: Spare,
    deadline: Duration,
}

impl Services {
    pub(crate) fn new(clock: Arc<dyn Clock>, spare: Spare, deadline: Duration) -> Self {
        Self(Arc::new(Shared {
            routes: ArcSwap::default(),
            change: Mutex::new(()),
            clock,
            spare,
            deadline,
        }))
    }

    /// The time that a call may take if nobody says otherwise.
    pub(crate) fn default_deadline(&self) -> Duration {
        self.0.deadline
    }

    /// Takes in what a plugin would offer if it were started, so that who calls it is told that,
    /// and not that nobody knows it.
    pub(crate) fn announce(&self, manifest: &Manifest) {
        let _changing = self.0.change.lock();
        let known = self.0.routes.load();
        let is_new = |name: &&str| !known.contains_key(*name);
        let names = manifest
            .capabilities
            .iter()
            .map(|capability| &*capability.name);
        let new: Vec<&str> = names.filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        let mut routes = HashMap::clone(&known);
        for name in new {
            let number = routes.len();
            routes.insert(name.into(), Arc::new(Route::new(name.into(), number)));
        }
        self.0.routes.store(Arc::new(routes));
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
        };
        let mut routes = HashMap::clone(&self.0.routes.load());
        for (handler, capability) in (0..).zip(&manifest.capabilities) {
            let number = routes.len();
            let route = routes
                .entry(capability.name.as_str().into())
                .or_insert_with_key(|name| Arc::new(Route::new(name.clone(), number)));
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
    /// Names the nearest known, if it was never offered.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<Route>, Error> {
        let routes = self.0.routes.load();
        if let Some(route) = routes.get(name) {
            return Ok(route.clone());
        }
        let message = format!("no plugin offers the capability `{name}`");
        let error = Error::new(ErrorKind::UnknownCapability, message);
        let offered = routes.values().filter(|route| route.is_offered());
        Err(match nearest(name, offered.map(|route| &**route.name())) {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error,
        })
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
