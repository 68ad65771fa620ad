//! What a confined process can and cannot do: each of these is tried by a real process, that of
//! this test program once more, since no confinement can be undone.

mod calls;
mod files;
mod limits;
mod parts;
mod probes;
mod process;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use octa_wire::Sandbox;
use tempfile::TempDir;

use self::process::{Process, users};

fn sandbox(change: impl FnOnce(&mut Sandbox)) -> Sandbox {
    let mut sandbox = Sandbox::default();
    change(&mut sandbox);
    sandbox
}

/// Files of which some are granted. What the permissions of the system say is never in the way.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = Self { directory };
        open_to_all(place.directory.path());
        for name in ["outside", "read", "write"] {
            let path = place.path(name);
            fs::create_dir(&path).unwrap();
            open_to_all(&path);
            fs::write(path.join("file"), "content").unwrap();
            open_to_all(&path.join("file"));
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn grants(&self) -> Sandbox {
        sandbox(|grants| {
            grants.read = vec![self.path("read")];
            grants.write = vec![self.path("write")];
        })
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

/// Which part of the sandbox answers. Where the system does not have it, the phrase that says so
/// stands for its answers.
#[derive(Clone, Copy)]
enum By {
    Files,
    Calls,
}

impl By {
    fn missing(self) -> &'static str {
        match self {
            Self::Files => "files: ",
            Self::Calls => "system calls: ",
        }
    }
}

/// Each user is refused in the sandbox what works without one.
fn refused(by: By, sandbox: &Sandbox, probe: &str, argument: &Path, expect: &str) {
    refused_in_any_case(by, sandbox, probe, argument, expect);
    let off = self::sandbox(|sandbox| sandbox.off = true);
    granted(&off, probe, argument);
}

/// Each user is refused it, whatever the system itself would say.
fn refused_in_any_case(by: By, sandbox: &Sandbox, probe: &str, argument: &Path, expect: &str) {
    for user in users() {
        let process = Process::new(probe).argument(argument).user(user);
        let found = process.sandbox(sandbox).run();
        if !found.is_missing(by.missing()) {
            assert_eq!(found.outcome(), expect, "`{probe}` of {user:?}: {found:?}");
        }
    }
}

fn granted(sandbox: &Sandbox, probe: &str, argument: &Path) {
    for user in users() {
        let process = Process::new(probe).argument(argument).user(user);
        let found = process.sandbox(sandbox).run();
        assert_eq!(found.outcome(), "ok", "`{probe}` of {user:?}: {found:?}");
    }
}
