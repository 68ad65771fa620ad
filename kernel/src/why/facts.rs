//! What an explanation is made from: plain data, so that any house of plugins can be explained,
//! also one that is only thought up.

use std::collections::BTreeMap;

use crate::{
    manager::Doing,
    plan::{Member, Plan},
    services::ServiceStatus,
    status::{PluginStatus, Problem, RejectedFile},
};

/// What is known of one plugin.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) status: PluginStatus,
    /// What it offers and needs, and whether it may run.
    pub(crate) member: Member,
    /// Why it is not wanted started, if it is not.
    pub(crate) rest: Option<Rest>,
    /// What is being done with it.
    pub(crate) doing: Option<Doing>,
    /// Whether another build takes its place next.
    pub(crate) gives_way: bool,
    /// What of its permissions, its configuration or its placement keeps it from running.
    pub(crate) held: Vec<Problem>,
    /// The version of the build that waits for something to change.
    pub(crate) pending: Option<String>,
}

/// Why a plugin is not wanted started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// The configuration says so.
    Disabled,
    /// Nobody has asked for it.
    NotAsked,
    /// Somebody asked for it to be elsewhere.
    Request(Asked),
    /// All have been stopped.
    KernelStopped,
    /// Its file is gone.
    FileRemoved,
}

/// What somebody asked for instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Load,
    Stop,
    Unload,
}

/// A house of plugins.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(super) plugins: BTreeMap<String, Facts>,
    pub(super) rejected: Vec<RejectedFile>,
    pub(super) plan: Plan,
    /// What is known of capabilities, by name.
    pub(super) services: BTreeMap<String, ServiceStatus>,
    /// The time, in nanoseconds since 1970.
    pub(super) now: u64,
}

impl Scene {
    pub(crate) fn new(
        plugins: impl IntoIterator<Item = Facts>,
        rejected: Vec<RejectedFile>,
    ) -> Self {
        let named = |facts: Facts| (facts.status.name.clone(), facts);
        let plugins: BTreeMap<String, Facts> = plugins.into_iter().map(named).collect();
        Self {
            plan: Plan::new(plugins.values().map(|facts| facts.member.clone())),
            plugins,
            rejected,
            services: BTreeMap::new(),
            now: 0,
        }
    }

    /// The same house with the capabilities that are known in it, as they are `now`, in
    /// nanoseconds since 1970.
    pub(crate) fn serving(
        self,
        services: impl IntoIterator<Item = ServiceStatus>,
        now: u64,
    ) -> Self {
        let named = |service: ServiceStatus| (service.name.clone(), service);
        Self {
            services: services.into_iter().map(named).collect(),
            now,
            ..self
        }
    }
}
