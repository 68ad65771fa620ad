//! What a confined process can and cannot do: each of these is tried by a real process, that of
//! this test program once more, since no confinement can be undone.

mod probes;
mod process;

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener, process::ExitStatusExt},
    path::{Path, PathBuf},
};

use octa_wire::{Limits, Sandbox};
use tempfile::TempDir;

use self::process::{Lost, Outcome, Process, users};

const SIGABRT: i32 = 6;
const SIGXCPU: i32 = 24;

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
            fs::create_dir(place.path(name)).unwrap();
            open_to_all(&place.path(name));
            let file = place.path(name).join("file");
            fs::write(&file, "content").unwrap();
            open_to_all(&file);
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn grants(&self) -> Sandbox {
        Sandbox {
            read: vec![self.path("read")],
            write: vec![self.path("write")],
            ..Sandbox::default()
        }
    }
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

/// Which part of the sandbox answers: without it, the phrase that says so stands for the answer.
#[derive(Clone, Copy)]
enum By {
    Files,
    Calls,
}

/// Each user tries it in the sandbox and, to see that it can be done at all, without one.
fn refused(by: By, sandbox: &Sandbox, probe: &str, argument: &Path, expect: &str) {
    for user in users() {
        let process = Process::new(probe).argument(argument).user(user);
        let confined = process.sandbox(sandbox).run();
        let missing = match by {
            By::Files => "files: ",
            By::Calls => "system calls: ",
        };
        if !confined.is_missing(missing) {
            assert_eq!(
                confined.outcome(),
                expect,
                "`{probe}` of {user:?}: {confined:?}"
            );
        }
        let off = Sandbox {
            off: true,
            ..Sandbox::default()
        };
        let free = process.sandbox(&off).run();
        assert_eq!(
            free.outcome(),
            "ok",
            "`{probe}` of {user:?} without: {free:?}"
        );
    }
}

