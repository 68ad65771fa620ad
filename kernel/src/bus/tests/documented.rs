//! Holds the table of the kernel's topics in `docs/events.md` against the code.

use std::{collections::BTreeSet, fs, path::Path};

use crate::lifecycle::{State, TRANSITIONS};

/// Keys of the configuration, which look like topics.
const CONFIGURATION: [&str; 2] = ["kernel.call_deadline", "kernel.watch"];

/// Namespaces of the storage, which look like topics; an empty one is what all begin with.
const NAMESPACES: [&str; 5] = [
    "kernel.",
    "kernel.dead_letters",
    "kernel.filling",
    "kernel.journal.{namespace}",
    "kernel.outbox",
];

/// All text literals in the kernel's sources, tests aside, that begin as its topics do.
fn literals(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("the sources are here") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        if path.is_dir() {
            if name != Some("tests") {
                literals(&path, found);
            }
        } else if name != Some("tests.rs") && path.extension().is_some_and(|it| it == "rs") {
            let source = fs::read_to_string(&path).expect("a source");
            let code = source.split("#[cfg(test)]").next().unwrap_or_default();
            let parts = code.split("\"kernel.").skip(1);
            found.extend(
                parts.filter_map(|part| Some(format!("kernel.{}", part.split('"').next()?))),
            );
        }
    }
}

#[test]
fn every_topic_of_the_kernel_is_documented() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = BTreeSet::new();
    literals(&root.join("src"), &mut code);
    code.retain(|text| !NAMESPACES.contains(&&**text) && !CONFIGURATION.contains(&&**text));
    let states: BTreeSet<State> = TRANSITIONS.iter().map(|it| it.to).collect();
    if code.remove("kernel.plugin.{to}") {
        code.extend(states.iter().map(|state| format!("kernel.plugin.{state}")));
    }
    let documented = fs::read_to_string(root.join("../docs/events.md")).expect("the document");
    let rows = documented
        .lines()
        .filter_map(|line| line.strip_prefix("| `kernel."));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| Some(format!("kernel.{}", row.split('`').next()?)))
        .collect();
    assert_eq!(documented, code, "what is documented, and what is there");
}
