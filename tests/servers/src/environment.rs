//! What the environment says to the tests.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Adds a line to the list of what could not be run, if one is kept.
pub(crate) fn tell_not_run(what: &str) {
    if let Some(path) = variable("OCTA_NOT_RUN") {
        let list = OpenOptions::new().append(true).open(path);
        writeln!(list.expect("a list"), "{what}").expect("the list is writable");
    }
}

/// A variable that is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the tests hands tools to them this way, and this reads it for all servers"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
