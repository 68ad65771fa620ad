//! What the manager knows of one plugin.

use std::{path::PathBuf, sync::Arc, time::Duration};

use octa_loader::{ContentHash, Inspection, Manifest};

use super::{
    Waiter,
    facts::{By, Circumstances},
    live::{Doors, Live},
    make::Ingredients,
    supervise::Supervision,
    workers::placement,
};
use crate::{
    bus::SubscriptionHandle,
    config::{Allow, Containment, Placement, Restart},
    lifecycle::State,
    linked::Linked,
    plan::{Member, Standing},
    reload::RetiredStatus,
    status::{Ledger, PluginStatus, Problem, SubscriptionStatus},
    watchdog::Watchdog,
    why::Facts,
};

/// One plugin.
pub(super) struct Record {
    /// Its file in the plugin directory.
    pub(super) file: Option<PathBuf>,
    /// What is run, or would be: what is in the file, or the kernel's copy of what ran before.
    pub(super) source: Source,
    pub(super) manifest: Arc<Manifest>,
    pub(super) settled: Settled,
    pub(super) wanted: Wanted,
    /// Who wants it there.
    pub(super) by: By,
    pub(super) state: State,
    pub(super) since: Duration,
    /// Why it is not where it is wanted.
    pub(super) problems: Vec<Problem>,
    /// Why a newer build does not serve.
    pub(super) waiting: Vec<Problem>,
    /// What is being done with it now.
    pub(super) busy: Option<Doing>,
    pub(super) live: Option<Arc<Live>>,
    pub(super) doors: Doors,
    /// How many generations there were.
    pub(super) generations: u64,
    /// What lies in its file now, to be taken up when it is not busy.
    pub(super) arrived: Option<Box<Inspection>>,
    /// A build that may serve as soon as something else changes: a permission, a dependency.
    pub(super) pending: Option<Box<Inspection>>,
    /// The generation that failed in its first seconds, and how.
    pub(super) condemned: Option<(u64, Problem)>,
    /// Its settings have changed while something was being done with it.
    pub(super) is_unsettled: bool,
    /// Its file is gone: so is the plugin, when it is unloaded.
    pub(super) is_removed: bool,
    /// How it broke down, and what is done about that.
    pub(super) supervision: Supervision,
    /// Who asked for the reload that is under way.
    pub(super) asked: Option<Waiter>,
}

/// What the configuration makes of a manifest.
#[derive(Clone)]
pub(super) struct Settled {
    /// Whether it lets the plugin run.
    pub(super) enabled: bool,
    pub(super) allow: Allow,
    /// The plugin's configuration, as JSON with the secrets in it.
    pub(super) config: serde_json::Value,
    /// Where it lives, and what it is kept from there.
    pub(super) containment: Containment,
    /// What of its permissions or configuration keeps it from running.
    pub(super) held: Vec<Problem>,
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
pub(crate) enum Doing {
    Opening,
    Starting,
    Reloading,
    Stopping,
    Closing,
    /// It broke down, and what it has in hand is seen to.
    Falling,
}

impl Source {
    pub(super) fn hash(&self) -> Option<ContentHash> {
        match self {
            Self::File(inspection) => Some(inspection.hash),
            Self::Linked(_) => None,
        }
    }
}

impl Record {
    pub(super) fn new(source: Source, manifest: Arc<Manifest>, settled: Settled) -> Self {
        let file = match &source {
            Source::File(inspection) => Some(inspection.path.clone()),
            Source::Linked(_) => None,
        };
        Self {
            file,
            source,
            manifest,
            settled,
            wanted: Wanted::Discovered,
            by: By::Nobody,
            state: State::Discovered,
            since: Duration::ZERO,
            problems: Vec::new(),
            waiting: Vec::new(),
            busy: None,
            live: None,
            doors: Doors::default(),
            generations: 0,
            arrived: None,
            pending: None,
            condemned: None,
            is_unsettled: false,
            is_removed: false,
            supervision: Supervision::default(),
            asked: None,
        }
    }

