//! The adapter keeps its promises: the kernel's own suite says so.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use octa_example_adapter::Redb;
use octa_kernel::storage::conformance;
use tempfile::TempDir;

/// A directory, and a new file in it each time.
struct Files {
    directory: TempDir,
    made: Cell<usize>,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let made = Cell::new(0);
        Self { directory, made }
    }

    fn next(&self) -> PathBuf {
        self.made.set(self.made.get() + 1);
        self.directory
            .path()
            .join(format!("{}.redb", self.made.get()))
    }
}

fn open(path: impl AsRef<Path>) -> Redb {
    Redb::open(path).expect("opens")
}

#[test]
fn conforms() {
    let files = Files::new();
    conformance::run(|| open(files.next()));
}

#[test]
fn is_durable() {
    let files = Files::new();
    let path = files.next();
    conformance::run_durable(|| open(&path));
}

#[test]
fn walks_beside_the_model() {
    let files = Files::new();
    for seed in 0..4 {
        conformance::run_model(|| open(files.next()), seed, 200);
        let place = || {
            let path = files.next();
            move || open(&path)
        };
        conformance::run_model_durable(place, seed, 200);
    }
}

#[test]
fn says_what_is_wrong_with_a_file() {
    let files = Files::new();
    let path = files.next();
    std::fs::write(
        &path,
        "not a database, but long enough to be one".repeat(200),
    )
    .expect("writes");
    let error = Redb::open(&path).expect_err("is no database");
    let expect = format!("cannot open the storage `{}`", path.display());
    assert_eq!(error.to_string(), expect);

    let path = files.next();
    let _first = open(&path);
    let error = Redb::open(&path).expect_err("is open already");
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(
        cause.as_deref(),
        Some("Database already open. Cannot acquire lock.")
    );
}
