//! The log: one line each on standard error, told apart by plugin.

use std::io::Write as _;

use env_logger::Builder;
use log::LevelFilter;

use crate::show;
use crate::world::{self, World};

/// What is logged unless `RUST_LOG` says otherwise. What the kernel does is seen in the events.
const USUAL: &str = "info,octa_kernel=warn,octa_loader=warn";
const QUIET: &str = "warn";

/// Installs the log, and answers the most verbose level in it.
pub(crate) fn install(world: &World, quiet: bool) -> LevelFilter {
    let usual = if quiet { QUIET } else { USUAL };
    let filter = world.log_filter().unwrap_or(usual);
    Builder::new()
        .parse_filters(filter)
        .format(|out, record| {
            let level = out.default_level_style(record.level());
            let time = show::clock(world::now_nanos());
            let source = source(record.target());
            // Escapes in a plugin's words must not reach the terminal.
            let message = record.args().to_string();
            let message = show::one_line(&message);
            let name = record.level();
            writeln!(out, "{time} {level}{name:<5}{level:#} {source}: {message}")
        })
        .init();
    log::max_level()
}

/// Who logs: a plugin's target starts with its name, the kernel's with its crate.
fn source(target: &str) -> &str {
    match target.split("::").next().unwrap_or(target) {
        "octa_kernel" | "octa_loader" => "kernel",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_plugins_apart() {
        assert_eq!(source("sysmon::sysmon::cpu"), "sysmon");
        assert_eq!(source("octa_kernel::manager"), "kernel");
        assert_eq!(source("octa"), "octa");
    }
}
