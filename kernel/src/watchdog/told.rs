//! What is told of an entry that does not return: in the log, on the bus, and in the status.

use std::time::Duration;

use octa_loader::{
    Generation, Manifest,
    presence::{Blocked, Doing, Part, Step, What},
};
use octa_plugin_api::Payload;
use serde_json::{Value, json};

use crate::{bus::Publisher, manager::Stuck, status::BlockedStatus};

/// The topics.
pub(super) const BLOCKED: &str = "kernel.plugin.thread_blocked";
pub(super) const UNBLOCKED: &str = "kernel.plugin.thread_freed";

/// An entry that does not return, and was told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) plugin: String,
    pub(super) status: BlockedStatus,
    /// For how long it has lasted.
    pub(super) age: Duration,
    /// It is the host that it waits for.
    is_in_host: bool,
}

impl Told {
    pub(super) fn new(
        blocked: &Blocked,
        generation: &Generation,
        number: u64,
        callers: Vec<String>,
        since: u64,
    ) -> Self {
        let manifest = generation.manifest();
        let doing = blocked.who.doing;
        let place = blocked.place(generation);
        Self {
            plugin: manifest.name.clone(),
            status: BlockedStatus {
                generation: number,
                what: what(manifest, doing),
                thread: blocked.thread_name.clone(),
                thread_id: blocked.thread,
                since,
                place: match blocked.is_in_host {
                    true => "in the kernel".to_owned(),
                    false => place.to_string(),
                },
                likely: place.likely,
                callers,
                may_block: may_block(manifest, doing),
            },
            age: blocked.age,
            is_in_host: blocked.is_in_host,
        }
    }

    /// Whether its plugin is to be given up for it, if it lasts.
    pub(super) fn is_at_fault(&self) -> bool {
        !self.status.may_block && !self.is_in_host
    }

    /// Why it is.
    pub(super) fn stuck(&self, limit: Duration) -> Stuck {
        Stuck {
            what: format!(
                "{} blocks its thread for more than {limit:?}",
                self.status.what
            ),
            last_lines: self.status.lines(),
        }
    }

    pub(super) fn log(&self) {
        let (plugin, status) = (&self.plugin, &self.status);
        let lines = status.lines().join("; ");
        let line = format!(
            "plugin `{plugin}` (generation {}) blocks {lines}",
            status.generation
        );
        // What may block is worth knowing, and no fault.
        let level = match status.may_block {
            true => log::Level::Info,
            false => log::Level::Warn,
        };
        log::log!(level, "{line}");
    }

    pub(super) fn log_return(&self) {
        let (plugin, what) = (&self.plugin, &self.status.what);
        log::info!(
            "plugin `{plugin}`: {what} has returned after {:?}",
            rough(self.age)
        );
    }

    pub(super) fn event_of_return(&self) -> Value {
        let mut event = self.event();
        event["for_ms"] = milliseconds(self.age).into();
        event
    }

    pub(super) fn event(&self) -> Value {
        let status = &self.status;
        json!({
            "plugin": self.plugin,
            "generation": status.generation,
            "what": status.what,
            "thread": status.thread,
            "thread_id": status.thread_id,
            "since_ms": status.since / 1_000_000,
            "where": status.place,
            "likely": status.likely,
            "callers": status.callers,
            "may_block": status.may_block,
        })
    }
}

impl BlockedStatus {
    /// What there is to say of it, line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        let thread = match self.thread_id {
            Some(id) => format!("the thread `{}` ({id}) in {}", self.thread, self.what),
            None => format!("the thread `{}` in {}", self.thread, self.what),
        };
        let place = Some(self.place.clone()).filter(|place| !place.is_empty());
        let outer = self.likely.iter().skip(1);
        let outer = outer.map(|function| format!("likely called by `{function}`"));
        let callers = self
            .callers
            .iter()
            .map(|caller| format!("called by {caller}"));
        let lines = [thread].into_iter().chain(place);
        lines.chain(outer).chain(callers).collect()
    }
}

/// Tells it on the bus.
pub(super) fn publish(publisher: &Publisher, topic: &str, event: &Value) {
    let payload = Payload::json(event).unwrap_or_default();
    // The topic is valid, and nobody is waited for.
    drop(publisher.publish(topic, payload, 0));
}

/// Who called, and what for.
pub(super) fn caller(generation: &Generation, doing: Doing) -> String {
    let manifest = generation.manifest();
    format!("{} of plugin `{}`", what(manifest, doing), manifest.name)
}

/// What code is run for, as its author calls it.
fn what(manifest: &Manifest, doing: Doing) -> String {
    let declared = |number: u32, name: Option<&str>| match name {
        Some(name) => format!("`{name}`"),
        None => format!("number {number}"),
    };
    let name = match doing.what {
        What::Call(number) => {
            let capability = manifest.capabilities.get(number as usize);
            let name = capability.map(|it| it.name.as_str());
            format!("the handler of {}", declared(number, name))
        }
        What::Event(number) => {
            let subscription = manifest.subscriptions.get(number as usize);
            let name = subscription.map(|it| it.pattern.as_str());
            format!("the handler of events on {}", declared(number, name))
        }
        What::Task(number) => format!("task {number}"),
        What::Step(step) => step.to_string(),
        _ => "something unknown".to_owned(),
    };
    match doing.part {
        Part::Drop => format!("the drop of {name}"),
        Part::Begin | Part::Poll => name,
    }
}

/// Whether it may block its thread: it said so, or it runs on a thread to spare, with a deadline
/// of its own.
fn may_block(manifest: &Manifest, doing: Doing) -> bool {
    let capability = |number: u32| manifest.capabilities.get(number as usize);
    let subscription = |number: u32| manifest.subscriptions.get(number as usize);
    match doing.what {
        _ if doing.part == Part::Drop => false,
        What::Call(number) => capability(number).is_some_and(|it| it.blocking),
        What::Event(number) => subscription(number).is_some_and(|it| it.blocking),
        What::Step(step) => !matches!(step, Step::Health | Step::Wake),
        _ => false,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A time that is no more exact than the looks that it was measured by.
fn rough(time: Duration) -> Duration {
    Duration::from_millis(milliseconds(time) / 100 * 100)
}
