//! The rows that were measured, and the tables they are shown in.

use std::{
    io::{self, Write},
    time::Duration,
};

use crate::{
    measure::{Contender, Pace, Pair},
    table::{self, Amount, Unit, others_run},
};

/// What is meant to be reached.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// Ours takes at most so many times the floor.
    AtMost(f64),
    /// Ours does at least so many times as much as the floor in the same time.
    AtLeast(f64),
    /// Ours is at most this much, whatever stands beside it.
    Within(f64),
    /// It is to be known, and no more.
    Told,
}

/// What a row shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    unit: Unit,
    floor: Option<f64>,
    ours: f64,
    ratio: Option<[f64; 3]>,
}

/// Collects rows.
#[derive(Debug)]
pub(crate) struct Report {
    pace: Pace,
    only: Option<String>,
    /// What stands beside ours.
    beside: &'static str,
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
    /// What stands beside it; nothing where the figure is no ratio.
    pub(crate) floor: &'static str,
    /// What is meant to be reached.
    pub(crate) goal: Goal,
}

#[derive(Debug)]
struct Row {
    subject: Subject,
    figures: Figures,
}

impl Figures {
    /// Times of the floor and of ours, round by round.
    pub(crate) fn pairs(rounds: impl Iterator<Item = (Duration, Duration)>) -> Self {
        Pair::of(rounds).into()
    }

    /// Times that nothing stands beside.
    pub(crate) fn alone(times: impl Iterator<Item = Duration>) -> Self {
        let pair = Pair::of(times.map(|time| (time, time)));
        Self::amount(Unit::Nanoseconds, pair.ours)
    }

    /// An amount that nothing stands beside.
    pub(crate) fn amount(unit: Unit, ours: f64) -> Self {
        Self {
            unit,
            floor: None,
            ours,
            ratio: None,
        }
    }

    /// Amounts before and after.
    pub(crate) fn two(unit: Unit, [before, after]: [f64; 2]) -> Self {
        Self {
            unit,
            floor: Some(before),
            ours: after,
            ratio: Some([after / before; 3]),
        }
    }
}

impl From<Pair> for Figures {
    fn from(pair: Pair) -> Self {
        Self {
            unit: Unit::Nanoseconds,
            floor: Some(pair.floor),
            ours: pair.ours,
            ratio: Some(pair.ratio),
        }
    }
}

impl Report {
    /// Rows whose name contains `only`, of code that `compiler` made; `beside` is what stands
    /// beside it in each.
    pub(crate) fn new(
        pace: Pace,
        only: Option<String>,
        beside: &'static str,
        compiler: &str,
    ) -> Self {
        Self {
            pace,
            only,
            beside,
            machine: table::machine(compiler),
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
            self.begin(&subject);
            let pair = pace.side_by_side(floor, ours);
            self.enter(subject, pair.into());
        }
    }

    /// Says what is measured from now on.
    pub(crate) fn begin(&mut self, subject: &Subject) {
        // Asked before the line below wakes whoever shows it.
        self.disturbed += usize::from(others_run());
        eprintln!("measuring: {}", subject.what);
    }

    /// Enters a row that was measured, if it is asked for.
    pub(crate) fn enter(&mut self, subject: Subject, figures: Figures) {
        if self.wants(&subject) {
            self.rows.push(Row { subject, figures });
        }
    }

    /// Prints what was measured.
    pub(crate) fn print(&self, out: &mut dyn Write, markdown: bool) -> io::Result<()> {
        let beside = format!("{} beside it", self.beside);
        let titles = [
            "what",
            &beside,
            self.beside,
            "ours",
            "ratio",
            "reach",
            "met",
        ];
        let (ratios, amounts): (Vec<_>, Vec<_>) = self
            .rows
            .iter()
            .partition(|row| row.figures.ratio.is_some());
        table_of(out, markdown, titles, ratios, Row::cells)?;
        let titles = ["what", "ours", "reach", "met"];
        table_of(out, markdown, titles, amounts, |row| {
            let [what, _, _, ours, _, reach, is_met] = row.cells();
            [what, ours, reach, is_met]
        })?;
        let machine = &self.machine;
        writeln!(
            out,
            "Medians, and in brackets the quartiles of the ratio. {machine}."
        )?;
        match self.disturbed {
            0 => Ok(()),
            rows => writeln!(out, "Other programs ran during {rows} of the rows."),
        }
    }
}

impl Row {
    fn cells(&self) -> [String; 7] {
        let Figures {
            unit,
            floor,
            ours,
            mut ratio,
        } = self.figures;
        let (reach, is_met) = match self.subject.goal {
            Goal::AtMost(most) => (
                format!("≤ {most}×"),
                ratio.map(|[_, median, _]| median <= most),
            ),
            Goal::AtLeast(least) => {
                ratio = ratio.map(|[low, median, high]| [1.0 / high, 1.0 / median, 1.0 / low]);
                (
                    format!("≥ {least}×"),
                    ratio.map(|[_, median, _]| median >= least),
                )
            }
            Goal::Within(most) => (format!("≤ {}", Amount(most, unit)), Some(ours <= most)),
            Goal::Told => (String::new(), None),
        };
        let amount = |amount: f64| Amount(amount, unit).to_string();
        [
            self.subject.what.to_owned(),
            self.subject.floor.to_owned(),
            floor.map(amount).unwrap_or_default(),
            amount(ours),
            ratio.map(shown).unwrap_or_default(),
            reach,
            is_met
                .map_or("", |is_met| if is_met { "yes" } else { "no" })
                .to_owned(),
        ]
    }
}

/// Prints rows, if there are any, and a line after them.
fn table_of<const COLUMNS: usize>(
    out: &mut dyn Write,
    markdown: bool,
    titles: [&str; COLUMNS],
    rows: Vec<&Row>,
    cells: impl Fn(&Row) -> [String; COLUMNS],
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut lines = vec![titles.map(str::to_owned).to_vec()];
    lines.extend(rows.into_iter().map(|row| cells(row).to_vec()));
    table::print(out, &lines, markdown)?;
    writeln!(out)
}

fn shown([low, median, high]: [f64; 3]) -> String {
    if low == high {
        return format!("{median:.3}×");
    }
    format!("{median:.2}× ({low:.2}–{high:.2})")
}
