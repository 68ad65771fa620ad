//! What is kept, what is recorded, what is swept, and what is said of damage.

use std::fs;
use std::path::Path;

use super::*;
use crate::fixture;
use crate::stage::StageDir;

mod kill;
mod private;

/// The name of the plugin that `fixture` makes.
const ECHO: &str = "echo";

/// A plugin file of about `size` bytes that differs by `number`.
fn plugin(directory: &Path, number: u64, size: usize) -> Inspection {
    let mut content = fixture::plugin();
    content.resize(content.len() + size, 0);
    content.extend(number.to_le_bytes());
    let path = fixture::write(directory, &content);
    inspect(&path, FileRules::default()).expect("a plugin")
}

fn served(hash: ContentHash, generation: u64) -> Served {
    Served {
        hash,
        version: "0.1.0".to_owned(),
        generation,
        since: generation,
        state: None,
    }
}

fn serving(hash: ContentHash, generation: u64) -> Standing {
    let mut standing = Standing::default();
    standing.serve(served(hash, generation), None);
    standing
}

fn snapshot(bytes: &[u8]) -> Snapshot {
    Snapshot {
        version: 3,
        bytes: bytes.to_vec().into(),
    }
}

fn files_in(data: &Path, part: &str) -> usize {
    let entries = fs::read_dir(data.join("store").join(part)).expect("a directory");
    entries.count()
}

/// Overwrites what is read-only.
fn overwrite(path: &Path, content: &[u8]) {
    fs::remove_file(path).expect("removed");
    fs::write(path, content).expect("a file");
}

#[test]
fn a_kept_file_outlives_its_source_and_can_be_staged() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let inspection = plugin(data.path(), 1, 700_000);
    let kept = store.keep(&inspection).expect("kept");
    fs::remove_file(&inspection.path).expect("removed");
    assert_eq!(store.keep(&inspection).expect("kept already"), kept);
    assert_eq!(store.keep(&kept).expect("kept already"), kept);
    let found = store.artifact(inspection.hash).expect("readable");
    assert_eq!(found.as_ref(), Some(&kept));
    let stage = StageDir::open(data.path()).expect("a staging directory");
    let staged = stage.stage(&kept).expect("a copy");
    let bytes = fs::read(&staged.path).expect("a copy");
    assert_eq!(ContentHash::of(&bytes), inspection.hash);
    let unknown = store.artifact(ContentHash::of(b"")).expect("readable");
    assert_eq!(unknown, None);
}

#[test]
fn a_source_that_changed_is_not_kept() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let inspection = plugin(data.path(), 1, 100);
    plugin(data.path(), 2, 100);
    let error = store.keep(&inspection).expect_err("it changed");
    assert!(matches!(error, StoreError::Changed { .. }), "{error}");
    fs::remove_file(&inspection.path).expect("removed");
    let error = store.keep(&inspection).expect_err("it is gone");
    assert!(matches!(error, StoreError::Source { .. }), "{error}");
    assert!(error.hint().is_some());
    assert_eq!(files_in(data.path(), "artifacts"), 0);
    assert_eq!(files_in(data.path(), "unfinished"), 0);
}

#[test]
fn damage_is_told_and_healed_by_keeping_the_file_again() {
    let data = tempfile::tempdir().expect("a directory");
    let inspection = plugin(data.path(), 1, 1000);
    let whole = fs::read(&inspection.path).expect("a file");
    let flipped = [&whole[..whole.len() - 1], b"!"].concat();
    for damaged in [&flipped[..], &whole[..whole.len() / 2], &whole[..100], b""] {
        let store = Store::open(data.path()).expect("a store");
        let kept = store.keep(&inspection).expect("kept");
        overwrite(&kept.path, damaged);
        let error = store.artifact(inspection.hash).expect_err("it is damaged");
        assert!(matches!(error, StoreError::Torn { .. }), "{error}");
        store.keep(&inspection).expect("kept again");
        let found = store.artifact(inspection.hash).expect("it is whole");
        assert_eq!(found.as_ref(), Some(&kept));
        overwrite(&kept.path, damaged);
        drop(store);
        // What an earlier process left is not believed because of its size.
        let store = Store::open(data.path()).expect("a store");
        store.keep(&inspection).expect("kept again");
        assert_eq!(fs::read(&kept.path).expect("a file"), whole);
    }
}

