//! Systems that lack a part of what the sandbox is made of.

use std::path::Path;

use octa_wire::Sandbox;

use super::{
    By,
    process::{Lost, Process},
    sandbox,
};

const PROGRAM: &str = "/bin/true";

/// Without one part it is told, what that part refuses works, and what the other one refuses does
/// not. `strict` makes an error of it.
fn check(lost: Lost, phrase: &str, by_lost: &str, by_other: &str) {
    let run = |probe: &str, sandbox: &Sandbox| {
        let process = Process::new(probe).argument(Path::new(PROGRAM));
        process.lost(lost).sandbox(sandbox).run()
    };
    let none = Sandbox::default();
    let found = run(by_lost, &none);
    assert!(found.is_missing(phrase), "{found:?}");
    assert_eq!(found.outcome(), "ok", "{found:?}");
    let found = run(by_other, &none);
    let lacks = |by: By| found.is_missing(by.missing());
    let neither = lacks(By::Files) && lacks(By::Calls);
    assert!(neither || found.outcome() != "ok", "{found:?}");
    let found = run("nothing", &sandbox(|sandbox| sandbox.strict = true));
    let expect = format!("refused: not enforced here: {phrase}");
    assert!(found.outcome().starts_with(&expect), "{found:?}");
}

#[test]
fn without_landlock() {
    let phrase = "files: this system has no Landlock";
    check(Lost::Landlock, phrase, "read", "spawn");
}

#[test]
fn without_seccomp() {
    let phrase = "system calls: this system takes no filter for them";
    check(Lost::Seccomp, phrase, "udp", "read");
}

#[test]
fn with_all_that_there_is() {
    let run = |sandbox: &Sandbox| Process::new("nothing").sandbox(sandbox).run();
    let complete = run(&Sandbox::default()).confinement.missing.is_empty();
    let found = run(&sandbox(|sandbox| sandbox.strict = true));
    assert_eq!(found.outcome() == "ok", complete, "{found:?}");
}
