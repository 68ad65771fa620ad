//! Inspection of really compiled libraries, and of what else a directory may hold.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::process::Command;

use proptest::prelude::*;

use super::mutations::{MANY, mutate_and_parse, mutations};
use super::*;

/// A real library, with a constructor that leaves a trace if it ever runs.
const SOURCE: &str = r#"
#include <stdio.h>
__asm__(".pushsection .note.octa,\"a\",%note\n.balign 4\n.incbin \"note\"\n.popsection");
__attribute__((constructor)) static void ran(void) { fclose(fopen("ran", "w")); }
int octa(void) { return 1; }
"#;

fn compiled() -> (tempfile::TempDir, Vec<u8>) {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, content: &[u8]| {
        fs::write(directory.path().join(name), content).expect("a file");
    };
    write("note", &note());
    write(
        "a.c",
        SOURCE
            .replace("\"ran\"", &format!("{:?}", trace(&directory)))
            .as_bytes(),
    );
    let status = Command::new("cc")
        .current_dir(directory.path())
        .args(["-shared", "-fPIC", "-o", "a.so", "a.c"])
        .status();
    assert!(status.expect("a C compiler").success());
    let bytes = fs::read(directory.path().join("a.so")).expect("a library");
    (directory, bytes)
}

fn trace(directory: &tempfile::TempDir) -> std::path::PathBuf {
    directory.path().join("ran")
}

#[test]
fn a_compiled_library_is_read_and_not_run() {
    let (directory, _) = compiled();
    let path = directory.path().join("a.so");
    let inspection = inspect(&path, FileRules::default()).expect("a plugin");
    assert_eq!(inspection.verdict(&HostFacts::in_process(1)), Ok(()));
    assert!(!trace(&directory).exists(), "its constructor ran");
    let stripped = Command::new("strip").arg(&path).status();
    assert!(stripped.expect("binutils").success());
    inspect(&path, FileRules::default()).expect("a stripped plugin");
}

#[test]
fn a_compiled_library_is_incomplete_wherever_it_is_cut_off() {
    let (directory, bytes) = compiled();
    let cuts = |length: usize| {
        (0..50)
            .map(move |part| length * part / 50)
            .chain([length - 1])
    };
    is_incomplete_at(&bytes, cuts(bytes.len()));
    let path = directory.path().join("a.so");
    fs::write(&path, &bytes[..bytes.len() / 2]).expect("a file");
    let error = inspect(&path, FileRules::default()).expect_err("half of it");
    assert!(error.is_incomplete(), "{error}");
    fs::write(&path, &bytes).expect("a file");
    let stripped = Command::new("strip").arg(&path).status();
    assert!(stripped.expect("binutils").success());
    let bytes = fs::read(&path).expect("a library");
    is_incomplete_at(&bytes, cuts(bytes.len()));
}

#[test]
fn what_is_not_a_file_is_not_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("pipe.so");
    let made = Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo").success());
    let error = inspect(&path, FileRules::default()).expect_err("a pipe");
    assert_eq!(
        error.fault.to_string(),
        "is a named pipe, expected a regular file"
    );
    let path = directory.path().join("socket.so");
    let _socket = UnixListener::bind(&path).expect("a socket");
    let error = inspect(&path, FileRules::default()).expect_err("a socket");
    assert_eq!(
        error.fault.to_string(),
        "is a socket, expected a regular file"
    );
}

#[test]
fn links_are_followed_and_dangling_ones_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = fixture::write(directory.path(), &fixture::plugin());
    let link = directory.path().join("link.so");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    inspect(&link, FileRules::default()).expect("a plugin");
    fs::remove_file(&path).expect("removed");
    let error = inspect(&link, FileRules::default()).expect_err("nothing there");
    assert_eq!(error.fault.to_string(), "cannot be opened");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("leads nowhere"))
    );
}

#[test]
fn files_that_others_can_change_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = fixture::write(directory.path(), &fixture::plugin());
    fs::set_permissions(&path, Permissions::from_mode(0o666)).expect("permissions");
    let error = inspect(&path, FileRules::default()).expect_err("writable by all");
    let told = error.fault.to_string();
    assert!(
        told.starts_with("can be changed by others: it belongs to user "),
        "{told}"
    );
    assert!(told.contains("with mode 0666"), "{told}");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.starts_with("`chmod go-w "))
    );
    let relaxed = FileRules {
        require_private: false,
    };
    inspect(&path, relaxed).expect("a plugin");
}

#[test]
fn an_unreadable_file_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).expect("permissions");
    let path = fixture::write(directory.path(), &fixture::plugin());
    fs::set_permissions(&path, Permissions::from_mode(0o000)).expect("permissions");
    let error = crate::sys::without_privileges(|| inspect(&path, FileRules::default()))
        .expect_err("not readable");
    let told = told(&error.fault);
    assert!(
        told.starts_with("cannot be opened: Permission denied"),
        "{told}"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("chmod u+r")));
}

#[test]
fn no_mutation_of_a_compiled_library_brings_it_down() {
    let (_directory, bytes) = compiled();
    parse(&bytes).expect("a plugin");
    proptest!(ProptestConfig::with_cases(MANY), |(mutations in mutations(bytes.len()))| {
        mutate_and_parse(&bytes, &mutations);
    });
}
