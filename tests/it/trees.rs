//! Grows copies of the interface with another ABI, so that plugins and hosts of different ages
//! can meet: the sources are those of this checkout, with edits that must apply.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use crate::fixtures::{self, Build};

/// A text of a file, and what takes its place.
type Edit = (&'static str, &'static str, &'static str);

/// ABI 1.1: one more function at the end of what the host offers and of what the plugin offers.
const NEWER: &[Edit] = &[
    // What is derived for functions that may be missing has `unsafe` in it.
    (
        "plugin-api/abi/Cargo.toml",
        "[lints]\nworkspace = true\n",
        "",
    ),
    (
        "plugin-api/abi/Cargo.toml",
        "version = \"1.0.0\"",
        "version = \"1.1.0\"",
    ),
    (
        "plugin-api/abi/src/lib.rs",
        "pub const MINOR: u32 = 0;",
        "pub const MINOR: u32 = 1;",
    ),
    (
        "plugin-api/abi/layout.txt",
        "Root size",
        "Newer than Root size",
    ),
    (
        "plugin-api/abi/src/plugin.rs",
        ") -> u32,\n}\n",
        ") -> u32,\n    /// Answers a number.\n    pub newer: extern \"C\" fn() -> u32,\n}\n",
    ),
    (
        "plugin-api/abi/src/host.rs",
        "record: &LogRecord<'_>),\n}\n",
        "record: &LogRecord<'_>),\n    /// Answers a number.\n    pub newer: extern \"C\" fn() -> u32,\n}\n",
    ),
    (
        "plugin-api/src/export.rs",
        "        control: control::<T>,\n",
        "        control: control::<T>,\n        newer: { extern \"C\" fn newer() -> u32 { 11 } newer },\n",
    ),
    (
        "loader/src/bridge.rs",
        "        log,\n    });",
        "        log,\n        newer: { extern \"C\" fn newer() -> u32 { 11 } newer },\n    });",
    ),
    (
        "loader/src/child/proxy.rs",
        "        control,\n    });",
        "        control,\n        newer: { extern \"C\" fn newer() -> u32 { 11 } newer },\n    });",
    ),
];

/// Says that it is ABI 1.0, and has one more field in a data type, which must never be.
const GROWN: &[Edit] = &[(
    "plugin-api/abi/src/plugin.rs",
    "    pub headers: RSlice<'a, u8>,\n}",
    "    pub headers: RSlice<'a, u8>,\n    /// Not there before.\n    pub grown: u64,\n}",
)];

const INTERFACE: [&str; 3] = ["plugin-api", "plugin-api/abi", "plugin-api/macros"];

/// The fixture `desk`, renamed to `newer` and built against ABI 1.1.
pub(crate) fn newer_plugin() -> &'static Path {
    static BUILT: LazyLock<PathBuf> = LazyLock::new(|| plugin(NEWER, "desk", "newer"));
    &BUILT
}

/// The fixture `neighbour`, renamed to `grown` and built against an ABI that changed what it must
/// not change.
pub(crate) fn grown_plugin() -> PathBuf {
    plugin(GROWN, "neighbour", "grown")
}

/// A host program built against ABI 1.1.
pub(crate) fn newer_host() -> PathBuf {
    let tree = Tree::new("newer-host", NEWER);
    tree.copy(&fixtures::workspace().join("host"), "host");
    tree.build(&[&INTERFACE[..], &["loader", "host"]].concat(), "host");
    fixtures::target("fixtures").join("debug/host")
}

/// A library that has the loader inside, and a program that opens it: its arguments are that
/// library, a plugin, and a data directory.
pub(crate) fn embedded_host() -> (PathBuf, PathBuf) {
    let tree = Tree::new("embedded", &[]);
    tree.copy(&fixtures::workspace().join("embedded"), "embedded");
    tree.build(
        &[&INTERFACE[..], &["loader", "embedded"]].concat(),
        "embedded",
    );
    let target = fixtures::target("fixtures");
    let library = fixtures::in_target(&target, "embedded");
    (target.join("debug/embedder"), library)
}

fn plugin(edits: &[Edit], fixture: &str, name: &str) -> PathBuf {
    let tree = Tree::new(name, edits);
    tree.transplant(fixture, name);
    tree.build(&[&INTERFACE[..], &[name]].concat(), name);
    fixtures::in_target(&fixtures::target("fixtures"), name)
}

/// A workspace with copies of our rooms.
struct Tree {
    root: PathBuf,
}

impl Tree {
    fn new(name: &str, edits: &[Edit]) -> Self {
        let tree = Self {
            root: fixtures::target("fixtures-trees").join(name),
        };
        let edited = |path: &str, text: String| {
            edits
                .iter()
                .filter(|edit| edit.0 == path)
                .fold(text, |text, (_, from, to)| {
                    assert_eq!(
                        text.matches(from).count(),
                        1,
                        "`{from}` is once in `{path}`"
                    );
                    text.replace(from, to)
                })
        };
        for room in ["plugin-api", "loader"] {
            for path in files(&fixtures::checkout().join(room)) {
                let inside = path
                    .strip_prefix(fixtures::checkout())
                    .expect("it lies there");
                let text = fs::read_to_string(&path).expect("a source is text");
                tree.write(inside, &edited(&inside.display().to_string(), text));
            }
        }
        tree
    }

    /// Copies a fixture under another name.
    fn transplant(&self, fixture: &str, name: &str) {
        let home = fixtures::workspace().join("zoo").join(fixture);
        for path in files(&home) {
            let text = fs::read_to_string(&path).expect("a source is text");
            let inside = path.strip_prefix(&home).expect("it lies there");
            self.write(&Path::new(name).join(inside), &text.replace(fixture, name));
        }
    }

    /// Copies a folder as it is.
    fn copy(&self, from: &Path, to: &str) {
        for path in files(from) {
            let inside = path.strip_prefix(from).expect("it lies there");
            let text = fs::read_to_string(&path).expect("a source is text");
            self.write(&Path::new(to).join(inside), &text);
        }
    }

    /// Builds a package, of a workspace with these members.
    fn build(&self, members: &[&str], package: &str) {
        let ours = fs::read_to_string(fixtures::checkout().join("Cargo.toml")).expect("a manifest");
        let (head, tail) = ours.split_once("members = [").expect("a list of members");
        let (_, tail) = tail.split_once("\n[").expect("a next table");
        self.write(
            Path::new("Cargo.toml"),
            &format!("{head}members = {members:?}\n\n[{tail}"),
        );
        // Of the versions that are locked, cargo takes those that are needed here.
        let (ours, lock) = (fixtures::checkout(), Path::new("Cargo.lock"));
        fs::copy(ours.join(lock), self.root.join(lock)).expect("the target is writable");
        Build::offline(&self.root)
            .args(["--package", package])
            .run();
    }

    /// Writes a file, unless it says the same already: cargo looks at the times of files.
    fn write(&self, path: &Path, text: &str) {
        let path = self.root.join(path);
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            return;
        }
        fs::create_dir_all(path.parent().expect("a folder")).expect("the target is writable");
        fs::write(path, text).expect("the target is writable");
    }
}

/// The files of a folder that make a package.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the checkout is readable") {
        let path = entry.expect("the checkout is readable").path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != "tests" && name != "target" {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}
