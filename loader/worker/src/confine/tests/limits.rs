//! Memory, time, open files and core files.

use std::os::unix::process::ExitStatusExt;

use octa_wire::{Limits, Sandbox};

use super::{
    process::{Outcome, Process, users},
    sandbox,
};

const SIGXCPU: i32 = 24;

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

fn run(limits: &Limits, probe: &str) -> Outcome {
    let process = Process::new(probe).limits(limits);
    process.sandbox(&Sandbox::default()).run()
}

#[test]
fn limits_hold_with_and_without_a_sandbox() {
    let none = Limits::default();
    let memory = limits(|limits| limits.memory = Some(512 << 20));
    let open_files = limits(|limits| limits.open_files = Some(32));
    for (limits, probe, expect) in [
        (&none, "allocate 1 GiB", "ok"),
        (&memory, "allocate 1 GiB", "ENOMEM"),
        (&memory, "threads that allocate", "ok"),
        (&none, "open 64 files", "ok"),
        (&open_files, "open 64 files", "EMFILE"),
        (&none, "no core file", "ok"),
    ] {
        for user in users() {
            for sandbox in [sandbox(|_| ()), sandbox(|sandbox| sandbox.off = true)] {
                let process = Process::new(probe).user(user).limits(limits);
                let found = process.sandbox(&sandbox).run();
                assert_eq!(found.outcome(), expect, "`{probe}`: {found:?}");
            }
        }
    }
}

#[test]
fn limits_cannot_be_raised_again() {
    let open_files = limits(|limits| limits.open_files = Some(32));
    let found = run(&open_files, "raise a limit");
    assert_eq!(found.outcome(), "EPERM", "{found:?}");
}

#[test]
fn a_busy_process_is_ended() {
    let cpu = limits(|limits| limits.cpu_seconds = Some(1));
    let found = run(&cpu, "burn");
    assert_eq!(found.status.signal(), Some(SIGXCPU), "{found:?}");
}

#[test]
fn memory_is_hidden_unless_a_core_file_shall_show_it() {
    for (core, expect) in [(None, "ok"), (Some(0), "ok"), (Some(4096), "not hidden")] {
        let found = run(&limits(|limits| limits.core = core), "hidden");
        assert_eq!(found.outcome(), expect, "{found:?}");
    }
}

#[test]
fn limits_that_cannot_be_set_are_errors() {
    // More than the system has for anybody.
    let wanted = 1 << 40;
    let found = run(
        &limits(|limits| limits.open_files = Some(wanted)),
        "nothing",
    );
    let expect = format!("refused: the limit `open_files` is {wanted}, the system allows at most ");
    assert!(found.outcome().starts_with(&expect), "{found:?}");
    let found = run(&limits(|limits| limits.memory = Some(4096)), "nothing");
    let expect = "refused: the limit `memory` is 4096, the process has ";
    assert!(found.outcome().starts_with(expect), "{found:?}");
}

#[test]
fn what_is_in_force_is_told() {
    let off = sandbox(|sandbox| {
        sandbox.off = true;
        sandbox.strict = true;
    });
    let all = Limits {
        memory: Some(1 << 30),
        cpu_seconds: Some(60),
        open_files: Some(64),
        core: None,
    };
    let found = Process::new("nothing").limits(&all).sandbox(&off).run();
    let expect = [
        "at most 60 s of processor time",
        "at most 64 open files",
        "no core file",
        "at most 1073741824 bytes of address space",
    ];
    assert_eq!(found.confinement.enforced, expect);
    assert!(found.confinement.missing.is_empty());
}
