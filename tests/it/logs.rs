//! The logger of the tests: keeps every line, so that scenarios can look for theirs, and every
//! panic of the kernel's own threads.

use std::{
    panic,
    sync::{Mutex, Once, PoisonError},
    thread,
};

use log::{LevelFilter, Log, Metadata, Record};

struct Keeper(Mutex<Vec<String>>);

static KEEPER: Keeper = Keeper(Mutex::new(Vec::new()));

impl Keeper {
    fn keep(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line);
    }
}

impl Log for Keeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{} {}: {}", record.level(), record.target(), record.args());
        self.keep(line);
    }

    fn flush(&self) {}
}

/// How many lines are the end of the log.
const LAST: usize = 20;

/// The mark of a line that tells a panic.
const PANIC: &str = "PANIC";

/// Installs the logger, if it is not yet.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&KEEPER).expect("the only logger");
        log::set_max_level(LevelFilter::Debug);
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let thread = thread::current();
            if thread.name().is_some_and(|name| name.starts_with("octa-")) {
                KEEPER.keep(format!("{PANIC} {info}"));
            }
            usual(info);
        }));
    });
}

/// The lines so far that contain `text`: of all tests, so look for what only one can say.
pub(crate) fn lines_with(text: &str) -> Vec<String> {
    let lines = KEEPER.0.lock().unwrap_or_else(PoisonError::into_inner);
    lines
        .iter()
        .filter(|line| line.contains(text))
        .cloned()
        .collect()
}

/// The last lines, of all tests.
pub(crate) fn end() -> String {
    let lines = KEEPER.0.lock().unwrap_or_else(PoisonError::into_inner);
    lines[lines.len().saturating_sub(LAST)..].join("\n")
}

/// Checks that no thread of a kernel has panicked so far: plugins' panics end in the plugin.
pub(crate) fn check_threads() {
    assert_eq!(lines_with(PANIC), [""; 0]);
}
