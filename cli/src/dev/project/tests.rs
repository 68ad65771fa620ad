//! What cargo itself says of small workspaces.

use std::fs;

use clap::Parser as _;
use tempfile::TempDir;

use super::*;
use crate::args::{Args, Command};
use crate::failure::Failure;
use crate::world::World;

/// A workspace of two plugins, what they share, and a program; and a crate apart.
const FILES: [(&str, &str); 15] = [
    (
        "w/Cargo.toml",
        "[workspace]\nmembers = [\"*\"]\nresolver = \"3\"",
    ),
    ("w/api/Cargo.toml", "[package]\nname = \"octa-plugin-api\""),
    ("w/api/src/lib.rs", ""),
    (
        "w/lamp/Cargo.toml",
        "[package]\nname = \"lamp\"\nbuild = \"make/build.rs\"\n[lib]\ncrate-type = [\"cdylib\"]\n\
         [dependencies]\nshared.path = \"../shared\"\nocta-plugin-api.path = \"../api\"\n\
         [dev-dependencies]\nprogram.path = \"../program\"",
    ),
    ("w/lamp/src/lib.rs", ""),
    ("w/lamp/make/build.rs", "fn main() {}"),
    ("w/lamp/examples/try.rs", "fn main() {}"),
    (
        "w/shared/Cargo.toml",
        "[package]\nname = \"shared\"\n[lib]\npath = \"lib.rs\"",
    ),
    ("w/shared/lib.rs", ""),
    ("w/program/Cargo.toml", "[package]\nname = \"program\""),
    ("w/program/src/lib.rs", ""),
    (
        "w/desk/Cargo.toml",
        "[package]\nname = \"desk\"\n[lib]\ncrate-type = [\"cdylib\"]\n\
         [dependencies]\nocta-plugin-api.path = \"../api\"",
    ),
    ("w/desk/src/lib.rs", ""),
    (
        "apart/Cargo.toml",
        "[package]\nname = \"lamp\"\n[lib]\ncrate-type = [\"cdylib\"]\n\
         [dependencies]\nocta-plugin-api.path = \"../w/api\"\n[workspace]",
    ),
    ("apart/src/lib.rs", ""),
];

struct Stand {
    directory: TempDir,
}

impl Stand {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for (file, text) in FILES {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            let edition = "[package]\nversion = \"0.1.0\"\nedition = \"2024\"";
            fs::write(path, text.replace("[package]", edition)).expect("a file");
        }
        Self { directory }
    }

    fn find(&self, paths: &[&str]) -> Result<Vec<Project>, Failure> {
        let line = ["octa", "dev", "--", "--offline"];
        let Command::Dev(typed) = Args::parse_from(line).command else {
            panic!("another command");
        };
        let cargo = Cargo::of(&typed, &World::of(&[("CARGO", Path::new(env!("CARGO")))]));
        let paths = paths.iter().map(|path| self.directory.path().join(path));
        Ok(find(&paths.collect::<Vec<_>>(), &cargo)?)
    }

    /// What is found at a path: the names of the plugins, and the directories of their sources.
    fn check(&self, path: &str, plugins: &[&str], trees: &[&str], rooms: &[&str]) {
        let found = self.find(&[path]).expect("a project");
        let [project] = &found[..] else {
            panic!("{found:?}");
        };
        let names: Vec<_> = project.plugins.iter().map(|it| it.name.as_str()).collect();
        let relative = |paths: &BTreeSet<PathBuf>| -> Vec<String> {
            let root = fs::canonicalize(self.directory.path()).expect("a directory");
            let short = |path: &PathBuf| path.strip_prefix(&root).map(Path::to_owned);
            let short = paths.iter().map(|path| short(path).expect("a path below"));
            short.map(|path| path.display().to_string()).collect()
        };
        let Sources {
            trees: found_trees,
            rooms: found_rooms,
        } = &project.sources;
        assert_eq!(names, plugins);
        assert_eq!(relative(found_trees), trees);
        assert_eq!(relative(found_rooms), rooms);
    }

    fn check_refused(&self, paths: &[&str], expect: &str) {
        let failure = self.find(paths).expect_err("no project").to_string();
        let prefix = format!("{}/", self.directory.path().display());
        assert_eq!(failure.replace(&prefix, ""), expect);
    }
}

#[test]
fn a_workspace_has_its_plugins() {
    let stand = Stand::new();
    stand.check(
        "w",
        &["desk", "lamp"],
        &[
            "w/api/src",
            "w/desk/src",
            "w/lamp/make",
            "w/lamp/src",
            "w/shared/src",
        ],
        &["w", "w/api", "w/desk", "w/lamp", "w/shared"],
    );
}

#[test]
fn a_plugin_stands_for_itself() {
    let stand = Stand::new();
    stand.check(
        "w/desk/src",
        &["desk"],
        &["w/api/src", "w/desk/src"],
        &["w", "w/api", "w/desk"],
    );
}

#[test]
fn what_lies_in_one_workspace_is_built_together() {
    let stand = Stand::new();
    let found = stand.find(&["w/lamp", "w/desk", "w"]).expect("a project");
    let [project] = &found[..] else {
        panic!("{found:?}");
    };
    let names: Vec<_> = project.plugins.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["desk", "lamp"]);
    assert_eq!(project.paths.len(), 3);
}

#[test]
fn what_is_no_plugin_is_refused() {
    let stand = Stand::new();
    stand.check_refused(
        &["w/program"],
        "error: `w/program` has no plugin\n\
         hint: a plugin depends on `octa-plugin-api` and has `crate-type = [\"cdylib\"]` in \
         `[lib]`; `octa new NAME` begins one",
    );
    stand.check_refused(
        &["w/lamp/Cargo.toml"],
        "error: `w/lamp/Cargo.toml` is no directory\nhint: name the directory of a plugin's crate",
    );
    let failure = stand.find(&["."]).expect_err("no project").to_string();
    assert!(failure.contains("could not find `Cargo.toml`"), "{failure}");
}

#[test]
fn names_are_told_apart() {
    Stand::new().check_refused(
        &["w", "apart"],
        "error: two plugins are called `lamp`: one in `apart`, one in `w`\n\
         hint: name one of them only",
    );
}
