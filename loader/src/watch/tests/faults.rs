//! When the system cannot or does not tell of changes.

use notify::event::{EventKind, Flag};
use notify::{ErrorKind, Event, RecursiveMode};

use super::*;
use parking_lot::Mutex;

/// What was logged by this crate's tests.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Logger;

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}", record.level(), record.args());
        LOGGED.lock().push(line);
    }

    fn flush(&self) {}
}

/// Checks that a reason was logged as a warning, once.
fn expect_warning(why: &str) {
    let logged = LOGGED.lock();
    let lines: Vec<_> = logged.iter().filter(|line| line.contains(why)).collect();
    let [line] = lines.as_slice() else {
        panic!("{lines:?} are logged");
    };
    assert!(line.starts_with("WARN changes of files are "), "{line}");
}

type Watch = dyn FnMut(&Path) -> notify::Result<()> + Send;

/// Does something where directories would be watched, and tells nothing.
struct Fake {
    watch: Box<Watch>,
}

impl notify::Watcher for Fake {
    fn new<F: notify::EventHandler>(_: F, _: notify::Config) -> notify::Result<Self> {
        Ok(Fake::that(|_| Ok(())))
    }

    fn watch(&mut self, path: &Path, _: RecursiveMode) -> notify::Result<()> {
        (self.watch)(path)
    }

    fn unwatch(&mut self, _: &Path) -> notify::Result<()> {
        Ok(())
    }

    fn kind() -> notify::WatcherKind {
        notify::WatcherKind::NullWatcher
    }
}

impl Fake {
    fn that(watch: impl FnMut(&Path) -> notify::Result<()> + Send + 'static) -> Self {
        Fake {
            watch: Box::new(watch),
        }
    }
}

fn expect_polling(told: &Told, expected: &str) {
    let Mode::Polling { why } = told.watcher.mode() else {
        panic!("it does not poll");
    };
    assert!(why.contains(expected), "{why}");
    told.put(&told.plugin("a"), "");
    told.expect_changed_once(&told.plugin("a"));
}

#[test]
fn it_polls_if_there_are_no_events() {
    let refused = |_: &_| Err(notify::Error::generic("none are left"));
    let told = Told::by(refused, quick(), with_plugins);
    expect_polling(&told, "none are left");
}

#[test]
fn it_polls_if_a_directory_cannot_be_watched() {
    for left in 0..2 {
        let mut left: usize = left;
        let limited = Fake::that(move |path| {
            let limit = notify::Error::new(ErrorKind::MaxFilesWatch).add_path(path.to_owned());
            left = left.checked_sub(1).ok_or(limit)?;
            Ok(())
        });
        let told = Told::by(|_| Ok(Box::new(limited)), quick(), with_plugins);
        expect_polling(&told, "cannot be watched: the system's limit of watches");
    }
}

#[test]
fn it_polls_if_events_end_later() {
    log::set_logger(&Logger).expect("the only logger");
    log::set_max_level(log::LevelFilter::Warn);
    let told = Told::events();
    told.put(&told.plugin("b"), "");
    told.expect_changed_once(&told.plugin("b"));
    for _ in 0..3 {
        let broken = notify::Error::generic("it broke");
        told.watcher.hints.notice(Err(broken));
    }
    told.put(&told.plugin("b"), "new");
    told.expect_changed(&told.plugin("b"));
    expect_polling(&told, "it broke");
    expect_warning("it broke");
}

#[test]
fn what_was_not_heard_is_looked_for() {
    let deaf = Fake::that(|_| Ok(()));
    let told = Told::by(|_| Ok(Box::new(deaf)), quick(), with_plugins);
    fs::write(told.plugin("a"), "").expect("a file");
    fs::write(told.path("octa.toml"), "").expect("a file");
    let gap = Event::new(EventKind::Other).set_flag(Flag::Rescan);
    told.watcher.hints.notice(Ok(gap));
    told.expect(&[&told.path("octa.toml"), &told.plugin("a")], &[]);
}

#[test]
fn what_happens_before_a_watch_begins_is_looked_for() {
    let busy = Fake::that(|path| {
        if path.ends_with("plugins") {
            fs::write(path.join(library("a")), "").expect("a file");
        }
        Ok(())
    });
    let told = Told::by(|_| Ok(Box::new(busy)), quick(), with_plugins);
    told.expect_changed(&told.plugin("a"));
}

/// Stops the system's thread until its queue has overflowed.
#[cfg(target_os = "linux")]
#[test]
fn an_overflow_loses_nothing() {
    let told = Told::events();
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events");
    let limit: usize = limit.expect("a limit").trim().parse().expect("a number");
    told.watcher.hints.while_stopped(|| {
        // Each is made, opened, closed and removed.
        for number in 0..limit / 4 + 100 {
            let path = told.path("plugins").join(format!("{number}.o"));
            fs::write(&path, "").expect("a file");
            fs::remove_file(&path).expect("removed");
        }
        fs::write(told.plugin("a"), "").expect("a file");
        fs::remove_dir_all(told.path("plugins")).expect("removed");
        fs::create_dir(told.path("plugins")).expect("made again");
        fs::write(told.plugin("b"), "").expect("a file");
    });
    told.expect_changed_once(&told.plugin("b"));
}