#[test]
fn a_whole_file_that_is_no_plugin_is_told_as_that() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let hash = ContentHash::of(b"text");
    fs::write(store.files.artifact(hash), "text").expect("a file");
    let error = store.artifact(hash).expect_err("it is text");
    assert!(matches!(error, StoreError::Unacceptable { .. }), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn a_standing_is_found_by_the_next_process() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    assert_eq!(store.standing(ECHO).expect("none"), Standing::default());
    let first = plugin(data.path(), 1, 100);
    store.keep(&first).expect("kept");
    let mut standing = serving(first.hash, 1);
    store.record(ECHO, &standing).expect("recorded");
    let second = plugin(data.path(), 2, 100);
    store.keep(&second).expect("kept");
    let state = snapshot(b"7 lamps");
    let saved = store.save_state(ECHO, &state, 5).expect("saved");
    standing.serve(served(second.hash, 2), Some(saved));
    standing.refuse(Refused {
        hash: ContentHash::of(b""),
        why: "its `start` panicked".to_owned(),
        at: 6,
        is_fatal: false,
    });
    store.record(ECHO, &standing).expect("recorded");
    drop(store);
    let store = Store::open(data.path()).expect("a store");
    let found = store.standing(ECHO).expect("a standing");
    assert_eq!(found, standing);
    let previous = found.previous.expect("one served before");
    assert_eq!(previous.hash, first.hash);
    let saved = previous.state.expect("it saved");
    assert_eq!((saved.version, saved.at), (3, 5));
    assert_eq!(store.load_state(&saved).expect("its state"), state);
    let found = store.artifact(previous.hash).expect("whole");
    assert!(found.is_some(), "its file is kept");
}

#[test]
fn nothing_is_recorded_that_is_not_kept() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let inspection = plugin(data.path(), 1, 100);
    let kept = store.keep(&inspection).expect("kept");
    let good = serving(inspection.hash, 1);
    store.record(ECHO, &good).expect("recorded");
    let missing = ContentHash::of(b"missing");
    let without_file = serving(missing, 2);
    let mut without_state = good.clone();
    let state = SavedState {
        version: 1,
        hash: missing,
        at: 1,
    };
    if let Some(current) = &mut without_state.current {
        current.state = Some(state.clone());
    }
    for standing in [without_file, without_state] {
        let error = store.record(ECHO, &standing).expect_err("it is not kept");
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
        assert_eq!(store.standing(ECHO).expect("the old one"), good);
    }
    let error = store.load_state(&state).expect_err("it is not saved");
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    fs::remove_file(&kept.path).expect("removed");
    let error = store.record(ECHO, &good).expect_err("it is gone");
    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
}

#[test]
fn a_standing_that_cannot_be_understood_is_one_error_with_a_way_out() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let inspection = plugin(data.path(), 1, 100);
    store.keep(&inspection).expect("kept");
    let standing = serving(inspection.hash, 1);
    let path = store.files.standing(ECHO);
    let check = |content: &str| {
        fs::write(&path, content).expect("a file");
        let error = store.standing(ECHO).expect_err("it cannot be read");
        assert!(error.to_string().contains(&*path.to_string_lossy()));
        let hint = error.hint().expect("a way out");
        assert!(hint.contains(&format!("rm {}", path.display())), "{hint}");
        let swept = store.sweep().expect_err("nobody knows what is needed");
        assert_eq!(swept.to_string(), error.to_string());
        error
    };
    let error = check(r#"{"format": 2, "standing": {}}"#);
    assert!(matches!(
        error,
        StoreError::NewerStanding {
            found: 2,
            known: 1,
            ..
        }
    ));
    let error = store.record(ECHO, &standing).expect_err("not ours");
    assert!(matches!(error, StoreError::NewerStanding { .. }), "{error}");
    let error = check("{");
    assert!(matches!(error, StoreError::CorruptStanding { .. }));
    store
        .record(ECHO, &standing)
        .expect("there is nothing to lose");
    assert_eq!(store.standing(ECHO).expect("a standing"), standing);
}

#[test]
fn a_name_does_not_lead_out_of_the_store() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    for name in ["../echo", "", "/etc/passwd", "Echo"] {
        let error = store.standing(name).expect_err("no plugin name");
        assert!(matches!(error, StoreError::Name(_)), "{error}");
        let recorded = store.record(name, &Standing::default());
        assert!(matches!(recorded, Err(StoreError::Name(_))));
    }
}

#[test]
fn a_damaged_state_is_told() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let state = snapshot(b"7 lamps");
    let saved = store.save_state(ECHO, &state, 1).expect("saved");
    overwrite(&store.files.state(saved.hash), b"8 lamps");
    let error = store.load_state(&saved).expect_err("it is damaged");
    assert!(matches!(error, StoreError::Torn { .. }), "{error}");
    assert_eq!(store.save_state(ECHO, &state, 1).expect("again"), saved);
    assert_eq!(store.load_state(&saved).expect("whole"), state);
}

#[test]
fn what_is_released_is_swept() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let inspection = plugin(data.path(), 1, 100);
    store.keep(&inspection).expect("kept");
    let others = Standing::default();
    store.record(ECHO, &others).expect("recorded");
    let swept = store.sweep().expect("a sweep");
    assert_eq!(swept, 0, "another generation may be about to be named");
    store.release(ECHO, inspection.hash);
    assert_eq!(store.sweep().expect("a sweep"), 1);
    let saved = store.save_state(ECHO, &snapshot(b"7"), 1).expect("saved");
    assert_eq!(store.sweep().expect("a sweep"), 0);
    store.release_state(ECHO, &saved);
    assert_eq!(store.sweep().expect("a sweep"), 1);
}

