//! How what things cost grows with how many there are of something: measured without floors, for
//! plots in the documentation.

mod events;
mod services;
mod storage;

use std::{
    fs,
    io::Write,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use octa_bench_plot::{Axis, Line, Panel, Plot};

use crate::{
    measure::Pace,
    table::{self, Amount, Unit},
};

/// From 10 ns to 1 ms.
const TIMES: RangeInclusive<u8> = 1..=6;
/// The same of storage: from 100 ns to 10 ms.
const STORAGE_TIMES: RangeInclusive<u8> = 2..=7;

/// What is measured, and where it is drawn.
#[derive(Debug, Args)]
pub(crate) struct Growths {
    /// The compiled plugin of the benchmark.
    #[arg(long)]
    plugin: PathBuf,
    /// Draws how calls grow into this file.
    #[arg(long, value_name = "FILE")]
    services: PathBuf,
    /// Draws how events grow into this file.
    #[arg(long, value_name = "FILE")]
    events: PathBuf,
    /// Draws how storage grows into this file.
    #[arg(long, value_name = "FILE")]
    storage: PathBuf,
    /// Lets storage grow further, which takes minutes.
    #[arg(long)]
    long: bool,
    /// Draws only the file whose name contains this.
    only: Option<String>,
}

/// How something grows with a count.
struct Growth {
    title: &'static str,
    /// What is counted.
    across: &'static str,
    lines: Vec<&'static str>,
    /// Each count, and what each of the lines is there, in nanoseconds.
    points: Vec<(usize, Vec<f64>)>,
}

pub(crate) fn draw(what: &Growths, pace: Pace, out: &mut impl Write) -> Result<()> {
    let pace = pace.in_fewer_turns(5);
    let (plugin, times) = (&what.plugin, TIMES);
    let mut plot = |title: &str, times, path: &Path, measure: &mut dyn FnMut() -> Result<_>| {
        let name = path.to_string_lossy();
        if what.only.as_ref().is_some_and(|only| !name.contains(only)) {
            return Ok(());
        }
        let growths: Vec<Growth> = measure()?;
        growths.iter().try_for_each(|growth| growth.print(out))?;
        write(title, times, &growths, path)
    };
    let title = "What a call costs, and how that grows";
    plot(title, times.clone(), &what.services, &mut || {
        services::measure(plugin, pace)
    })?;
    let title = "What an event costs, and how that grows";
    plot(title, times, &what.events, &mut || {
        events::measure(plugin, pace)
    })?;
    let title = "What storage costs, and how that grows";
    plot(title, STORAGE_TIMES, &what.storage, &mut || {
        storage::measure(what.long, pace)
    })
}

fn write(title: &str, times: RangeInclusive<u8>, growths: &[Growth], path: &Path) -> Result<()> {
    let plot = Plot {
        title: title.to_owned(),
        up: Axis::of_times(times),
        panels: growths.iter().map(Growth::panel).collect(),
    };
    fs::write(path, plot.draw()).with_context(|| format!("cannot write `{}`", path.display()))
}

impl Growth {
    /// Measures each count.
    fn of(
        title: &'static str,
        across: &'static str,
        lines: &[&'static str],
        counts: &[usize],
        mut measure: impl FnMut(usize) -> Result<Vec<f64>>,
    ) -> Result<Self> {
        let mut point = |count: &usize| {
            eprintln!("measuring: {title}, {across}: {count}");
            Ok((*count, measure(*count)?))
        };
        Ok(Self {
            title,
            across,
            lines: lines.to_vec(),
            points: counts.iter().map(&mut point).collect::<Result<_>>()?,
        })
    }

    fn panel(&self) -> Panel {
        let place = |count: usize| (count as f64).log10();
        let ticks = self
            .points
            .iter()
            .map(|(count, _)| (place(*count), short(*count)));
        let line = |(number, name): (usize, &&str)| Line {
            name: (*name).to_owned(),
            points: self
                .points
                .iter()
                .map(|(count, nanos)| (place(*count), nanos[number].log10()))
                .collect(),
            is_dotted: true,
        };
        Panel {
            title: self.title.to_owned(),
            across: Axis {
                title: self.across.to_owned(),
                ticks: ticks.collect(),
            },
            lines: self.lines.iter().enumerate().map(line).collect(),
        }
    }

    fn print(&self, out: &mut impl Write) -> Result<()> {
        let titles = [self.across].into_iter().chain(self.lines.iter().copied());
        let mut lines = vec![titles.map(str::to_owned).collect::<Vec<_>>()];
        for (count, nanos) in &self.points {
            let nanos = nanos
                .iter()
                .map(|it| Amount(*it, Unit::Nanoseconds).to_string());
            lines.push([grouped(*count)].into_iter().chain(nanos).collect());
        }
        writeln!(out, "{}", self.title)?;
        table::print(out, &lines, false)?;
        Ok(writeln!(out)?)
    }
}

/// A round count, in the little room of an axis.
fn short(count: usize) -> String {
    match count {
        1_000_000.. if count.is_multiple_of(1_000_000) => format!("{}M", count / 1_000_000),
        1_000.. if count.is_multiple_of(1_000) => format!("{}k", count / 1_000),
        _ => count.to_string(),
    }
}

/// A count, as it is read by people.
fn grouped(count: usize) -> String {
    match count {
        0..1_000 => count.to_string(),
        _ => format!("{},{:03}", grouped(count / 1_000), count % 1_000),
    }
}
