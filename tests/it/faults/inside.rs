//! Faults in the kernel's own process: it is lost with its plugin, or it is not.

use super::{
    fault::{FAULTS, FAULTY, Fault, home},
    host::{self, Called, Host, pause, seen},
    table::{self, Column},
};
use crate::home::run;

/// As much memory as a process may use where there is no telling what it wants.
const MEMORY: u64 = 4 << 30;

#[test]
fn in_process() {
    let mut cells = Vec::new();
    for fault in &FAULTS {
        run(async {
            let cell = commit(fault).await;
            cells.push((fault.name, cell));
        });
    }
    table::check(Column::Inside, &cells);
}

/// What is seen of a fault.
async fn commit(fault: &Fault) -> String {
    let mut host = Host::run(home("in-process"), Some(MEMORY));
    host.until(FAULTY, "started").await;
    host.until("steady", "started").await;
    let mut calling = host.call(fault.capability, fault.input);
    let called = loop {
        if let Some(status) = host.ended() {
            return format!("the kernel's process {}", host::told(status));
        }
        if host.stands_still() {
            return "the kernel's process stands still".to_owned();
        }
        if let Some(called) = calling.ended() {
            break called;
        }
        if let Some(why) = quarantined(&host) {
            return format!("the call never ends; the plugin is quarantined: {why}");
        }
        pause().await;
    };
    // Whoever calls may see the end before the end is seen here.
    while called.is_broken && host.octa(&["list"]).code != 0 {
        if let Some(status) = host.ended() {
            return format!("the kernel's process {}", host::told(status));
        }
    }
    seen(|| Some(host.ask("neighbour.echo", "1").is_some())).await;
    answer(&called)
}

/// Why the plugin was given up, if it was.
fn quarantined(host: &Host) -> Option<String> {
    let plugin = host.plugin(FAULTY)?;
    let why = plugin["problems"][0]["message"].as_str()?;
    let why = why.trim_start_matches("plugin `faulty`: ");
    (plugin["state"] == "quarantined").then(|| why.to_owned())
}

/// What the caller sees.
pub(super) fn answer(called: &Called) -> String {
    match called {
        Called {
            is_answered: true,
            text,
            ..
        } => format!("the call answers `{text}`"),
        Called {
            is_broken: true, ..
        } => "callers at the admin socket are cut off".to_owned(),
        Called { text, .. } => format!("the call fails: {}", shortened(text)),
    }
}

/// What is told of the plugin, which is always the same.
pub(super) fn shortened(text: &str) -> String {
    let rest = text.trim_end_matches(" while it worked on this");
    rest.replace(" of plugin `faulty`", "")
        .replace("plugin `faulty`", "its process")
}
