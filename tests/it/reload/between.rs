//! Files that change between one look and the next: what is opened is what was inspected, or
//! nothing.

use std::{
    fs::{self, File},
    path::Path,
};

use octa_kernel::{FileRules, lifecycle::State};
use octa_loader::{StageDir, inspect};

use super::stand::{COUNTER, UNWATCHED, put, put_bytes, served_by};
use crate::{
    fixtures,
    home::{Home, read, run},
};

const CHANGED: &str = "plugin file `HOME/plugins/counter.so` has changed since it was inspected:";

/// Checks how a file is refused that this is done to after it was inspected.
#[track_caller]
fn check(harm: impl FnOnce(&Home, &Path), expect: &str) {
    let home = Home::empty();
    let path = put(&home, "reload-a");
    fs::create_dir(home.data()).expect("a data directory");
    let stage = StageDir::open(&home.data()).expect("a directory");
    let inspection = inspect(&path, FileRules::default()).expect("a plugin");
    harm(&home, &path);
    let error = stage.stage(&inspection).expect_err("it has changed");
    let mut told = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    // The hashes are those of this build.
    let told = home.anonymous(&told);
    let told = told.split(" found content ").next();
    assert_eq!(told, Some(expect));
    let left = fs::read_dir(stage.path()).expect("a directory").count();
    assert_eq!(left, 0, "something is left behind");
}

fn truncate(path: &Path) {
    let file = File::options().write(true).open(path);
    file.and_then(|file| file.set_len(1_000))
        .expect("it is ours");
}

#[test]
fn deleted() {
    check(
        |_, path| fs::remove_file(path).expect("it is ours"),
        "plugin file `HOME/plugins/counter.so` cannot be staged: cannot be opened: No such file \
         or directory (os error 2)",
    );
}

#[test]
fn replaced() {
    check(|home, _| drop(put(home, "reload-b")), CHANGED);
}

#[test]
fn truncated() {
    check(|_, path| truncate(path), CHANGED);
}

#[test]
fn written_to() {
    check(
        |home, _| {
            let mut library = read(&fixtures::library("reload-a"));
            let middle = library.len() / 2;
            library[middle] ^= 1;
            put_bytes(home, &library);
        },
        CHANGED,
    );
}

#[test]
fn what_is_mapped_is_a_copy() {
    run(async {
        let home = Home::with(&[]).config(UNWATCHED);
        let path = put(&home, "reload-a");
        let running = home.start().await;
        truncate(&path);
        served_by(&running, "reload-a").await;
        fs::remove_file(&path).expect("it is ours");
        served_by(&running, "reload-a").await;
        running.check(COUNTER, State::Started, &[]);
        running.end().await;
    });
}
