//! The committed table of instruction counts, and how it differs from what was counted now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// How much more than in the table an operation may take, in percent: more than the counts vary,
/// less than a change that somebody made.
const TOLERANCE: u64 = 3;

/// The first lines of the file.
const HEAD: &str = "\
# The instructions of one operation in the kernel's process, from its beginning to its end.
# Written by `cargo xtask instructions --bless`.
";

/// The instructions of each operation, and what compiled them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) compiler: String,
    pub(super) operations: BTreeMap<String, u64>,
}

/// An operation in both tables, or one of them.
#[derive(Debug)]
pub(super) struct Row<'a> {
    name: &'a str,
    before: Option<u64>,
    now: Option<u64>,
}

impl Table {
    pub(super) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    pub(super) fn text(&self) -> Result<String, toml::ser::Error> {
        Ok(format!("{HEAD}{}", toml::to_string(self)?))
    }

    /// The operations of this table and of one that was made now.
    pub(super) fn beside<'a>(&'a self, now: &'a Self) -> Vec<Row<'a>> {
        let both = [self, now].into_iter().flat_map(|it| it.operations.keys());
        let row = |name: &'a String| Row {
            name,
            before: self.operations.get(name).copied(),
            now: now.operations.get(name).copied(),
        };
        both.collect::<BTreeSet<_>>().into_iter().map(row).collect()
    }
}

impl Row<'_> {
    /// Why this may not stay as it is.
    pub(super) fn problem(&self) -> Option<String> {
        let name = self.name;
        match (self.before, self.now) {
            (Some(before), Some(now)) => is_far_above(now, before).then(|| {
                let more = percent_above(now, before);
                format!("`{name}` got slower by {more:.1} %: {now} instructions, {before} before")
            }),
            (None, _) => Some(format!("`{name}` is not in the table")),
            (_, None) => Some(format!("`{name}` is in the table, but was not counted")),
        }
    }

    /// What is better than the table asks for.
    pub(super) fn gain(&self) -> Option<String> {
        let (before, now) = (self.before?, self.now?);
        is_far_above(before, now).then(|| {
            let less = -percent_above(now, before);
            format!("`{}` got faster by {less:.1} %", self.name)
        })
    }
}

/// Whether a count is above another by more than the tolerance.
fn is_far_above(count: u64, other: u64) -> bool {
    count * 100 > other * (100 + TOLERANCE)
}

fn percent_above(count: u64, other: u64) -> f64 {
    (count as f64 / other as f64 - 1.0) * 100.0
}

/// What a person reads.
pub(super) fn show(rows: &[Row<'_>]) -> String {
    let count = |count: Option<u64>| count.map_or("-".to_owned(), |count| count.to_string());
    let mut text = format!("{:<20}{:>8}{:>8}\n", "instructions", "before", "now");
    for row in rows {
        let change = row.before.zip(row.now);
        let change = change.map(|(before, now)| format!("{:>+8.1} %", percent_above(now, before)));
        let change = change.unwrap_or_default();
        let (before, now) = (count(row.before), count(row.now));
        let _ = writeln!(text, "{:<20}{before:>8}{now:>8}{change}", row.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(operations: &[(&str, u64)]) -> Table {
        let named = |(name, count): &(&str, u64)| ((*name).to_owned(), *count);
        Table {
            compiler: "rustc 1.95.0".to_owned(),
            operations: operations.iter().map(named).collect(),
        }
    }

    fn check(before: &[(&str, u64)], now: &[(&str, u64)], problem: Option<&str>) {
        let (before, now) = (table(before), table(now));
        let problems = before.beside(&now);
        let problems: Vec<_> = problems.iter().filter_map(Row::problem).collect();
        assert_eq!(problems.first().map(String::as_str), problem);
    }

    #[test]
    fn more_than_the_tolerance_is_told_by_name() {
        check(&[("call", 1000)], &[("call", 1030)], None);
        check(&[("call", 1000)], &[("call", 500)], None);
        let slower = "`call` got slower by 3.1 %: 1031 instructions, 1000 before";
        check(&[("call", 1000)], &[("call", 1031)], Some(slower));
    }

    #[test]
    fn the_table_is_of_what_is_counted() {
        check(&[], &[("call", 1)], Some("`call` is not in the table"));
        let gone = "`call` is in the table, but was not counted";
        check(&[("call", 1)], &[], Some(gone));
    }

    #[test]
    fn a_gain_is_told() {
        let (before, now) = (table(&[("call", 1000)]), table(&[("call", 900)]));
        let gains = before.beside(&now);
        let gains: Vec<_> = gains.iter().filter_map(Row::gain).collect();
        assert_eq!(gains, ["`call` got faster by 10.0 %"]);
    }

    #[test]
    fn what_is_written_is_read() {
        let table = table(&[("call", 859), ("publish", 574)]);
        assert_eq!(Table::parse(&table.text().unwrap()).unwrap(), table);
    }

    #[test]
    fn a_person_reads_what_changed() {
        let (before, now) = (table(&[("call", 800)]), table(&[("call", 820), ("new", 7)]));
        let expected = "\
instructions          before     now
call                     800     820    +2.5 %
new                        -       7
";
        assert_eq!(show(&before.beside(&now)), expected);
    }
}
