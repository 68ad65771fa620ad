//! The rows that were measured, and the tables they are shown in.

use std::{
    fmt,
    io::{self, Write},
    thread::available_parallelism,
};

use crate::measure::{Contender, Pace, Pair};

/// What is meant to be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Ours takes at most so many times the floor.
    AtMost(f64),
    /// Ours does at least so many times as much as the floor in the same time.
    AtLeast(f64),
}

/// Collects rows.
#[derive(Debug)]
pub(crate) struct Report {
    pace: Pace,
    only: Option<String>,
    machine: String,
    /// How many rows were measured while other programs ran.
    disturbed: usize,
    rows: Vec<Row>,
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    /// What ours does.
    pub(crate) what: &'static str,
    /// What stands beside it.
    pub(crate) floor: &'static str,
    /// What is meant to be reached.
    pub(crate) goal: Goal,
}

#[derive(Debug)]
struct Row {
    subject: Subject,
    pair: Pair,
}

/// A time, in the unit that fits.
struct Time(f64);

impl Report {
    /// Rows whose name contains `only`, of code that `compiler` made.
    pub(crate) fn new(pace: Pace, only: Option<String>, compiler: &str) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            pace,
            only,
            machine: format!("{cores} × {}; {compiler}", processor()),
            disturbed: 0,
            rows: Vec::new(),
        }
    }

    pub(crate) fn pace(&self) -> Pace {
        self.pace
    }

    /// Whether this one is asked for; setting it up may cost something.
    pub(crate) fn wants(&self, subject: &Subject) -> bool {
        let only = self.only.as_deref();
        only.is_none_or(|only| subject.what.contains(only))
    }

    /// Measures a row, if it is asked for.
    pub(crate) fn row(
        &mut self,
        subject: Subject,
        pace: Pace,
        floor: Contender<'_>,
        ours: Contender<'_>,
    ) {
        if self.wants(&subject) {
            // Asked before the line below wakes whoever shows it.
            self.disturbed += usize::from(others_run());
            eprintln!("measuring: {}", subject.what);
            let pair = pace.side_by_side(floor, ours);
            self.rows.push(Row { subject, pair });
        }
    }

    /// Prints what was measured.
    pub(crate) fn print(&self, out: &mut dyn Write, markdown: bool) -> io::Result<()> {
        let title = [
            "what",
            "floor beside it",
            "floor",
            "ours",
            "ratio",
            "reach",
            "met",
        ];
        let mut lines = vec![title.map(str::to_owned)];
        lines.extend(self.rows.iter().map(Row::cells));
        if markdown {
            lines.insert(1, ["---"; 7].map(str::to_owned));
        }
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
        let widths = [0, 1, 2, 3, 4, 5, 6].map(|column| width(column).unwrap_or(0));
        for line in &lines {
            let cells = line.iter().zip(widths);
            let cells: Vec<_> = cells
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            if markdown {
                writeln!(out, "| {} |", cells.join(" | "))?;
            } else {
                writeln!(out, "{}", cells.join("  ").trim_end())?;
            }
        }
        let machine = &self.machine;
        writeln!(
            out,
            "\nMedians, and in brackets the quartiles of the ratio. {machine}."
        )?;
        match self.disturbed {
            0 => Ok(()),
            rows => writeln!(out, "Other programs ran during {rows} of the rows."),
        }
    }
}

impl Row {
    fn cells(&self) -> [String; 7] {
        let Pair { floor, ours, ratio } = self.pair;
        let (ratio, reach, met) = match self.subject.goal {
            Goal::AtMost(most) => (ratio, format!("≤ {most:.1}×"), ratio[1] <= most),
            Goal::AtLeast(least) => {
                let [low, median, high] = ratio.map(|ratio| 1.0 / ratio);
                (
                    [high, median, low],
                    format!("≥ {least:.1}×"),
                    median >= least,
                )
            }
        };
        let [low, median, high] = ratio;
        [
            self.subject.what.to_owned(),
            self.subject.floor.to_owned(),
            Time(floor).to_string(),
            Time(ours).to_string(),
            format!("{median:.2}× ({low:.2}–{high:.2})"),
            reach,
            if met { "yes" } else { "no" }.to_owned(),
        ]
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            nanos if nanos < 1e3 => write!(f, "{nanos:.1} ns"),
            nanos if nanos < 1e6 => write!(f, "{:.2} µs", nanos / 1e3),
            nanos => write!(f, "{:.2} ms", nanos / 1e6),
        }
    }
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
fn others_run() -> bool {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = told
        .split(' ')
        .nth(3)
        .and_then(|tasks| tasks.split_once('/'));
    running.is_some_and(|(running, _)| running.parse().is_ok_and(|running: u32| running > 1))
}
