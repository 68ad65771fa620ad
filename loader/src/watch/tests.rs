//! Watching real files in real directories.

use std::fs;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use super::*;

mod faults;
#[cfg(unix)]
mod links;

/// How long anything may take on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(60);

fn quick() -> WatchOptions {
    WatchOptions {
        quiet: Duration::from_millis(40),
        gone: Duration::from_millis(120),
        poll: Duration::from_millis(20),
        force_polling: false,
    }
}

/// For what is missing no longer than a busy machine takes.
fn patient() -> WatchOptions {
    WatchOptions {
        gone: Duration::from_secs(4),
        ..quick()
    }
}

fn library(name: &str) -> String {
    format!("{name}.{}", std::env::consts::DLL_EXTENSION)
}

/// What is told of a watched directory `plugins`, which has room for other things beside it.
struct Told {
    root: tempfile::TempDir,
    watcher: Watcher,
    changes: Receiver<Change>,
}

impl Told {
    fn of(options: WatchOptions, prepare: impl FnOnce(&Path)) -> Self {
        Told::by(events::system, options, prepare)
    }

    fn by(
        source: impl FnOnce(&Arc<Hints>) -> notify::Result<Source>,
        options: WatchOptions,
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        prepare(root.path());
        let (sender, changes) = channel();
        let plugins = root.path().join("plugins");
        let files = [root.path().join("octa.toml")];
        let tell = move |change| drop(sender.send(change));
        let watcher = Watcher::with_source(source, Some(&plugins), &files, options, tell);
        Told {
            root,
            watcher: watcher.expect("a thread"),
            changes,
        }
    }

