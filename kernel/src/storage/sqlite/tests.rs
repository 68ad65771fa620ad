//! What only the SQLite adapter does: files, locks, formats and coming back after the end of a process.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ffi};
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
    let expect = "storage `db` is in use by another kernel, which holds `db.lock`";
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
        "storage `newer` has format 7, this kernel reads formats up to 1"
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

#[tokio::test]
async fn a_damaged_file_is_told() {
    let directory = directory();
    let path = directory.path().join("db");
    let storage = Storage::new(open(&path));
    let value = format!("\"{}\"", "x".repeat(50_000)).into_bytes();
    storage.set("a", "k", value).await.expect("writes");
    storage.close().await.expect("closes");

    let mut bytes = fs::read(&path).expect("reads");
    let behind_the_tables = bytes.len() / 2;
    bytes[behind_the_tables..].fill(0xff);
    fs::write(&path, bytes).expect("writes");
    let storage = Storage::new(open(&path));
    let error = storage.get("a", "k").await.expect_err("is damaged");
    assert!(
        error
            .to_string()
            .ends_with("is unavailable: its content is damaged"),
        "{error}"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("backup")));
}

#[test]
fn tells_troubles_apart() {
    let check = |code, expect| {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        let StorageError::Unavailable { trouble, .. } = unavailable(&"db".into(), error) else {
            panic!("expected unavailable");
        };
        assert_eq!(trouble, expect);
    };
    check(ffi::SQLITE_FULL, Trouble::Full);
    check(ffi::SQLITE_READONLY, Trouble::Permission);
    check(ffi::SQLITE_CANTOPEN, Trouble::Permission);
    check(ffi::SQLITE_CORRUPT, Trouble::Corrupt);
    check(ffi::SQLITE_NOTADB, Trouble::Corrupt);
    check(ffi::SQLITE_BUSY, Trouble::Busy);
    check(ffi::SQLITE_IOERR_FSYNC, Trouble::Io);
    check(ffi::SQLITE_SCHEMA, Trouble::Other);
}
