//! The log: warnings are shown, and errors are kept, since none should be there.

use std::sync::{Arc, Mutex};

use anyhow::Result;
use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::load::locked;

/// The errors that were logged.
pub(crate) type Complaints = Arc<Mutex<Vec<String>>>;

struct Logger(Complaints);

/// Begins to listen.
pub(crate) fn listen() -> Result<Complaints> {
    let complaints = Complaints::default();
    log::set_boxed_logger(Box::new(Logger(complaints.clone())))?;
    log::set_max_level(LevelFilter::Warn);
    Ok(complaints)
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        eprintln!("{}: {}", record.level(), record.args());
        if record.level() == Level::Error {
            locked(&self.0).push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}
