//! What the manager knows of one plugin.

use std::{path::PathBuf, sync::Arc, time::Duration};

use octa_loader::{Inspection, Instance, Manifest};

use crate::{
    bus::SubscriptionHandle,
    config::Allow,
    facilities::Facilities,
    lifecycle::State,
    linked::Linked,
    plan::{Member, Standing},
    services::Health,
    status::{PluginStatus, Problem, SubscriptionStatus},
};

/// One plugin.
pub(super) struct Record {
    pub(super) source: Source,
    pub(super) manifest: Arc<Manifest>,
    /// Whether the configuration lets it run.
    pub(super) enabled: bool,
    pub(super) allow: Allow,
    /// Its configuration, as JSON with the secrets in it.
    pub(super) config: serde_json::Value,
    /// What of its permissions or configuration keeps it from running.
    pub(super) held: Vec<Problem>,
    pub(super) wanted: Wanted,
    pub(super) state: State,
    pub(super) since: Duration,
    /// Why it is not where it is wanted.
    pub(super) problems: Vec<Problem>,
    /// What is being done with it now.
    pub(super) busy: Option<Doing>,
    pub(super) instance: Option<Instance>,
    pub(super) facilities: Option<Arc<Facilities>>,
    pub(super) subscriptions: Vec<SubscriptionHandle>,
    pub(super) health: Option<Arc<Health>>,
    /// Asks for the health, until it is dropped.
    pub(super) following: Option<async_task::Task<()>>,
}

/// Where a plugin comes from.
#[derive(Clone)]
pub(super) enum Source {
    File(Box<Inspection>),
    Linked(Linked),
}

/// Where a plugin is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Wherever it is.
    Discovered,
    Loaded,
    Started,
    Stopped,
    Unloaded,
}

/// What can be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Opening,
    Starting,
    Stopping,
    Closing,
}

impl Record {
    pub(super) fn want(&mut self, wanted: Wanted) {
        self.wanted = wanted;
        if self.state == State::Failed && matches!(wanted, Wanted::Started | Wanted::Loaded) {
            // Asked for again, it is tried again.
            self.problems.clear();
        }
    }

    /// Failed, and not asked for again since.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed | State::Quarantined) && !self.problems.is_empty()
    }

    pub(super) fn path(&self) -> Option<&PathBuf> {
        match &self.source {
            Source::File(inspection) => Some(&inspection.path),
            Source::Linked(_) => None,
        }
    }

    /// Where it stands, its dependencies aside.
    pub(super) fn member(&self) -> Member {
        let standing = if self.has_failed() {
            Standing::Failed
        } else if self.wanted != Wanted::Started {
            Standing::Disabled
        } else if !self.held.is_empty() {
            Standing::Held
        } else {
            Standing::Ready
        };
        Member::new(&self.manifest, standing)
    }

    /// How it is seen from outside.
    pub(super) fn seen(&self) -> Seen {
        let hash = match &self.source {
            Source::File(inspection) => Some(inspection.hash.to_string()),
            Source::Linked(_) => None,
        };
        let capabilities = self.manifest.capabilities.iter();
        let status = PluginStatus {
            name: self.manifest.name.clone(),
            version: self.manifest.version.to_string(),
            state: self.state,
            description: self.manifest.description.clone(),
            path: self.path().cloned(),
            hash,
            since: u64::try_from(self.since.as_nanos()).unwrap_or(u64::MAX),
            problems: self.problems.clone(),
            capabilities: capabilities.map(|c| c.name.clone()).collect(),
            health: None,
            subscriptions: Vec::new(),
            unfinished: 0,
        };
        let health = self.health.clone();
        Seen {
            status,
            health: health.filter(|_| self.state == State::Started),
            subscriptions: self.subscriptions.clone(),
            instance: self.instance.clone(),
        }
    }
}

/// A plugin in the state it last came into, and where its numbers are read.
#[derive(Debug)]
pub(crate) struct Seen {
    status: PluginStatus,
    health: Option<Arc<Health>>,
    subscriptions: Vec<SubscriptionHandle>,
    instance: Option<Instance>,
}

impl Seen {
    /// Its status with the numbers of now.
    pub(crate) fn status(&self) -> PluginStatus {
        PluginStatus {
            health: self.health.as_ref().map(|health| health.get()),
            subscriptions: self.subscriptions.iter().map(subscription).collect(),
            unfinished: self.instance.as_ref().map_or(0, Instance::unfinished),
            ..self.status.clone()
        }
    }
}

fn subscription(handle: &SubscriptionHandle) -> SubscriptionStatus {
    let counters = handle.counters();
    SubscriptionStatus {
        pattern: handle.pattern().to_string(),
        matched: counters.matched,
        delivered: counters.delivered,
        dropped: counters.dropped,
        queued: counters.queued,
    }
}