#[test]
fn a_verified_copy_is_kept_under_another_name() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let stage = crate::StageDir::open(data.path()).expect("a stage");
    let inspection = plugin(data.path(), 1, 100);
    let staged = stage.stage(&inspection).expect("staged");
    store.keep_copy(&inspection, &staged).expect("kept");
    stage.forget(&staged.path).expect("forgotten");
    let kept = store.artifact(inspection.hash).expect("whole");
    assert!(kept.is_some_and(|kept| kept.size == inspection.size));
}

#[test]
fn a_sweep_leaves_what_is_named_or_about_to_be() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let mut standing = Standing::default();
    for number in 1..=3 {
        let inspection = plugin(data.path(), number, 100);
        store.keep(&inspection).expect("kept");
        let state = snapshot(&number.to_le_bytes());
        let save = || store.save_state(ECHO, &state, number).expect("saved");
        // The first has no state before it.
        let saved = (number > 1).then(save);
        assert_eq!(
            store.sweep().expect("a sweep"),
            0,
            "they are about to be named"
        );
        standing.serve(served(inspection.hash, number), saved);
        store.record(ECHO, &standing).expect("recorded");
        // Then a file and a state are replaced each time.
        let expected = [0, 0, 2][number as usize - 1];
        assert_eq!(store.sweep().expect("a sweep"), expected, "{number}");
    }
    assert_eq!(files_in(data.path(), "artifacts"), 2);
    assert_eq!(files_in(data.path(), "states"), 1);
    let previous = standing.previous.expect("it served");
    store
        .load_state(&previous.state.expect("it saved"))
        .expect("its state");
    assert!(store.artifact(previous.hash).expect("whole").is_some());
}

#[test]
fn nobody_cleans_up_under_another_kernel() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    store.keep(&plugin(data.path(), 1, 100)).expect("kept");
    let unfinished = store.files.path().join("unfinished/1-1");
    fs::write(&unfinished, "half").expect("a file");
    let other = Store::open(data.path()).expect("a store");
    assert!(unfinished.exists(), "it may be the first one's");
    assert_eq!(other.sweep().expect("a sweep"), 0);
    drop(store);
    assert_eq!(other.sweep().expect("a sweep"), 1, "nobody else is there");
    drop(other);
    Store::open(data.path()).expect("a store");
    assert!(!unfinished.exists(), "whoever wrote it has ended");
}

#[test]
fn users_that_come_sweep_and_go_at_once_take_nothing_from_each_other() {
    let data = tempfile::tempdir().expect("a directory");
    let work = |user: u64| {
        for visit in 0..20 {
            let store = Store::open(data.path()).expect("a store");
            for number in 0..50 {
                let state = snapshot(format!("{user} {visit} {number}").as_bytes());
                let saved = store.save_state(ECHO, &state, 1).expect("saved");
                store.sweep().expect("a sweep");
                store.load_state(&saved).expect("it is about to be named");
            }
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|user| drop(scope.spawn(move || work(user)))));
}

#[test]
fn a_sweep_takes_nothing_from_those_who_record_meanwhile() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let hash = store.keep(&plugin(data.path(), 1, 100)).expect("kept").hash;
    let work = |user: u64| {
        let name = format!("echo-{user}");
        for generation in 0..20 {
            let state = snapshot(format!("{user} {generation}").as_bytes());
            let saved = store.save_state(&name, &state, 1).expect("saved");
            let mut current = served(hash, generation);
            current.state = Some(saved.clone());
            let mut standing = Standing::default();
            standing.serve(current, None);
            store.record(&name, &standing).expect("all is kept");
            store.sweep().expect("a sweep");
            store.load_state(&saved).expect("it is named");
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|user| drop(scope.spawn(move || work(user)))));
}

#[test]
fn a_write_that_fails_leaves_what_was_there() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    let path = store.files.standing(ECHO);
    fs::write(&path, "before").expect("a file");
    let full = || io::Error::from(io::ErrorKind::StorageFull);
    let outcome = store.files.place(&path, |mut file| {
        file.write_all(b"hal").expect("written");
        Err(write_failed(&path)(full()))
    });
    let error = outcome.expect_err("the disk is full");
    let hint = error.hint().expect("a hint");
    assert!(hint.starts_with("make room"), "{hint}");
    assert_eq!(fs::read(&path).expect("a file"), b"before");
    assert_eq!(files_in(data.path(), "unfinished"), 0);
}

#[test]
fn after_a_failed_sync_nothing_is_recorded() {
    let data = tempfile::tempdir().expect("a directory");
    let store = Store::open(data.path()).expect("a store");
    store.record(ECHO, &Standing::default()).expect("recorded");
    store.files.distrust_disk();
    let error = store.record(ECHO, &Standing::default());
    let error = error.expect_err("the disk failed");
    assert!(matches!(error, StoreError::Unsynced { .. }), "{error}");
    assert!(error.hint().is_some());
    store
        .keep(&plugin(data.path(), 1, 100))
        .expect("it needs no disk");
}
