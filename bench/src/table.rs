//! Tables, for a terminal or a Markdown document, and the amounts in them.

use std::{
    fmt,
    io::{self, Write},
    thread::available_parallelism,
};

/// What an amount counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Unit {
    Nanoseconds,
    Bytes,
    Pieces,
}

/// An amount, shown in the size that fits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amount(pub(crate) f64, pub(crate) Unit);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self(nanos, Unit::Nanoseconds) if nanos < 1e3 => write!(f, "{nanos:.1} ns"),
            Self(nanos, Unit::Nanoseconds) if nanos < 1e6 => write!(f, "{:.2} µs", nanos / 1e3),
            Self(nanos, Unit::Nanoseconds) => write!(f, "{:.2} ms", nanos / 1e6),
            Self(bytes, Unit::Bytes) if bytes.abs() < f64::from(1 << 20) => {
                write!(f, "{:.1} KiB", bytes / 1024.0)
            }
            Self(bytes, Unit::Bytes) => write!(f, "{:.2} MiB", bytes / f64::from(1 << 20)),
            Self(pieces, Unit::Pieces) => write!(f, "{pieces}"),
        }
    }
}

/// Prints lines of equally many cells, the first with the titles.
pub(crate) fn print(
    out: &mut dyn Write,
    lines: &[Vec<String>],
    is_markdown: bool,
) -> io::Result<()> {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|it| width(it).unwrap_or(0)).collect();
    for (index, line) in lines.iter().enumerate() {
        let cells = line.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        match is_markdown {
            true => writeln!(out, "| {} |", cells.join(" | "))?,
            false => writeln!(out, "{}", cells.join("  ").trim_end())?,
        }
        if is_markdown && index == 0 {
            let rules: Vec<_> = widths.iter().map(|width| "-".repeat(*width)).collect();
            writeln!(out, "| {} |", rules.join(" | "))?;
        }
    }
    Ok(())
}

/// The machine, and the compiler that made what ran on it.
pub(crate) fn machine(compiler: &str) -> String {
    let cores = available_parallelism().map_or(1, usize::from);
    format!("{cores} × {}; {compiler}", processor())
}

/// What the processor calls itself, where the system tells.
fn processor() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = told
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or(std::env::consts::ARCH, |(_, name)| name)
        .to_owned()
}

/// Whether something else than this thread runs at this moment, where the system tells.
pub(crate) fn others_run() -> bool {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = told
        .split(' ')
        .nth(3)
        .and_then(|tasks| tasks.split_once('/'));
    running.is_some_and(|(running, _)| running.parse().is_ok_and(|running: u32| running > 1))
}
