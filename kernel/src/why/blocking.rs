//! Code of a plugin that does not give its thread back.

use super::{Cause, Why};
use crate::status::{BlockedStatus, PluginStatus};

pub(super) fn blocking(status: &PluginStatus) -> impl Iterator<Item = Why> {
    status.blocked.iter().map(|it| one(&status.name, it))
}

fn one(name: &str, blocked: &BlockedStatus) -> Why {
    let BlockedStatus { what, thread, .. } = blocked;
    let may = if blocked.may_block { ", as it may" } else { "" };
    let text = format!("{what} keeps the thread `{thread}`{may}");
    Why::new(Cause::Blocking, name, text)
        .since(blocked.since)
        .because(place(name, blocked))
}

/// Where the thread was, in what, and who waits there with it.
fn place(name: &str, blocked: &BlockedStatus) -> Vec<Why> {
    let place = Some(&blocked.place).filter(|place| !place.is_empty());
    let place = place.map(|place| format!("it was {place}"));
    // What it is in is told with the place.
    let likely = blocked.likely.get(1);
    let likely = likely.map(|by| format!("likely called by `{by}`"));
    let callers = blocked.callers.iter();
    let callers = callers.map(|caller| format!("{caller} waits for it on the same thread"));
    let texts = place.into_iter().chain(likely).chain(callers);
    texts
        .map(|text| Why::new(Cause::BlockedAt, name, text))
        .collect()
}
