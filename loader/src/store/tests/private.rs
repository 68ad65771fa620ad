//! Directories of others, and files that others could read or change.

#![cfg(unix)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};

use super::*;

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("it exists");
    metadata.permissions().mode() & 0o777
}

#[test]
fn what_is_kept_is_private_and_read_only() {
    let data = tempfile::tempdir().expect("a directory");
    let path = data.path().join("store");
    fs::create_dir(&path).expect("a directory");
    fs::set_permissions(&path, Permissions::from_mode(0o777)).expect("permissions");
    let store = Store::open(data.path()).expect("a store");
    for directory in ["", "artifacts", "states", "plugins", "unfinished"] {
        assert_eq!(mode(&path.join(directory)), 0o700, "{directory}");
    }
    let kept = store.keep(&plugin(data.path(), 1, 100)).expect("kept");
    assert_eq!(mode(&kept.path), 0o400);
    let saved = store.save_state(ECHO, &snapshot(b"x"), 1).expect("saved");
    assert_eq!(mode(&store.files.state(saved.hash)), 0o400);
    store.record(ECHO, &Standing::default()).expect("recorded");
    assert_eq!(mode(&store.files.standing(ECHO)), 0o600);
}

#[test]
fn a_file_that_others_could_change_is_not_answered() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let kept = store.keep(&plugin(data.path(), 1, 100)).expect("kept");
    fs::set_permissions(&kept.path, Permissions::from_mode(0o666)).expect("permissions");
    let error = store.artifact(kept.hash).expect_err("it is exposed");
    assert!(matches!(error, StoreError::Unacceptable { .. }), "{error}");
    let hint = error.hint().expect("a hint");
    assert!(hint.starts_with("`chmod go-w"), "{hint}");
}

#[test]
fn a_data_directory_that_is_a_file_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    fs::write(&data, "").expect("a file");
    let error = Store::open(&data).expect_err("a file is there");
    assert!(matches!(error, StoreError::Directory { .. }), "{error}");
    assert!(error.hint().is_some());
}

#[cfg(target_os = "linux")]
#[test]
fn directories_of_others_are_not_used() {
    let data = tempfile::tempdir().expect("a directory");
    let path = data.path().join("store/plugins");
    fs::create_dir_all(&path).expect("a directory");
    // Only root gives directories away; for everybody else it is root's that cannot be used.
    if chown(&path, Some(65534), None).is_ok() {
        let error = Store::open(data.path()).expect_err("it is somebody else's");
        assert!(matches!(
            error,
            StoreError::ForeignDirectory { owner: 65534, .. }
        ));
        assert!(error.hint().is_some());
    }
    let error = sys::without_privileges(|| Store::open(Path::new("/root")));
    let error = error.expect_err("it is root's");
    assert!(matches!(error, StoreError::Directory { .. }), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_that_lost_its_permissions_says_so() {
    sys::without_privileges(|| {
        let data = tempfile::tempdir().expect("a directory");
        let store = Store::open(data.path()).expect("a store");
        let inspection = plugin(data.path(), 1, 100);
        store.keep(&inspection).expect("kept");
        let standing = serving(inspection.hash, 1);
        store.record(ECHO, &standing).expect("recorded");
        let plugins = store.files.path().join("plugins");
        let allow = |mode| fs::set_permissions(&plugins, Permissions::from_mode(mode));
        allow(0o500).expect("permissions");
        let error = store.record(ECHO, &standing).expect_err("denied");
        assert!(matches!(error, StoreError::Write { .. }), "{error}");
        assert!(error.hint().is_some());
        assert_eq!(store.standing(ECHO).expect("the old one"), standing);
        allow(0).expect("permissions");
        let error = store.standing(ECHO).expect_err("denied");
        assert!(matches!(error, StoreError::Read { .. }), "{error}");
        assert!(error.hint().is_some());
        allow(0o700).expect("permissions");
    });
}
