//! Makes `log::info!` work in a plugin: its `log` is its own copy, so it needs a logger of
//! its own, which forwards to the kernel.

use std::sync::{PoisonError, RwLock};

use log::{LevelFilter, Log, Metadata, Record};
use octa_plugin_abi::{self as abi, RSlice};

use crate::host::HostHandle;

/// Where the lines go: to the host of an instance of this library.
static HOST: RwLock<Option<HostHandle>> = RwLock::new(None);

struct Forwarder;

/// Installs the logger, unless another instance of this library has.
pub(crate) fn install(host: &HostHandle, level: u32) {
    let mut current = HOST.write().unwrap_or_else(PoisonError::into_inner);
    current.get_or_insert_with(|| host.clone());
    drop(current);
    // The second time it is installed already.
    if log::set_logger(&Forwarder).is_ok() {
        log::set_max_level(level_filter(level));
    }
}

/// Lets go of the host, if the lines go there: else it would be held for ever.
pub(crate) fn remove(host: &HostHandle) {
    let mut current = HOST.write().unwrap_or_else(PoisonError::into_inner);
    let removed = current.take_if(|current| current.is_same(host));
    drop(current);
    drop(removed);
}

fn level_filter(level: u32) -> LevelFilter {
    LevelFilter::iter()
        .nth(level as usize)
        .unwrap_or(LevelFilter::Trace)
}

impl Log for Forwarder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Cloned, so that the lock is not held while the host writes.
        let host = HOST.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(host) = host else { return };
        let formatted;
        let message = match record.args().as_str() {
            Some(text) => text,
            None => {
                formatted = record.args().to_string();
                &formatted
            }
        };
        host.log(&abi::LogRecord {
            level: record.level() as u32,
            line: record.line().unwrap_or(0),
            target: record.target().into(),
            message: message.into(),
            file: record.file().unwrap_or("").into(),
            headers: RSlice::EMPTY,
        });
    }

    fn flush(&self) {}
}
