//! Processes, sockets and the system.

use std::{
    os::unix::{net::UnixListener, process::ExitStatusExt},
    path::Path,
};

use octa_wire::Sandbox;

use super::{
    By, Place, granted, open_to_all,
    process::{Lost, Process, users},
    refused, refused_in_any_case, sandbox,
};

const NOTHING: &str = "";
const SIGABRT: i32 = 6;

fn refused_call(sandbox: &Sandbox, probe: &str, argument: &str) {
    refused(By::Calls, sandbox, probe, Path::new(argument), "EPERM");
}

fn refused_always(sandbox: &Sandbox, probe: &str, expect: &str) {
    refused_in_any_case(By::Calls, sandbox, probe, Path::new(NOTHING), expect);
}

#[test]
fn processes_are_refused_unless_granted() {
    let none = Sandbox::default();
    let exec = sandbox(|grants| grants.exec = true);
    let program = "/bin/true";
    for probe in ["fork", "clone", "spawn"] {
        refused_call(&none, probe, program);
        granted(&exec, probe, Path::new(program));
    }
    for probe in ["exec", "group", "session", "spawn in a thread"] {
        refused_call(&none, probe, program);
    }
    refused_always(&none, "exec of a file", "EPERM");
    for sandbox in [&none, &exec] {
        refused_always(sandbox, "clone3", "ENOSYS");
        refused_always(sandbox, "namespace", "EPERM");
    }
}

#[test]
fn other_processes_are_out_of_reach() {
    let none = Sandbox::default();
    for probe in [
        "signal the parent",
        "queue a signal to the parent",
        "own a file by the parent",
        "slow the parent",
        "schedule the parent",
        "limit the parent",
        "be traced",
        "allow tracing",
        "outlive the kernel",
        "share memory",
    ] {
        refused_call(&none, probe, NOTHING);
    }
    // The C library musl signals its own threads this way.
    #[cfg(not(target_env = "musl"))]
    refused_call(&none, "signal a thread", NOTHING);
    refused_always(&none, "slow the group", "EPERM");
    refused_always(&none, "own a file by anybody", "EPERM");
    for probe in ["signal itself", "end with the kernel"] {
        granted(&none, probe, Path::new(NOTHING));
    }
}

#[test]
fn signals_are_refused_by_both_parts() {
    let none = Sandbox::default();
    for probe in ["signal the parent", "queue a signal to the parent"] {
        let process = Process::new(probe).lost(Lost::Landlock);
        let found = process.sandbox(&none).run();
        let told = found.is_missing(By::Calls.missing());
        assert!(told || found.outcome() == "EPERM", "`{probe}`: {found:?}");
    }
    // Who has children may signal them, and only Landlock knows them.
    let exec = sandbox(|grants| grants.exec = true);
    let probe = "signal the parent";
    refused(By::Files, &exec, probe, Path::new(NOTHING), "EPERM");
    granted(&exec, "end a child", Path::new("/bin/sleep"));
}

#[test]
fn the_system_is_out_of_reach() {
    let all = sandbox(|grants| {
        grants.network = true;
        grants.exec = true;
        grants.write = vec!["/tmp".into()];
    });
    refused_always(&all, "rings", "ENOSYS");
    refused_always(&all, "other numbers", "EPERM");
    refused_always(&all, "type", "EPERM");
    for probe in ["unshare", "mount", "keys", "set the clock"] {
        refused_always(&all, probe, "EPERM");
    }
    // If the list does not hold, it is a user without rights who calls all that.
    let user = users().last().unwrap();
    let process = Process::new("the list").user(user);
    let found = process.sandbox(&Sandbox::default()).run();
    let told = found.is_missing(By::Calls.missing());
    assert!(told || found.outcome() == "EPERM", "{found:?}");
}

#[test]
fn sockets_are_refused_unless_granted() {
    let none = Sandbox::default();
    let network = sandbox(|grants| grants.network = true);
    for probe in ["tcp", "udp", "routes"] {
        refused_call(&none, probe, NOTHING);
        granted(&network, probe, Path::new(NOTHING));
    }
    granted(&none, "pair", Path::new(NOTHING));
    refused_always(&none, "pair of others", "EPERM");
}

#[test]
fn sockets_of_unix_are_for_whom_one_is_granted() {
    let place = Place::new();
    let path = place.path("socket");
    let _listener = UnixListener::bind(&path).unwrap();
    open_to_all(&path);
    let granting = sandbox(|grants| grants.write = vec![path.clone()]);
    granted(&granting, "connect", &path);
    refused_call(&granting, "udp", NOTHING);
    let found = Process::new("nothing").sandbox(&granting).run();
    let which = "Unix sockets with a file that is not granted: needs Landlock 9";
    let tells_apart = found.enforces("(Landlock 9)");
    let told = found.is_missing(which) || found.is_missing(By::Files.missing());
    assert!(tells_apart || told, "{found:?}");
    // Where Landlock tells one from another, it is the one that refuses.
    let network = sandbox(|grants| grants.network = true);
    for sandbox in [Sandbox::default(), network] {
        for (probe, told_apart) in [("connect", "EACCES"), ("datagrams", "ok")] {
            let expect = if tells_apart { told_apart } else { "EPERM" };
            refused_in_any_case(By::Calls, &sandbox, probe, &path, expect);
        }
    }
}

#[test]
fn what_programs_do_of_their_own_accord_works() {
    let none = Sandbox::default();
    for probe in ["threads", "the basics", "itself"] {
        granted(&none, probe, Path::new(NOTHING));
    }
    for user in users() {
        let outcome = Process::new("abort").user(user).sandbox(&none).run();
        assert_eq!(outcome.status.signal(), Some(SIGABRT), "{outcome:?}");
        assert!(!outcome.status.core_dumped(), "{outcome:?}");
    }
}
