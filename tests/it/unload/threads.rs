//! Threads that plugins start: while one can still run their code, it stays.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use octa_plugin_abi::abi_stable::library::ROOT_MODULE_LOADER_NAME;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use crate::{
    fixtures,
    home::{read, run, until},
    unload::stage::{Live, Stage, causes, check_kept, until_unmapped},
};

/// A pipe by whose end a plugin's thread ends.
pub(super) struct Pipe(pub(super) PathBuf);

impl Pipe {
    pub(super) fn new(path: PathBuf) -> Self {
        if !path.exists() {
            let mode = Mode::RUSR | Mode::WUSR;
            mknodat(CWD, &path, FileType::Fifo, mode, 0).expect("a pipe");
        }
        Self(path)
    }

    /// Waits until somebody reads it; they read until what is returned is dropped.
    pub(super) fn hold(&self) -> File {
        let opened = OpenOptions::new().write(true).open(&self.0);
        opened.expect("a pipe")
    }
}

/// Has `live` start a thread that reads a pipe, unloads meanwhile, and ends the thread.
pub(super) fn check_thread(stage: &Stage, live: Live, handler: u32) {
    let pipe = Pipe::new(stage.path("pipe"));
    live.call(handler, &json!(pipe.0));
    let held = pipe.hold();
    let generation = live.end();
    check_kept(&generation, &["1 thread still running"]);
    drop(held);
    until_unmapped(&generation);
}

#[test]
fn a_thread_that_runs() {
    let stage = Stage::new();
    check_thread(&stage, stage.live("keeps-thread"), 0);
}

#[test]
fn a_thread_whose_destructors_run() {
    let stage = Stage::new();
    check_thread(&stage, stage.live("keeps-thread"), 1);
}

/// The pipe that `thread-on-load` reads, which is one for all.
fn pipe_on_load() -> (MutexGuard<'static, ()>, Pipe) {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut path = fixtures::mark().into_os_string();
    path.push(".pipe");
    (alone, Pipe::new(path.into()))
}

#[test]
fn a_thread_that_was_started_while_the_library_was_loaded() {
    let (_alone, pipe) = pipe_on_load();
    let live = Stage::new().live("thread-on-load");
    let held = pipe.hold();
    let generation = live.end();
    check_kept(&generation, &["1 thread still running"]);
    drop(held);
    until_unmapped(&generation);
}

#[test]
fn a_library_that_is_refused_after_it_started_a_thread() {
    let (_alone, pipe) = pipe_on_load();
    let stage = Stage::new();
    let spoilt = stage.path("spoilt.so");
    fs::write(&spoilt, without_root(&fixtures::library("thread-on-load"))).expect("a file");
    let copy = stage.copy_of(&spoilt);
    let refused = stage.opener.open(&copy.staged, copy.manifest.clone());
    let error = refused.expect_err("there is no root module").to_string();
    assert!(error.ends_with("exports no root module"), "{error}");
    let held = pipe.hold();
    let refused = || -> Vec<_> {
        let refused = stage.opener.unload_refused().into_iter();
        refused
            .map(|(path, unload)| (path, causes(&unload)))
            .collect()
    };
    let told = |cause: &str| vec![(copy.staged.path.clone(), vec![cause.to_owned()])];
    assert_eq!(refused(), told("1 thread still running"));
    drop(held);
    run(until(|| refused() == told("unmapped")));
    assert_eq!(refused(), []);
}

/// The bytes of a library with another name for its root module.
fn without_root(library: &Path) -> Vec<u8> {
    let (mut bytes, name) = (read(library), ROOT_MODULE_LOADER_NAME.as_bytes());
    let found = bytes.windows(name.len()).position(|found| found == name);
    bytes[found.expect("it has a root module")] ^= 1;
    bytes
}
