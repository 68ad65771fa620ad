//! Reloads a library with relib, as its example `live_reload` does. relib has no watcher: the
//! example runs cargo every 50 ms to see whether the library has changed, and this looks at the
//! file as often. The library lies in the directory that is the first argument.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use relib_host::Module;

/// How long the example sleeps.
const PAUSE: Duration = Duration::from_millis(50);

fn main() {
    let directory = env::args_os().nth(1).expect("a directory");
    let path = PathBuf::from(directory).join("libmarker.so");
    let mut loaded = Loaded::of(&path);
    let mut looked = Instant::now();
    octa_bench_build::tell_changes(|| {
        if looked.elapsed() >= PAUSE {
            if identity(&path) != loaded.identity {
                let old = loaded.module.take().expect("it is loaded");
                old.unload()
                    .unwrap_or_else(|error| panic!("cannot unload: {error:#}"));
                loaded = Loaded::of(&path);
            }
            looked = Instant::now();
        }
        // SAFETY: the module's `main` returns a `u64`.
        unsafe { loaded.module.as_ref()?.call_main::<u64>() }
    });
}

struct Loaded {
    /// What the file was when it was loaded.
    identity: (u64, i64, i64),
    module: Option<Module<()>>,
}

impl Loaded {
    fn of(path: &Path) -> Self {
        let identity = identity(path);
        // SAFETY: the module is the one of this workspace.
        let module = unsafe { relib_host::load_module::<()>(path, ()) };
        let module = module.unwrap_or_else(|error| panic!("cannot load: {error:#}"));
        Self {
            identity,
            module: Some(module),
        }
    }
}

fn identity(path: &Path) -> (u64, i64, i64) {
    let found = fs::metadata(path).expect("it is replaced by renaming");
    (found.ino(), found.mtime(), found.mtime_nsec())
}
