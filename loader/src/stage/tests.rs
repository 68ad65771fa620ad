//! Copies, their names, their privacy and their end.

use std::fs;

use super::*;
use crate::fixture;

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).into_string().expect("UTF-8"))
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn each_copy_has_a_fresh_name_and_the_inspected_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let inspection = fixture::inspected(directory.path());
    let stage = StageDir::open(directory.path()).expect("a staging directory");
    let first = stage.stage(&inspection).expect("a copy");
    let second = stage.stage(&inspection).expect("another copy");
    let expected = format!(
        "echo-{}-1.{}",
        inspection.hash.short(),
        std::env::consts::DLL_EXTENSION
    );
    assert_eq!(first.path, stage.path().join(expected));
    assert_ne!(first.path, second.path);
    let bytes = fs::read(&second.path).expect("a copy");
    assert_eq!(ContentHash::of(&bytes), inspection.hash);
    first.remove().expect("removed");
    assert_eq!(entries(stage.path()).len(), 1);
}

#[test]
fn a_source_that_changed_is_not_staged() {
    let directory = tempfile::tempdir().expect("a directory");
    let inspection = fixture::inspected(directory.path());
    let stage = StageDir::open(directory.path()).expect("a staging directory");
    let original = fs::read(&inspection.path).expect("a file");
    let mut flipped = original.clone();
    flipped[original.len() / 2] ^= 1;
    let longer = [original.as_slice(), b"x"].concat();
    for changed in [&flipped, &longer, &original[..100]] {
        fs::write(&inspection.path, changed).expect("a file");
        let error = stage.stage(&inspection).expect_err("it changed");
        assert!(matches!(error, StageError::Changed { .. }), "{error}");
        assert!(error.hint().is_some());
    }
    fs::remove_file(&inspection.path).expect("removed");
    let error = stage.stage(&inspection).expect_err("it is gone");
    assert!(matches!(error, StageError::Source { .. }), "{error}");
    assert_eq!(entries(stage.path()), [""; 0], "nothing is left behind");
}

#[test]
fn only_copies_of_this_directory_are_forgotten() {
    let directory = tempfile::tempdir().expect("a directory");
    let inspection = fixture::inspected(directory.path());
    let stage = StageDir::open(directory.path()).expect("a staging directory");
    let other = StageDir::open(directory.path()).expect("a staging directory");
    let copy = stage.stage(&inspection).expect("a copy");
    let foreign = other.stage(&inspection).expect("a copy");
    let climbing = stage.path().join("../..").join("echo.so");
    for path in [
        &inspection.path,
        &foreign.path,
        stage.path(),
        &stage.path().join(".."),
        &climbing,
        Path::new(""),
    ] {
        let error = stage.forget(path).expect_err("it is not staged here");
        assert!(matches!(error, StageError::Elsewhere { .. }), "{error}");
    }
    assert!(inspection.path.exists() && foreign.path.exists());
    stage.forget(&copy.path).expect("forgotten");
    assert!(!copy.path.exists());
    stage.forget(&copy.path).expect("as good as forgotten");
    fs::create_dir(&copy.path).expect("a directory");
    let error = stage.forget(&copy.path).expect_err("it is a directory");
    assert!(matches!(error, StageError::Remove { .. }), "{error}");
}

#[test]
fn a_sweep_removes_what_nobody_uses() {
    let directory = tempfile::tempdir().expect("a directory");
    let inspection = fixture::inspected(directory.path());
    let ended = StageDir::open(directory.path()).expect("a staging directory");
    ended.stage(&inspection).expect("a copy");
    let running = StageDir::open(directory.path()).expect("a staging directory");
    let kept = running.stage(&inspection).expect("a copy");
    let sweeping = StageDir::open(directory.path()).expect("a staging directory");
    assert_eq!(sweeping.sweep().expect("a sweep"), 0, "all are in use");
    drop(ended);
    assert_eq!(entries(&directory.path().join("staged")).len(), 6);
    assert_eq!(sweeping.sweep().expect("a sweep"), 1);
    assert!(kept.path.exists(), "the other kernel keeps its copy");
    assert_eq!(entries(&directory.path().join("staged")).len(), 4);
    assert_eq!(sweeping.sweep().expect("a sweep"), 0);
}

#[test]
fn sweeping_and_opening_at_once_take_nothing_from_each_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let inspection = fixture::inspected(directory.path());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let stage = StageDir::open(directory.path()).expect("a staging directory");
                    stage.sweep().expect("a sweep");
                    let copy = stage.stage(&inspection).expect("a copy");
                    assert!(copy.path.exists(), "a sweep removed a copy in use");
                }
            });
        }
    });
}

#[cfg(unix)]
#[test]
fn copies_are_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir().expect("a directory");
    let inspection = fixture::inspected(directory.path());
    let staged = directory.path().join("staged");
    fs::create_dir(&staged).expect("a directory");
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o777)).expect("permissions");
    let stage = StageDir::open(directory.path()).expect("a staging directory");
    let copy = stage.stage(&inspection).expect("a copy");
    let mode = |path: &Path| fs::metadata(path).expect("it exists").permissions().mode() & 0o777;
    assert_eq!(mode(&staged), 0o700);
    assert_eq!(mode(stage.path()), 0o700);
    assert_eq!(mode(&copy.path), 0o600);
}

#[test]
fn a_data_directory_that_is_a_file_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("data");
    fs::write(&data, "").expect("a file");
    let error = StageDir::open(&data).expect_err("a file is there");
    assert!(matches!(error, StageError::Directory { .. }), "{error}");
    assert!(error.hint().is_some());
}
