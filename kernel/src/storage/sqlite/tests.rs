//! What only the SQLite adapter does: files, locks, formats and coming back after the end of a process.

mod child;
mod damage;
mod disks;
mod formats;
mod groups;
mod holding;
mod killed;
mod log;
mod moved;
mod salvage;
mod snapshots;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use rusqlite::Connection;
use tempfile::TempDir;

use super::super::{Storage, conformance};
use super::*;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn open(path: impl AsRef<Path>) -> Sqlite {
    Sqlite::open(path).expect("opens")
}

/// Opens `path`, which must be refused, and returns the message with the directory left out.
fn refusal(directory: &TempDir, path: &Path) -> String {
    let root = directory.path().canonicalize().expect("is there");
    let error = Sqlite::open(path).expect_err("must be refused");
    assert!(error.hint().is_some(), "no hint for `{error}`");
    let text = error.to_string();
    text.replace(&format!("{}/", directory.path().display()), "")
        .replace(&format!("{}/", root.display()), "")
}

#[test]
fn conforms() {
    let directory = directory();
    let made = Cell::new(0);
    conformance::run(|| {
        made.set(made.get() + 1);
        open(directory.path().join(format!("{}.db", made.get())))
    });
}

#[test]
fn is_durable() {
    let directory = directory();
    conformance::run_durable(|| open(directory.path().join("db")));
}

#[test]
fn does_what_a_model_does() {
    let directory = directory();
    let made = Cell::new(0);
    let next = || {
        made.set(made.get() + 1);
        directory.path().join(format!("{}.db", made.get()))
    };
    conformance::run_model(|| open(next()), 1, 300);
    let place = || {
        let path = next();
        move || open(&path)
    };
    conformance::run_model_durable(place, 2, 200);
}

#[test]
fn creates_directories_and_a_private_file() {
    let directory = directory();
    let path = directory.path().join("new/data/octa.db");
    let sqlite = open(&path);
    assert_eq!(sqlite.path(), path.canonicalize().expect("is there"));
    #[cfg(unix)]
    for name in ["octa.db", "octa.db-wal", "octa.db-shm", "octa.db.lock"] {
        use std::os::unix::fs::PermissionsExt;
        let metadata = fs::metadata(path.with_file_name(name)).expect("is there");
        assert_eq!(
            metadata.permissions().mode() & 0o777,
            0o600,
            "mode of `{name}`"
        );
    }
}

#[test]
fn keeps_a_second_kernel_out_until_it_is_closed() {
    let directory = directory();
    let path = directory.path().join("db");
    let first = open(&path);
    let own = process::id();
    let expect =
        format!("storage `db` is in use by another kernel (process {own}), which holds `db.lock`");
    assert_eq!(refusal(&directory, &path), expect);
    #[cfg(unix)]
    {
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("links");
        assert_eq!(refusal(&directory, &link), expect);
    }
    drop(first);
    drop(open(&path));
}

#[test]
fn names_what_is_not_a_database_of_ours() {
    let directory = directory();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("folder")).expect("creates");
    assert_eq!(
        refusal(&directory, &path("folder")),
        "storage `folder` is a directory, expected a database file"
    );
    fs::write(
        path("text"),
        "not a database, but long enough to be one".repeat(9),
    )
    .expect("writes");
    assert_eq!(
        refusal(&directory, &path("text")),
        "storage `text` is not an SQLite database"
    );
    assert_eq!(
        refusal(&directory, &path("text/db")),
        "cannot find `text/db` for the storage"
    );
    other(path("plain"), "CREATE TABLE songs (name TEXT)");
    assert_eq!(
        refusal(&directory, &path("plain")),
        "storage `plain` is a database of another program \
         (application id 0x0, expected 0x4f637461)"
    );
    drop(open(path("newer")));
    other(path("newer"), "PRAGMA user_version = 7");
    assert_eq!(
        refusal(&directory, &path("newer")),
        "storage `newer` has format 7, this kernel reads formats up to 2"
    );
}

fn other(path: PathBuf, sql: &str) {
    Connection::open(path)
        .and_then(|connection| connection.execute_batch(sql))
        .expect("writes");
}

#[test]
fn takes_any_file_name() {
    let directory = directory();
    for name in ["file:x?mode=ro", ":memory:", "a b%20ü", "'"] {
        drop(open(directory.path().join(name)));
        assert!(directory.path().join(name).is_file(), "no file `{name}`");
    }
}
