//! Makes `log::info!` work in a plugin: its `log` is its own copy, so it needs a logger of
//! its own, which forwards to the kernel.

use std::sync::OnceLock;

use log::{LevelFilter, Log, Metadata, Record};
use octa_plugin_abi as abi;

use crate::host::HostHandle;

static HOST: OnceLock<HostHandle> = OnceLock::new();

struct Forwarder;

/// Installs the logger; the first instance of a library names where its lines go.
pub(crate) fn install(host: &HostHandle, level: u32) {
    if HOST.set(host.clone()).is_ok() && log::set_logger(&Forwarder).is_ok() {
        log::set_max_level(level_filter(level));
    }
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
        let (Some(host), true) = (HOST.get(), self.enabled(record.metadata())) else {
            return;
        };
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
        });
    }

    fn flush(&self) {}
}
