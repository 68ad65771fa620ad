//! What this process may do because of who runs it: nothing of that is left, beyond what its
//! sandbox grants.

use std::fs;

use octa_wire::{Confinement, Hello};
use rustix::{
    io,
    process::{DumpableBehavior, set_dumpable_behavior},
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs},
};

use super::ConfineError;

pub(super) fn drop(hello: &Hello, confinement: &mut Confinement) -> Result<(), ConfineError> {
    let step = ConfineError::step;
    let mut enforced = |what: &str| confinement.enforced.push(what.to_owned());
    set_no_new_privs(true).map_err(|error| step("give up new privileges", error))?;
    drop_capabilities(kept(hello.sandbox.network))
        .map_err(|error| step("give up its capabilities", error))?;
    enforced("no privileges, and no way to new ones");
    // A process that may leave a core file may be traced, too: the system has one word for both.
    if hello.limits.core.unwrap_or(0) == 0 {
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|error| step("hide its memory", error))?;
        enforced("its memory is hidden from other processes");
    }
    Ok(())
}

/// What root may keep. Which files it reaches is the business of Landlock; that they belong to
/// somebody else does not take away what was granted of them.
fn kept(network: bool) -> CapabilitySet {
    let files = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    let sockets = CapabilitySet::NET_BIND_SERVICE | CapabilitySet::NET_RAW;
    if network { files | sockets } else { files }
}

fn drop_capabilities(kept: CapabilitySet) -> io::Result<()> {
    let now = capabilities(None)?;
    let new = CapabilitySets {
        effective: now.effective & kept,
        permitted: now.permitted & kept,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, new)
}

/// How many threads this process has besides the calling one, if the system says so.
pub(super) fn other_threads() -> Option<usize> {
    let threads = fs::read_dir("/proc/self/task").ok()?.count();
    threads.checked_sub(1).filter(|others| *others > 0)
}