    pub(super) fn want(&mut self, wanted: Wanted, by: By) {
        self.wanted = wanted;
        self.by = by;
        if self.state == State::Failed && matches!(wanted, Wanted::Started | Wanted::Loaded) {
            // Asked for again, it is tried again.
            self.supervision.hurry();
            self.problems.clear();
        }
    }

    /// If it has failed, that is forgotten: it is tried again, also if it was left alone.
    pub(super) fn forgive(&mut self) {
        if self.has_failed() {
            self.supervision.forgive();
            self.problems.clear();
        }
    }

    /// Failed, and not asked for again since.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, State::Failed | State::Quarantined) && !self.problems.is_empty()
    }

    /// Where it stands, its dependencies aside.
    pub(super) fn member(&self) -> Member {
        Member::new(&self.manifest, self.standing())
    }

    pub(super) fn standing(&self) -> Standing {
        if self.has_failed() && !self.is_coming_back() {
            Standing::Failed
        } else if self.wanted != Wanted::Started {
            Standing::Disabled
        } else if !self.settled.held.is_empty() {
            Standing::Held
        } else {
            Standing::Ready
        }
    }

    /// What the next generation is made from.
    pub(super) fn ingredients(&self) -> Ingredients {
        Ingredients {
            source: self.source.clone(),
            manifest: self.manifest.clone(),
            allow: self.settled.allow.clone(),
            containment: self.settled.containment.clone(),
            config: self.settled.config.clone(),
        }
    }

    /// The number of the next generation.
    pub(super) fn next_number(&mut self) -> u64 {
        self.generations += 1;
        self.generations
    }

    /// How it is seen from outside.
    pub(super) fn seen(
        &self,
        retired: Vec<RetiredStatus>,
        restart: &Restart,
        watchdog: &Watchdog,
    ) -> Seen {
        let capabilities = self.manifest.capabilities.iter();
        let generation = self.live.as_ref().map(|live| live.status());
        let serves_since = generation.as_ref().map_or(0, |generation| generation.since);
        let status = PluginStatus {
            name: self.manifest.name.clone(),
            version: self.manifest.version.to_string(),
            state: self.state,
            description: self.manifest.description.clone(),
            path: self.file.clone(),
            hash: self.source.hash().map(|hash| hash.to_string()),
            since: crate::reload::nanos(self.since).max(serves_since),
            problems: self.problems.clone(),
            capabilities: capabilities.map(|c| c.name.clone()).collect(),
            health: None,
            subscriptions: Vec::new(),
            unfinished: 0,
            ledger: Ledger::default(),
            generation,
            retired,
            waiting: self.waiting.clone(),
            placement: match placement(&self.manifest, &self.settled.containment) {
                Placement::Process => "process",
                _ => "in-process",
            },
            process: None,
            restarts: self.supervision.status(restart),
            faults: self.supervision.faults(),
            blocked: Vec::new(),
        };
        Seen {
            status,
            circumstances: Circumstances::of(self),
            subscriptions: self.doors.subscriptions(),
            live: self.live.clone(),
            watchdog: watchdog.clone(),
        }
    }
}

/// A plugin in the state it last came into, and where its numbers are read.
#[derive(Debug)]
pub(crate) struct Seen {
    status: PluginStatus,
    circumstances: Circumstances,
    subscriptions: Vec<SubscriptionHandle>,
    live: Option<Arc<Live>>,
    watchdog: Watchdog,
}

impl Seen {
    /// Its status, and what explains it.
    pub(crate) fn facts(&self) -> Facts {
        self.circumstances.facts(self.status())
    }

    /// Its status with the numbers of now.
    pub(crate) fn status(&self) -> PluginStatus {
        let live = self.live.as_ref();
        let ledger = live.map(|live| live.ledger()).unwrap_or_default();
        PluginStatus {
            health: live.and_then(|live| live.health()),
            process: live.and_then(|live| live.process()),
            subscriptions: self
                .subscriptions
                .iter()
                .map(SubscriptionStatus::of)
                .collect(),
            unfinished: ledger.work,
            ledger,
            blocked: self.watchdog.blocked(&self.status.name),
            ..self.status.clone()
        }
    }
}
