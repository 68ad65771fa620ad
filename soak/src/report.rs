//! The tables that a soak prints.

use std::time::Duration;

use crate::{
    checks::{Check, grouped},
    latency::Latency,
    plugins::PLUGINS,
    word::Reloads,
};

/// What was expected and what was found.
pub(crate) fn checks(checks: &[Check], markdown: bool) -> String {
    let mut rows = vec![row(["check", "expected", "found", ""])];
    for check in checks {
        let verdict = if check.passed { "ok" } else { "FAILED" };
        rows.push(row([check.what, &check.expected, &check.found, verdict]));
    }
    let mut text = table(&rows, markdown);
    for check in checks {
        for amiss in &check.amiss {
            text += &format!("{}: {amiss}\n", check.what);
        }
    }
    text
}

/// How long the reloads took.
pub(crate) fn reloads(reloads: &[Reloads], markdown: bool) -> String {
    let mut rows = vec![row([
        "plugin",
        "reloads",
        "until the switch: median",
        "99 %",
        "callers wait: median",
        "99 %",
        "longest",
    ])];
    for (plugin, reloads) in PLUGINS.iter().zip(reloads) {
        let (took, paused) = (&reloads.took, &reloads.paused);
        rows.push(row([
            plugin,
            &grouped(took.count()),
            &time(took.at(0.5)),
            &time(took.at(0.99)),
            &time(paused.at(0.5)),
            &time(paused.at(0.99)),
            &time(paused.longest()),
        ]));
    }
    table(&rows, markdown)
}

/// How long calls took.
pub(crate) fn latencies(latency: &Latency, markdown: bool) -> String {
    let mut rows = vec![row([
        "plugin", "calls", "number", "median", "99 %", "99.9 %", "longest",
    ])];
    for (plugin, of) in PLUGINS.iter().zip(latency) {
        for (when, times) in [("quiet", &of.quiet), ("around a switch", &of.around)] {
            rows.push(row([
                plugin,
                when,
                &grouped(times.count()),
                &time(times.at(0.5)),
                &time(times.at(0.99)),
                &time(times.at(0.999)),
                &time(times.longest()),
            ]));
        }
    }
    table(&rows, markdown)
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

/// A table of rows, of which the first is the head.
fn table(rows: &[Vec<String>], markdown: bool) -> String {
    let mut text = String::new();
    if markdown {
        for (number, row) in rows.iter().enumerate() {
            text += &format!("| {} |\n", row.join(" | "));
            if number == 0 {
                text += &format!("|{}\n", "---|".repeat(row.len()));
            }
        }
        return text;
    }
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|it| width(it).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// A time, in the unit that fits.
fn time(time: Duration) -> String {
    match time.as_nanos() as f64 {
        0.0 => "0".to_owned(),
        nanos if nanos < 1e6 => format!("{:.1} µs", nanos / 1e3),
        nanos if nanos < 1e9 => format!("{:.1} ms", nanos / 1e6),
        nanos => format!("{:.1} s", nanos / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [row(["a", "long head"]), row(["longer", "b"])];
        assert_eq!(table(&rows, false), "a       long head\nlonger  b\n");
        assert_eq!(
            table(&rows, true),
            "| a | long head |\n|---|---|\n| longer | b |\n"
        );
    }

    #[test]
    fn times_have_the_unit_that_fits() {
        let found = [0, 1_500, 2_000_000, 3_000_000_000].map(|it| time(Duration::from_nanos(it)));
        assert_eq!(found, ["0", "1.5 µs", "2.0 ms", "3.0 s"]);
    }
}
