//! What `why` says of real plugins in real kernels. Which reasons there are is a table of the
//! kernel; those that no scenario here can bring about are thought up in the kernel's own tests.

mod broken;
mod calls;
mod meant;
mod processes;
mod resting;
mod serving;
mod shown;
mod waiting;

use std::{collections::BTreeSet, fs, path::Path};

use octa_kernel::{Cause, Why, lifecycle::State};

use crate::{
    forge,
    home::{Running, read},
};

/// Checks the tree of a plugin, and that it holds these reasons, each for a state, or for calls:
/// `blocked/missing`, `calls/full`.
#[track_caller]
fn check(running: &Running, name: &str, reasons: &str, expect: &str) {
    let why = running.kernel.why(name).expect("it is known");
    let tree = steady(&running.home.anonymous(&why.to_string()));
    assert_eq!(tree, expect);
    for reason in reasons.split(' ') {
        assert!(holds(&why, None, reason), "no {reason} in:\n{tree}");
    }
}

fn holds(why: &Why, below: Option<State>, reason: &str) -> bool {
    let below = why.state.or(below);
    let of = below.map_or_else(|| "calls".to_owned(), |state| state.to_string());
    let is_it = format!("{of}/{}", why.cause) == reason;
    is_it || why.causes.iter().any(|cause| holds(cause, below, reason))
}

/// The text without what is another one each time, or on another system.
fn steady(text: &str) -> String {
    let text = without(text, "with content ", |c| !c.is_ascii_hexdigit());
    let text = without(&text, "it is process ", |c| !c.is_ascii_digit());
    let text = without(&text, "/staged/", |c| c == ':');
    let text = without(&text, "`octa-pool` (", |c| c == ')');
    let mut lines: Vec<&str> = text.lines().collect();
    lines.retain(|line| {
        let line = line.trim_start();
        let varying = ["in force: ", "not in force: ", "likely called by "];
        !varying.iter().any(|it| line.starts_with(it))
    });
    lines.join("\n")
}

/// The text with `…` for what stands between each `mark` and its `end`.
fn without(text: &str, mark: &str, end: impl Fn(char) -> bool) -> String {
    let mut parts = text.split(mark);
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.find(&end).map_or("", |end| &part[end..]);
        steady.push_str(&format!("{mark}…{rest}"));
    }
    steady
}

/// A plugin that needs another one by its name.
fn needing(other: &str) -> Vec<u8> {
    let told = "Behaves well: starts after `neighbour` and stops before it";
    let changes = [
        ("\"neighbour\"", &*format!("{other:?}")),
        (told, "Starts after another"),
    ];
    forge::manifest("needs-neighbour", &changes)
}

/// A configuration in which a plugin that broke down is not started again.
fn never(plugin: &str) -> String {
    format!("[plugins.{plugin}.restart]\npolicy = \"never\"\n")
}

/// Reasons that no scenario here brings about, and why not.
const THOUGHT_UP: &[(Cause, &str)] = &[
    (Cause::FileRemoved, "such a plugin is forgotten at once"),
    (
        Cause::Leaving,
        "that is over when its dependents have stopped",
    ),
    (Cause::Enforced, "what is in force depends on the system"),
    (Cause::NotEnforced, "what is not depends on the system"),
];

#[test]
fn every_reason_is_brought_about_or_thought_up() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/why");
    let files = fs::read_dir(folder).expect("the tests are there");
    let text = |path: &Path| String::from_utf8(read(path)).expect("text");
    let scenarios: String = files
        .map(|file| text(&file.expect("readable").path()))
        .collect();
    let is_part = |c: char| c.is_ascii_lowercase() || "-/".contains(c);
    let shown: BTreeSet<&str> = scenarios.split(|c| !is_part(c)).collect();
    let alone = [Cause::Standing, Cause::Capability, Cause::RejectedFile];
    for cause in Cause::ALL.iter().filter(|cause| !alone.contains(cause)) {
        let states = cause.states().iter().map(ToString::to_string);
        let mut found_in = states.chain(["calls".to_owned()]);
        let is_shown = found_in.any(|of| shown.contains(&*format!("{of}/{cause}")));
        let is_thought_up = THOUGHT_UP.iter().any(|(it, _)| it == cause);
        assert!(is_shown != is_thought_up, "{cause}: shown {is_shown}");
    }
}
