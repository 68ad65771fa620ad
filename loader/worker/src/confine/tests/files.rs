//! Files and libraries.

use std::path::Path;

use octa_wire::Sandbox;

use super::{By, Place, granted, process::Process, refused, refused_in_any_case, sandbox};

#[test]
fn files_are_refused_unless_granted() {
    let place = Place::new();
    let sandbox = place.grants();
    let (outside, read) = (place.path("outside"), place.path("read"));
    for (probe, path) in [
        ("read", outside.join("file")),
        ("read in a thread", outside.join("file")),
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
    granted(&sandbox, "list", &write);
    for probe in ["read", "write", "remove"] {
        granted(&sandbox, probe, &write.join("file"));
    }
    for probe in ["create", "rename"] {
        granted(&sandbox, probe, &write.join("new"));
    }
}

#[test]
fn modes_are_kept_from_who_writes_nothing() {
    let place = Place::new();
    let reads = sandbox(|grants| grants.read = vec![place.path("read")]);
    let file = place.path("read").join("file");
    refused_in_any_case(By::Calls, &reads, "mode", &file, "EPERM");
}

#[test]
fn no_privilege_of_root_is_left() {
    let place = Place::new();
    let file = place.path("write").join("file");
    let process = Process::new("give").argument(&file);
    let found = process.sandbox(&place.grants()).run();
    assert_eq!(found.outcome(), "EPERM", "{found:?}");
}

#[test]
fn libraries_can_be_opened() {
    let none = Sandbox::default();
    granted(&none, "library", Path::new("libm.so.6"));
    let place = Place::new();
    let file = place.path("read").join("file");
    refused(By::Files, &none, "read", &file, "EACCES");
    let process = Process::new("read").argument(&file);
    let found = process
        .libraries(&[place.path("read")])
        .sandbox(&none)
        .run();
    assert_eq!(found.outcome(), "ok", "{found:?}");
}

#[test]
fn what_is_granted_and_not_there_is_an_error() {
    let place = Place::new();
    let nowhere = place.path("nowhere");
    let expect = |list: &str| {
        format!(
            "refused: `{}`, which `{list}` grants, cannot be opened: No such file or directory \
             (os error 2)",
            nowhere.display()
        )
    };
    let none = sandbox(|_| ());
    let read = sandbox(|grants| grants.read = vec![nowhere.clone()]);
    let write = sandbox(|grants| grants.write = vec![nowhere.clone()]);
    for (list, sandbox, libraries) in [
        ("read", &read, &[] as &[_]),
        ("write", &write, &[]),
        ("libraries", &none, std::slice::from_ref(&nowhere)),
    ] {
        let process = Process::new("nothing").libraries(libraries);
        assert_eq!(process.sandbox(sandbox).run().outcome(), expect(list));
    }
}