    fn events() -> Self {
        let told = Told::of(quick(), with_plugins);
        assert_eq!(told.watcher.mode(), Mode::Events);
        told
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Writes a file beside, and puts it in its place in one step.
    fn put(&self, path: &Path, content: &str) {
        let draft = self.path("draft");
        fs::write(&draft, content).expect("a file");
        fs::rename(&draft, path).expect("renamed over");
    }

    fn plugin(&self, name: &str) -> PathBuf {
        self.path("plugins").join(library(name))
    }

    /// Waits until as much is told as is expected, in whatever batches, and compares.
    fn expect(&self, changed: &[&Path], removed: &[&Path]) {
        let mut told = Change::default();
        while told.changed.len() + told.removed.len() < changed.len() + removed.len() {
            let change = self.changes.recv_timeout(PATIENCE);
            let change = change.unwrap_or_else(|_| panic!("only {told:?}; {:?}", self.watcher));
            told.changed.extend(change.changed);
            told.removed.extend(change.removed);
        }
        told.changed.sort_unstable();
        assert_eq!(
            (told.changed, told.removed),
            (owned(changed), owned(removed))
        );
    }

    fn expect_changed(&self, path: &Path) {
        self.expect(&[path], &[]);
    }

    fn expect_removed(&self, path: &Path) {
        self.expect(&[], &[path]);
    }

    /// Checks that a file which comes and goes afterwards is the next that is told.
    fn expect_nothing_more(&self) {
        let sentinel = self.plugin("sentinel");
        self.put(&sentinel, "");
        self.expect_changed(&sentinel);
        fs::remove_file(&sentinel).expect("removed");
        self.expect_removed(&sentinel);
    }

    fn expect_changed_once(&self, path: &Path) {
        self.expect_changed(path);
        self.expect_nothing_more();
    }

    fn expect_removed_once(&self, path: &Path) {
        self.expect_removed(path);
        self.expect_nothing_more();
    }

    /// Waits until the watcher has looked at some file again.
    fn await_look(&self, since: Effort) {
        let deadline = Instant::now() + PATIENCE;
        while self.watcher.effort().looks == since.looks {
            assert!(Instant::now() < deadline, "it does not look");
            thread::yield_now();
        }
    }
}

/// Writes over the beginning of a file in one step.
fn overwrite(path: &Path, content: &str) {
    use std::io::Write as _;

    let file = fs::File::options().write(true).open(path);
    let written = file.expect("the file").write_all(content.as_bytes());
    written.expect("written in place");
}

fn owned(paths: &[&Path]) -> Vec<PathBuf> {
    paths.iter().map(|path| path.to_path_buf()).collect()
}

fn with_plugins(root: &Path) {
    fs::create_dir(root.join("plugins")).expect("a directory");
}

/// Archives and `cp -p` bring the times along, and libraries often have the same size.
#[cfg(unix)]
#[test]
fn other_content_with_the_same_size_and_time_is_told() {
    let options = WatchOptions {
        quiet: Duration::from_secs(1),
        ..quick()
    };
    let told = Told::of(options, with_plugins);
    let (path, time) = (told.plugin("a"), std::time::SystemTime::UNIX_EPOCH);
    told.put(&path, "");
    for content in ["one", "two"] {
        overwrite(&path, content);
        let file = fs::File::options().append(true).open(&path);
        file.expect("the file").set_modified(time).expect("times");
        told.expect_changed(&path);
    }
    told.expect_nothing_more();
}

/// All that happens to a file in the directory.
fn check_one_file(told: &Told) {
    let (path, beside) = (told.plugin("a"), told.path("beside"));
    told.put(&path, "one");
    told.expect_changed_once(&path);
    overwrite(&path, "two");
    told.expect_changed_once(&path);
    fs::write(&beside, "six").expect("a file");
    fs::rename(&beside, &path).expect("renamed over");
    told.expect_changed_once(&path);
    fs::rename(&path, told.plugin("b")).expect("renamed");
    told.expect(&[&told.plugin("b")], &[&path]);
    told.expect_nothing_more();
    fs::remove_file(told.plugin("b")).expect("removed");
    told.expect_removed_once(&told.plugin("b"));
}

#[test]
fn each_change_is_told_once() {
    check_one_file(&Told::events());
}

#[test]
fn each_change_is_told_once_while_polling() {
    let options = WatchOptions {
        force_polling: true,
        ..quick()
    };
    let told = Told::of(options, with_plugins);
    let why = "it was asked for".to_owned();
    assert_eq!(told.watcher.mode(), Mode::Polling { why });
    check_one_file(&told);
}

#[test]
fn what_was_there_is_known() {
    let told = Told::of(quick(), |root| {
        with_plugins(root);
        fs::write(root.join("plugins").join(library("a")), "old").expect("a file");
        fs::write(root.join("octa.toml"), "old").expect("a file");
    });
    told.expect_nothing_more();
    fs::remove_file(told.plugin("a")).expect("removed");
    told.expect_removed_once(&told.plugin("a"));
}

#[test]
fn a_single_file_is_told() {
    let told = Told::events();
    let (path, draft) = (told.path("octa.toml"), told.path("octa.toml.draft"));
    for content in ["one", "two"] {
        fs::write(&draft, content).expect("a file");
        fs::rename(&draft, &path).expect("renamed over");
        told.expect_changed_once(&path);
    }
    overwrite(&path, "three");
    told.expect_changed_once(&path);
    fs::remove_file(&path).expect("removed");
    told.expect_removed_once(&path);
    told.put(&path, "back");
    told.expect_changed_once(&path);
}

/// Appends to a file, and waits each time until that was seen.
fn append(told: &Told, path: &Path, times: usize) {
    use std::io::Write as _;

    let mut file = fs::File::options()
        .append(true)
        .open(path)
        .expect("the file");
    for _ in 0..times {
        let since = told.watcher.effort();
        file.write_all(b"a piece").expect("written");
        told.await_look(since);
    }
}

#[test]
fn a_slow_copy_is_told_when_it_is_through() {
    let options = WatchOptions {
        quiet: Duration::from_secs(2),
        ..quick()
    };
    let told = Told::of(options, with_plugins);
    let path = told.plugin("a");
    told.put(&path, "");
    append(&told, &path, 50);
    told.expect_changed_once(&path);
}

#[test]
fn a_file_that_never_settles_holds_nobody_up() {
    let options = WatchOptions {
        quiet: Duration::from_secs(2),
        ..quick()
    };
    let told = Told::of(options, with_plugins);
    let (restless, other) = (told.plugin("restless"), told.plugin("other"));
    fs::write(&restless, "").expect("a file");
    fs::write(&other, "").expect("a file");
    let deadline = Instant::now() + PATIENCE;
    let change = loop {
        assert!(Instant::now() < deadline, "nothing is told");
        append(&told, &restless, 1);
        if let Ok(change) = told.changes.try_recv() {
            break change;
        }
    };
    assert_eq!((change.changed, change.removed), (vec![other], vec![]));
    told.expect_changed_once(&restless);
}

#[test]
fn unrelated_files_cost_nothing() {
    let told = Told::events();
    let beside = told.path("beside");
    fs::write(&beside, "a plugin").expect("a file");
    told.expect_nothing_more();
    let before = told.watcher.effort();
    for number in 0..2000 {
        let path = told.path("plugins").join(format!("{number}.o"));
        told.put(&path, "unrelated");
        if number % 2 == 0 {
            fs::rename(&path, path.with_extension("d")).expect("renamed");
        } else {
            fs::remove_file(&path).expect("removed");
        }
    }
    fs::rename(&beside, told.plugin("a")).expect("renamed");
    told.expect_changed(&told.plugin("a"));
    // Nor does a plugin that is only read.
    for _ in 0..1000 {
        fs::read(told.plugin("a")).expect("a file");
        fs::read(told.path("plugins").join("0.d")).expect("a file");
    }
    fs::rename(told.plugin("a"), &beside).expect("renamed");
    told.expect_removed(&told.plugin("a"));
    let after = told.watcher.effort();
    assert_eq!(after.listings, before.listings);
    let looks = after.looks - before.looks;
    assert!(looks <= 8, "{looks} looks for two changes");
}

#[test]
fn names_that_discovery_leaves_out_are_not_told() {
    let told = Told::events();
    for name in [".hidden", "~a", "a~", "a.tmp", "a.part"] {
        fs::write(told.plugin(name), "").expect("a file");
    }
    fs::create_dir(told.plugin("folder")).expect("a directory");
    fs::write(told.plugin("folder").join("inside"), "").expect("a file");
    told.expect_nothing_more();
}

#[test]
fn a_directory_may_go_and_come_again() {
    let told = Told::of(quick(), |_| {});
    let plugins = told.path("plugins");
    fs::create_dir(&plugins).expect("made");
    told.put(&told.plugin("a"), "");
    told.expect_changed_once(&told.plugin("a"));
    for _ in 0..3 {
        fs::remove_dir_all(&plugins).expect("removed");
        told.expect_removed(&told.plugin("a"));
        fs::create_dir(&plugins).expect("made again");
        told.expect_nothing_more();
        told.put(&told.plugin("a"), "");
        told.expect_changed_once(&told.plugin("a"));
    }
    fs::rename(&plugins, told.path("old")).expect("renamed");
    told.expect_removed(&told.plugin("a"));
    fs::write(told.path("old").join(library("b")), "").expect("a file");
    fs::rename(told.path("old"), &plugins).expect("renamed back");
    told.expect(&[&told.plugin("a"), &told.plugin("b")], &[]);
    told.expect_nothing_more();
}

/// A build removes a file and writes it again, or links it.
#[test]
fn a_file_may_be_missing_for_a_while() {
    let told = Told::of(patient(), with_plugins);
    let (path, built) = (told.plugin("a"), told.path("built"));
    told.put(&path, "one");
    told.expect_changed(&path);
    fs::remove_file(&path).expect("removed");
    told.put(&path, "two");
    told.expect_changed(&path);
    fs::write(&built, "six").expect("a file");
    fs::remove_file(&path).expect("removed");
    fs::hard_link(&built, &path).expect("a hard link");
    told.expect_changed_once(&path);
}

/// The system's word that a directory is gone may come when it is there again.
#[test]
fn a_directory_may_come_and_go_quickly() {
    let told = Told::of(patient(), with_plugins);
    let plugins = told.path("plugins");
    for round in 0..100 {
        for _ in 0..round % 4 {
            fs::remove_dir_all(&plugins).expect("removed");
            fs::create_dir(&plugins).expect("made again");
        }
        told.put(&told.plugin("a"), &format!("{round}"));
        told.expect_changed(&told.plugin("a"));
    }
    told.expect_nothing_more();
}

#[test]
fn nothing_is_looked_at_while_nothing_happens() {
    let told = Told::events();
    let hints = Arc::new(Hints::default());
    let plugins = told.path("plugins");
    let mut worker = Worker::new(Some(&plugins), &[], quick(), Arc::clone(&hints), drop);
    worker.begin(Ok(events::system(&hints).expect("events")));
    assert_eq!(worker.deadline(), None);
}

#[test]
fn it_may_be_dropped_at_any_time() {
    use std::sync::mpsc::RecvTimeoutError;

    let Told {
        root,
        watcher,
        changes,
    } = Told::events();
    drop(watcher);
    let ended = changes.recv_timeout(PATIENCE);
    assert_eq!(ended, Err(RecvTimeoutError::Disconnected));
    // Also by its own thread, in the middle of a call.
    let (sender, own) = channel();
    let (done, is_done) = channel();
    let path = root.path().join("octa.toml");
    let watcher = Watcher::new(None, std::slice::from_ref(&path), quick(), move |_| {
        drop(own.recv_timeout(PATIENCE).expect("the watcher"));
        done.send(()).expect("a listener");
    });
    sender.send(watcher.expect("a thread")).expect("a receiver");
    fs::write(&path, "").expect("a file");
    is_done.recv_timeout(PATIENCE).expect("dropped");
    fs::write(&path, "again").expect("a file");
    let ended = is_done.recv_timeout(PATIENCE);
    assert_eq!(ended, Err(RecvTimeoutError::Disconnected));
}
