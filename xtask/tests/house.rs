//! The rules of the house that no lint can hold: the architecture as written, and how files begin.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{Metadata, MetadataCommand};

/// A package and the packages of ours that it needs, without those only for its tests.
type Needs = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the root")
        .to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn metadata() -> Metadata {
    MetadataCommand::new()
        .current_dir(root())
        .no_deps()
        .exec()
        .expect("cargo knows the workspace")
}

/// The rows of the table of rooms: room, package, needs.
fn rooms() -> Vec<(String, String, BTreeSet<String>)> {
    let text = read("ARCHITECTURE.md");
    let (_, table) = text
        .split_once("| room |")
        .expect("there is a table of rooms");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let plain = |cell: &str| cell.trim_matches('`').to_owned();
        let needs = cells[3]
            .split(", ")
            .filter(|cell| !cell.is_empty())
            .map(plain)
            .collect();
        (plain(cells[1]), plain(cells[2]), needs)
    })
    .collect()
}

#[test]
fn the_table_of_rooms_is_the_workspace() {
    let metadata = metadata();
    let ours: BTreeSet<_> = metadata
        .packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    let mut found = Needs::new();
    for package in &metadata.packages {
        let needed = package.dependencies.iter().filter(|dependency| {
            dependency.kind != cargo_metadata::DependencyKind::Development
                && ours.contains(&dependency.name)
        });
        found.insert(
            package.name.to_string(),
            needed.map(|d| d.name.clone()).collect(),
        );
        let folder = package
            .manifest_path
            .parent()
            .expect("a manifest lies in a folder");
        let row = rooms()
            .into_iter()
            .find(|(_, name, _)| *name == *package.name);
        let (room, ..) =
            row.unwrap_or_else(|| panic!("ARCHITECTURE.md does not name `{}`", package.name));
        assert_eq!(
            folder.as_std_path(),
            root().join(&room),
            "the room of `{}`",
            package.name
        );
    }
    let written: Needs = rooms()
        .into_iter()
        .map(|(_, package, needs)| (package, needs))
        .collect();
    assert_eq!(written, found, "ARCHITECTURE.md and the manifests differ");
}

#[test]
fn every_path_that_the_architecture_names_exists() {
    let text = read("ARCHITECTURE.md");
    let quoted = text.split('`').skip(1).step_by(2);
    let paths: Vec<_> = quoted
        .filter(|it| it.contains('/') && !it.contains(' '))
        .collect();
    assert!(paths.len() > 10, "paths are found: {paths:?}");
    for path in paths {
        assert!(
            root().join(path).exists(),
            "ARCHITECTURE.md names `{path}`, which does not exist"
        );
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder)
        .expect("the checkout is readable")
        .flatten()
    {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&root(), &mut found);
    assert!(found.len() > 100, "the sources are found");
    found
}

#[test]
fn every_file_says_what_it_is_for() {
    for path in all_sources() {
        // What a compile-fail test shows is the misuse alone.
        if path.components().any(|part| part.as_os_str() == "misuse") {
            continue;
        }
        let text = read(&path);
        assert!(
            text.starts_with("//! "),
            "{} does not begin with `//!`",
            path.display()
        );
        assert_ne!(
            path.file_name().expect("a file has a name"),
            "mod.rs",
            "{}",
            path.display()
        );
    }
}

#[test]
fn no_file_is_too_long() {
    for path in all_sources() {
        let lines = read(&path).lines().count();
        assert!(
            lines <= 800,
            "{} has {lines} lines: split it",
            path.display()
        );
    }
}

#[test]
fn unsafe_has_two_addresses() {
    for path in all_sources() {
        let inside = path.strip_prefix(root()).expect("found below the root");
        let may = ["plugin-api", "loader", "tests", "bench", "fuzz"]
            .iter()
            .any(|room| inside.starts_with(room));
        // Put together, so that this file does not find itself.
        let words = ["unsafe {", "unsafe fn", "unsafe impl"].map(|word| format!(" {word}"));
        let text = read(&path);
        let found = words.iter().any(|word| text.contains(word.as_str()));
        let itself = inside == Path::new("xtask/tests/house.rs");
        assert!(
            may || itself || !found,
            "{} has unsafe code",
            inside.display()
        );
    }
}
