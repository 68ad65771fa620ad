//! What the manager knows of a plugin that its status does not say, for whoever asks why.

use std::sync::Arc;

use octa_loader::Manifest;

use super::record::{Doing, Record, Wanted};
use crate::{
    plan::{Member, Standing},
    status::{PluginStatus, Problem},
    why::{Asked, Facts, Rest},
};

/// Who wants a plugin where it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// Nobody has said anything of it.
    Nobody,
    /// The start or the stop of all.
    Kernel,
    /// Somebody who named it.
    Request,
    /// The configuration.
    Configuration,
    /// What lies in the plugin directory.
    Directory,
}

/// Where a plugin stands, with what keeps it there.
#[derive(Debug, Clone)]
pub(super) struct Circumstances {
    manifest: Arc<Manifest>,
    standing: Standing,
    rest: Option<Rest>,
    doing: Option<Doing>,
    gives_way: bool,
    held: Vec<Problem>,
    pending: Option<String>,
}

impl Circumstances {
    pub(super) fn of(record: &Record) -> Self {
        let pending = record.pending.as_ref();
        Self {
            manifest: record.manifest.clone(),
            standing: record.standing(),
            rest: rest(record),
            doing: record.busy,
            gives_way: record.arrived.is_some(),
            held: record.settled.held.clone(),
            pending: pending.map(|found| found.manifest.version.to_string()),
        }
    }

    pub(super) fn facts(&self, status: PluginStatus) -> Facts {
        Facts {
            status,
            member: Member::new(&self.manifest, self.standing),
            rest: self.rest,
            doing: self.doing,
            gives_way: self.gives_way,
            held: self.held.clone(),
            pending: self.pending.clone(),
        }
    }
}

/// Why a plugin is not wanted started, if it is not.
fn rest(record: &Record) -> Option<Rest> {
    Some(match (record.wanted, record.by) {
        (Wanted::Started, _) => return None,
        (Wanted::Discovered, _) if record.settled.enabled => Rest::NotAsked,
        (Wanted::Discovered, _) | (_, By::Configuration) => Rest::Disabled,
        (Wanted::Loaded, _) => Rest::Request(Asked::Load),
        (Wanted::Stopped, _) => Rest::Request(Asked::Stop),
        (Wanted::Unloaded, By::Request) => Rest::Request(Asked::Unload),
        (Wanted::Unloaded, By::Directory) => Rest::FileRemoved,
        (Wanted::Unloaded, By::Kernel | By::Nobody) => Rest::KernelStopped,
    })
}
