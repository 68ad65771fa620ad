//! Holds the tests to their promise: every fixture has a scenario, and says in one line how it
//! behaves.

use std::{fs, path::Path};

use crate::{fixtures, home::read};

#[test]
fn every_fixture_has_a_scenario() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("it");
    let text = text(&folder);
    let without = fixtures::names()
        .into_iter()
        .filter(|name| !text.contains(&format!("\"{name}\"")));
    assert_eq!(
        without.collect::<Vec<_>>(),
        [""; 0],
        "fixtures without a scenario"
    );
}

#[test]
fn every_fixture_says_how_it_behaves() {
    for name in fixtures::names() {
        let source = fixtures::workspace()
            .join("zoo")
            .join(&name)
            .join("src/lib.rs");
        let text = String::from_utf8(read(&source)).expect("text");
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("//! ") && first.ends_with('.'),
            "`{name}` begins with `{first}`"
        );
    }
}

/// Everything that is written in the files of a folder and of those in it.
fn text(folder: &Path) -> String {
    let entries = fs::read_dir(folder).expect("the tests are there");
    entries
        .map(|entry| {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                text(&path)
            } else {
                String::from_utf8(read(&path)).expect("text")
            }
        })
        .collect()
}
