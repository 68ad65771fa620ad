//! What was seen, by database and moment: the table at the end.

use std::collections::BTreeMap;

use crate::damage::{Damage, Damages, Kind};
use crate::moment::Moment;

/// What was seen in some lives.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Processes that were killed.
    pub(crate) kills: u64,
    pub(crate) acknowledged: u64,
    /// Writes whose outcome was an error.
    pub(crate) unsure: u64,
    pub(crate) facts: u64,
    pub(crate) events: u64,
    /// Standbys and backups that were compared.
    pub(crate) copies: u64,
    pub(crate) damages: Damages,
}

/// What was seen in all.
#[derive(Debug, Default)]
pub(crate) struct Report(BTreeMap<(&'static str, Option<Moment>), Seen>);

const TITLES: [&str; 12] = [
    "storage",
    "killed",
    "kills",
    "acknowledged",
    "unsure",
    "facts",
    "events",
    "copies",
    "lost",
    "doubled",
    "halves",
    "other",
];

impl Report {
    /// Adds what was seen in a life on a database that ended at a moment, or well.
    pub(crate) fn add(&mut self, storage: &'static str, moment: Option<Moment>, seen: &Seen) {
        let row = self.0.entry((storage, moment)).or_default();
        row.add(seen);
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.0.values().all(|seen| seen.damages.is_empty())
    }

    /// The lines of the table.
    pub(crate) fn table(&self) -> String {
        let mut rows = vec![TITLES.map(str::to_owned)];
        let mut sum = Seen::default();
        for ((storage, moment), seen) in &self.0 {
            let moment = moment.map_or("not: ended well".to_owned(), |it| it.to_string());
            rows.push(seen.row(storage, &moment));
            sum.add(seen);
        }
        rows.push(sum.row("all", ""));
        let widths: Vec<_> = (0..TITLES.len())
            .map(|column| rows.iter().map(|row| row[column].chars().count()).max())
            .map(|width| width.unwrap_or(0))
            .collect();
        let line = |row: &[String; 12]| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(column, (cell, width))| match column {
                0 | 1 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ")
        };
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Seen {
    pub(crate) fn damaged(&mut self, damages: &[Damage]) {
        damages.iter().for_each(|damage| self.damages.add(damage));
    }

    fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.acknowledged += other.acknowledged;
        self.unsure += other.unsure;
        self.facts += other.facts;
        self.events += other.events;
        self.copies += other.copies;
        self.damages.add_all(&other.damages);
    }

    fn row(&self, storage: &str, moment: &str) -> [String; 12] {
        use Kind::{
            Backward, Copy, Doubled, Early, Half, Lost, Other, Silent, Skipped, Unintended,
        };
        let lost = self.damages.of(&[Lost, Silent, Skipped]);
        let other = [Unintended, Early, Backward, Copy, Other];
        let numbers = [
            self.kills,
            self.acknowledged,
            self.unsure,
            self.facts,
            self.events,
            self.copies,
            lost,
            self.damages.of(&[Doubled]),
            self.damages.of(&[Half]),
            self.damages.of(&other),
        ];
        let mut numbers = numbers.iter();
        std::array::from_fn(|column| match column {
            0 => storage.to_owned(),
            1 => moment.to_owned(),
            _ => numbers.next().map(u64::to_string).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_moment_and_their_sum() {
        let mut report = Report::default();
        let mut seen = Seen {
            kills: 1,
            acknowledged: 1_200,
            events: 90,
            facts: 91,
            ..Seen::default()
        };
        report.add("sqlite", Some(Moment::Load), &seen);
        report.add("sqlite", None, &Seen::default());
        assert!(report.is_clean());
        seen.damaged(&[Damage::new(Kind::Half, "half a batch")]);
        report.add("sqlite", Some(Moment::Load), &seen);
        assert!(!report.is_clean());
        let expect = "\
storage  killed           kills  acknowledged  unsure  facts  events  copies  lost  doubled  halves  other
sqlite   not: ended well      0             0       0      0       0       0     0        0       0      0
sqlite   under load           2          2400       0    182     180       0     0        0       1      0
all                           2          2400       0    182     180       0     0        0       1      0";
        assert_eq!(report.table(), expect);
    }
}