/// Refused by a sandbox, whatever the system would say to this user without one.
fn refused_in_any_case(sandbox: &Sandbox, probe: &str, expect: &str) {
    for user in users() {
        let confined = Process::new(probe).user(user).sandbox(sandbox).run();
        if !confined.is_missing("system calls: ") {
            assert_eq!(
                confined.outcome(),
                expect,
                "`{probe}` of {user:?}: {confined:?}"
            );
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

#[test]
fn processes_are_refused_unless_granted() {
    let none = Sandbox::default();
    let exec = Sandbox {
        exec: true,
        ..Sandbox::default()
    };
    let program = Path::new("/bin/true");
    for probe in ["fork", "clone", "spawn", "exec"] {
        refused(By::Calls, &none, probe, program, "EPERM");
        if probe != "exec" {
            granted(&exec, probe, program);
        }
    }
    refused_in_any_case(&none, "clone3", "ENOSYS");
    refused_in_any_case(&exec, "clone3", "ENOSYS");
    refused_in_any_case(&exec, "namespace", "EPERM");
    refused(By::Calls, &none, "group", program, "EPERM");
}

#[test]
fn other_processes_are_out_of_reach() {
    let none = Sandbox::default();
    for probe in [
        "signal the parent",
        "queue a signal to the parent",
        "signal a thread",
        "own a file by the parent",
        "slow the parent",
        "limit the parent",
        "be traced",
        "allow tracing",
        "outlive the kernel",
        "share memory",
    ] {
        refused(By::Calls, &none, probe, Path::new(""), "EPERM");
    }
    for probe in ["signal itself", "end with the kernel"] {
        granted(&none, probe, Path::new(""));
    }
    let exec = Sandbox {
        exec: true,
        ..Sandbox::default()
    };
    refused(
        By::Files,
        &exec,
        "signal the parent",
        Path::new(""),
        "EPERM",
    );
    granted(&exec, "end a child", Path::new("/bin/sleep"));
}

#[test]
fn the_system_is_out_of_reach() {
    let all = Sandbox {
        network: true,
        exec: true,
        write: vec!["/tmp".into()],
        ..Sandbox::default()
    };
    for probe in [
        "unshare",
        "mount",
        "trace events",
        "keys",
        "set the clock",
        "other numbers",
        "type",
    ] {
        refused_in_any_case(&all, probe, "EPERM");
    }
    refused_in_any_case(&all, "rings", "ENOSYS");
}

#[test]
fn sockets_are_refused_unless_granted() {
    let none = Sandbox::default();
    let network = Sandbox {
        network: true,
        ..Sandbox::default()
    };
    for probe in ["tcp", "udp", "routes"] {
        refused(By::Calls, &none, probe, Path::new(""), "EPERM");
        granted(&network, probe, Path::new(""));
    }
    granted(&none, "pair", Path::new(""));
}

#[test]
fn sockets_of_unix_are_for_whom_one_is_granted() {
    let place = Place::new();
    let path = place.path("socket");
    let listener = UnixListener::bind(&path).unwrap();
    open_to_all(&path);
    let granting = Sandbox {
        write: vec![path.clone()],
        ..Sandbox::default()
    };
    granted(&granting, "connect", &path);
    drop(listener);
    // Where Landlock tells one from another, it is the one that refuses.
    let network = Sandbox {
        network: true,
        ..Sandbox::default()
    };
    for sandbox in [Sandbox::default(), network] {
        for probe in ["connect", "datagrams"] {
            let found = Process::new(probe).argument(&path).sandbox(&sandbox).run();
            let expect = match (found.enforces("(Landlock 9)"), probe) {
                (false, _) => "EPERM",
                (true, "connect") => "EACCES",
                (true, _) => "ok",
            };
            let told = found.is_missing("system calls: ");
            assert!(told || found.outcome() == expect, "`{probe}`: {found:?}");
        }
    }
    let found = Process::new("nothing").sandbox(&granting).run();
    let told = found.is_missing("Unix sockets with a file that is not granted: needs Landlock 9");
    assert!(
        told || found.enforces("(Landlock 9)") || found.is_missing("files: "),
        "{found:?}"
    );
}

#[test]
fn files_are_refused_unless_granted() {
    let place = Place::new();
    let sandbox = place.grants();
    let outside = place.path("outside");
    let read = place.path("read");
    for (probe, path) in [
        ("read", outside.join("file")),
        ("list", outside.clone()),
        ("write", outside.join("file")),
        ("create", outside.join("new")),
        ("write", read.join("file")),
        ("create", read.join("new")),
        ("remove", read.join("file")),
        ("read", "/etc/passwd".into()),
        ("list", "/proc".into()),
    ] {
        refused(By::Files, &sandbox, probe, &path, "EACCES");
    }
}

#[test]
fn what_is_granted_of_the_files_can_be_used() {
    let place = Place::new();
    let sandbox = place.grants();
    let (read, write) = (place.path("read"), place.path("write"));
    granted(&sandbox, "read", &read.join("file"));
    granted(&sandbox, "list", &read);
    for probe in ["read", "write"] {
        granted(&sandbox, probe, &write.join("file"));
    }
    granted(&sandbox, "list", &write);
    for probe in ["create", "rename"] {
        granted(&sandbox, probe, &write.join("new"));
    }
    granted(&sandbox, "remove", &write.join("file"));
}

#[test]
fn modes_are_kept_from_who_writes_nothing() {
    let place = Place::new();
    let file = place.path("read").join("file");
    let sandbox = Sandbox {
        read: vec![place.path("read")],
        ..Sandbox::default()
    };
    let confined = Process::new("mode").argument(&file).sandbox(&sandbox).run();
    if !confined.is_missing("system calls: ") {
        assert_eq!(confined.outcome(), "EPERM", "{confined:?}");
    }
    // Not even root gives files away.
    let confined = Process::new("give").argument(&place.path("write").join("file"));
    let confined = confined.sandbox(&place.grants()).run();
    assert_eq!(confined.outcome(), "EPERM", "{confined:?}");
}

#[test]
fn libraries_can_be_opened() {
    let place = Place::new();
    let none = Sandbox::default();
    granted(&none, "library", Path::new("libm.so.6"));
    let process = Process::new("nothing").libraries(&[place.path("read")]);
    assert_eq!(process.sandbox(&none).run().outcome(), "ok");
    let file = place.path("read").join("file");
    let process = Process::new("read")
        .argument(&file)
        .libraries(&[place.path("read")]);
    assert_eq!(process.sandbox(&none).run().outcome(), "ok");
}

#[test]
fn what_programs_do_of_their_own_accord_works() {
    let none = Sandbox {
        strict: false,
        ..Sandbox::default()
    };
    for probe in ["threads", "the basics", "itself", "nothing"] {
        granted(&none, probe, Path::new(""));
    }
    for user in users() {
        let outcome = Process::new("abort").user(user).sandbox(&none).run();
        assert_eq!(outcome.status.signal(), Some(SIGABRT), "{outcome:?}");
        assert!(!outcome.status.core_dumped(), "{outcome:?}");
    }
}

#[test]
fn threads_are_confined_too() {
    let place = Place::new();
    let file = place.path("outside").join("file");
    refused(
        By::Files,
        &Sandbox::default(),
        "read in a thread",
        &file,
        "EACCES",
    );
    refused(
        By::Calls,
        &Sandbox::default(),
        "spawn in a thread",
        Path::new("/bin/true"),
        "EPERM",
    );
}

fn limited(limits: Limits, probe: &str) -> Vec<Outcome> {
    let off = Sandbox {
        off: true,
        ..Sandbox::default()
    };
    let mut outcomes = Vec::new();
    for user in users() {
        for sandbox in [&off, &Sandbox::default()] {
            let process = Process::new(probe).user(user).limits(&limits);
            outcomes.push(process.sandbox(sandbox).run());
        }
    }
    outcomes
}

#[test]
fn limits_hold() {
    let memory = Limits {
        memory: Some(512 << 20),
        ..Limits::default()
    };
    let open_files = Limits {
        open_files: Some(32),
        ..Limits::default()
    };
    for (limits, probe, expect) in [
        (&Limits::default(), "allocate 1 GiB", "ok"),
        (&memory, "allocate 1 GiB", "ENOMEM"),
        (&memory, "threads", "ok"),
        (&Limits::default(), "open 64 files", "ok"),
        (&open_files, "open 64 files", "EMFILE"),
    ] {
        for outcome in limited(limits.clone(), probe) {
            assert_eq!(outcome.outcome(), expect, "`{probe}`: {outcome:?}");
        }
    }
    let found = Process::new("raise a limit").limits(&open_files);
    let found = found.sandbox(&Sandbox::default()).run();
    assert_eq!(found.outcome(), "EPERM", "{found:?}");
    let cpu = Limits {
        cpu_seconds: Some(1),
        ..Limits::default()
    };
    let found = Process::new("burn")
        .limits(&cpu)
        .sandbox(&Sandbox::default())
        .run();
    assert_eq!(found.status.signal(), Some(SIGXCPU), "{found:?}");
}

#[test]
fn without_a_sandbox_there_are_limits_only() {
    let off = Sandbox {
        off: true,
        strict: true,
        ..Sandbox::default()
    };
    let limits = Limits {
        memory: Some(1 << 30),
        cpu_seconds: Some(60),
        open_files: Some(64),
        core: None,
    };
    let found = Process::new("nothing").limits(&limits).sandbox(&off).run();
    let expect = [
        "at most 60 s of processor time",
        "at most 64 open files",
        "no core file",
        "at most 1073741824 bytes of address space",
    ];
    assert_eq!(found.confinement.enforced, expect);
    assert!(found.confinement.missing.is_empty());
}

#[test]
fn what_cannot_be_enforced_is_told() {
    let none = Sandbox::default();
    let strict = Sandbox {
        strict: true,
        ..Sandbox::default()
    };
    let cases = [
        (
            Lost::Landlock,
            "files: this system has no Landlock",
            "read",
            "spawn",
        ),
        (
            Lost::Seccomp,
            "system calls: this system takes no filter for them",
            "udp",
            "read",
        ),
    ];
    for (lost, phrase, possible, refused) in cases {
        let path = match possible {
            "read" => Path::new("/etc/passwd"),
            _ => Path::new("/bin/true"),
        };
        let found = Process::new(possible)
            .argument(path)
            .lost(lost)
            .sandbox(&none)
            .run();
        assert!(found.is_missing(phrase), "{found:?}");
        assert_eq!(found.outcome(), "ok", "{found:?}");
        // The other part holds without it.
        let path = match refused {
            "read" => Path::new("/etc/passwd"),
            _ => Path::new("/bin/true"),
        };
        let found = Process::new(refused)
            .argument(path)
            .lost(lost)
            .sandbox(&none)
            .run();
        let other = found.is_missing("files: ") && found.is_missing("system calls: ");
        assert!(other || found.outcome() != "ok", "{found:?}");
        let found = Process::new("nothing").lost(lost).sandbox(&strict).run();
        let expect = format!("refused: not enforced here: {phrase}");
        assert!(found.outcome().starts_with(&expect), "{found:?}");
    }
    let found = Process::new("nothing").sandbox(&strict).run();
    let plain = Process::new("nothing").sandbox(&none).run();
    let complete = plain.confinement.missing.is_empty();
    assert_eq!(found.outcome() == "ok", complete, "{found:?}");
}

#[test]
fn what_cannot_be_granted_is_an_error() {
    let place = Place::new();
    let nowhere = place.path("nowhere");
    let shown = nowhere.display();
    let reason = "No such file or directory (os error 2)";
    let read = Sandbox {
        read: vec![nowhere.clone()],
        ..Sandbox::default()
    };
    let write = Sandbox {
        write: vec![nowhere.clone()],
        ..Sandbox::default()
    };
    for (list, sandbox) in [("read", read), ("write", write)] {
        let found = Process::new("nothing").sandbox(&sandbox).run();
        let expect =
            format!("refused: `{shown}`, which `{list}` grants, cannot be opened: {reason}");
        assert_eq!(found.outcome(), expect);
    }
    let process = Process::new("nothing").libraries(std::slice::from_ref(&nowhere));
    let expect =
        format!("refused: `{shown}`, which `libraries` grants, cannot be opened: {reason}");
    assert_eq!(process.sandbox(&Sandbox::default()).run().outcome(), expect);
}

#[test]
fn limits_that_cannot_be_set_are_errors() {
    let none = Sandbox::default();
    let run = |limits: &Limits| Process::new("nothing").limits(limits).sandbox(&none).run();
    // More than the system has for anybody.
    let wanted = 1 << 40;
    let limits = Limits {
        open_files: Some(wanted),
        ..Limits::default()
    };
    let found = run(&limits);
    let expect = format!("refused: the limit `open_files` is {wanted}, the system allows at most ");
    assert!(found.outcome().starts_with(&expect), "{found:?}");
    let limits = Limits {
        memory: Some(4096),
        ..Limits::default()
    };
    let found = run(&limits);
    let expect = "refused: the limit `memory` is 4096, the process has ";
    assert!(found.outcome().starts_with(expect), "{found:?}");
}
