//! Tests of who meets whom, in directories of their own.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::failure::Explain as _;

fn meeting() -> (tempfile::TempDir, Meeting) {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::of(&[("XDG_RUNTIME_DIR", directory.path())]);
    let meeting = Meeting::of(&world);
    (directory, meeting)
}

fn record(name: &str) -> Record {
    Record {
        name: name.to_owned(),
        pid: 7,
        data: format!("/data/{name}"),
        plugins: "/plugins".to_owned(),
        started: 1,
    }
}

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("a file");
    metadata.permissions().mode() & 0o7777
}

#[test]
fn the_only_kernel_is_the_one_that_is_meant() {
    let (_directory, meeting) = meeting();
    let error = meeting.find(None).expect_err("nobody is there");
    assert_eq!(error.to_string(), "no kernel is running");
    let (claim, _listener) = meeting.claim(&record("home")).expect("a claim");
    assert_eq!(meeting.find(None).expect("a kernel"), record("home"));
    assert_eq!(mode(&meeting.directory), 0o700);
    assert_eq!(mode(&meeting.socket("home")), 0o600);
    drop(claim);
    assert!(matches!(meeting.find(None), Err(MeetingError::NoKernel)));
    let left = fs::read_dir(&meeting.directory).expect("a directory");
    assert_eq!(left.count(), 0);
}

#[test]
fn of_several_one_must_be_chosen() {
    let (_directory, meeting) = meeting();
    let _first = meeting.claim(&record("attic")).expect("a claim");
    let _second = meeting.claim(&record("cellar")).expect("a claim");
    let error = meeting.find(None).expect_err("which one?");
    assert_eq!(
        error.to_string(),
        "2 kernels are running; running:\n  `attic`, process 7, data `/data/attic`\n  \
         `cellar`, process 7, data `/data/cellar`"
    );
    let found = meeting.find(Some("cellar")).expect("a kernel");
    assert_eq!(found.name, "cellar");
    let error = meeting.find(Some("roof")).expect_err("no such kernel");
    assert_eq!(error.kind(), "no-kernel");
}

#[test]
fn a_kernel_is_found_by_its_data_directory() {
    let (directory, meeting) = meeting();
    let data = fs::canonicalize(directory.path()).expect("a path");
    let name = name_of(&data);
    let record = Record {
        data: text_of(&data),
        ..record(&name)
    };
    let _claim = meeting.claim(&record).expect("a claim");
    let found = meeting.find(directory.path().to_str()).expect("a kernel");
    assert_eq!(found.name, name);
    assert_eq!(name.len(), 8);
}

#[test]
fn a_live_kernel_is_refused_by_name() {
    let (_directory, meeting) = meeting();
    let _claim = meeting.claim(&record("home")).expect("a claim");
    let error = meeting.claim(&record("home")).expect_err("taken");
    assert_eq!(
        error.to_string(),
        "kernel `home` is running already, as process 7 on `/data/home`"
    );
}

#[test]
fn what_a_dead_kernel_left_is_replaced() {
    let (_directory, meeting) = meeting();
    meeting.make_private().expect("a directory");
    let text = serde_json::to_vec(&record("home")).expect("a record");
    fs::write(meeting.record("home"), text).expect("a file");
    drop(std::os::unix::net::UnixListener::bind(meeting.socket("home")).expect("a socket"));
    assert!(matches!(meeting.find(None), Err(MeetingError::NoKernel)));
    let _claim = meeting.claim(&record("home")).expect("a claim");
    assert_eq!(meeting.find(None).expect("a kernel").name, "home");
}

#[test]
fn a_directory_that_others_may_enter_is_refused() {
    let (_directory, meeting) = meeting();
    fs::create_dir(&meeting.directory).expect("a directory");
    fs::set_permissions(&meeting.directory, fs::Permissions::from_mode(0o755)).expect("a mode");
    let error = meeting.claim(&record("home")).expect_err("not private");
    let expected = "with mode 0755, expected a directory of user";
    assert!(error.to_string().contains(expected), "{error}");
    assert!(meeting.kernels().is_err());
}

#[test]
fn a_deep_directory_is_passed_over() {
    let root = tempfile::tempdir().expect("a directory");
    let deep = root.path().join("d".repeat(200));
    fs::create_dir(&deep).expect("a directory");
    let world = World::of(&[("XDG_RUNTIME_DIR", &deep), ("TMPDIR", &deep)]);
    let own = format!("/tmp/octa-{}", world::user());
    assert_eq!(Meeting::of(&world).directory, Path::new(&own));
}

#[test]
fn names_stay_file_names() {
    for name in ["", "a/b", "..", "ä", &"a".repeat(33)] {
        assert!(check_name(name).is_err(), "{name}");
    }
    check_name("home-1_x").expect("a name");
}
