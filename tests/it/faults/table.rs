//! The table of `docs/containment.md`: a row for each fault, with what is seen of it in each place.

use std::{fs, path::PathBuf, sync::Mutex};

use crate::fixtures;

/// The variable that, if set, has what is seen written into the document.
const BLESS: &str = "OCTA_BLESS";

/// How the table begins.
const HEAD: [&str; 2] = [
    "| fault | in the kernel's process | in a process of its own |",
    "|---|---|---|",
];

/// Where the fault was committed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Inside = 0,
    Outside = 1,
}

/// A row of the table: its cells after the name.
type Rows = Vec<(String, [String; 2])>;

/// Compares what was seen with what is written, or writes it.
#[track_caller]
pub(super) fn check(column: Column, cells: &[(&str, String)]) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    let path = document();
    let text = fs::read_to_string(&path).expect("the document is there");
    let mut rows = rows(&text);
    if fixtures::variable(BLESS).is_some() {
        set(&mut rows, column, cells);
        fs::write(&path, with(&text, &rows)).expect("the document is writable");
    }
    let written = |name: &str| rows.iter().find(|(row, _)| row == name);
    for (name, seen) in cells {
        let cell = written(name).map(|(_, cells)| cells[column as usize].as_str());
        assert_eq!(cell, Some(seen.as_str()), "{name}, {column:?}");
    }
}

fn document() -> PathBuf {
    fixtures::checkout().join("docs/containment.md")
}

/// The rows of the table in a text.
fn rows(text: &str) -> Rows {
    let lines = text.lines().skip_while(|&line| line != HEAD[0]).skip(2);
    lines
        .map_while(|line| {
            let mut cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
            let mut next = || cells.next().unwrap_or_default().to_owned();
            Some((next(), [next(), next()]))
        })
        .collect()
}

fn set(rows: &mut Rows, column: Column, cells: &[(&str, String)]) {
    for (name, seen) in cells {
        let row = match rows.iter().position(|(row, _)| row == name) {
            Some(row) => row,
            None => {
                rows.push(((*name).to_owned(), Default::default()));
                rows.len() - 1
            }
        };
        rows[row].1[column as usize].clone_from(seen);
    }
}

/// The text with another table.
fn with(text: &str, rows: &Rows) -> String {
    let (before, after) = text
        .split_once(HEAD[0])
        .expect("the document has the table");
    let after = after
        .lines()
        .skip_while(|line| line.is_empty() || line.starts_with('|'));
    let table = rows
        .iter()
        .map(|(name, [inside, outside])| format!("| {name} | {inside} | {outside} |"));
    let table: Vec<_> = HEAD.into_iter().map(str::to_owned).chain(table).collect();
    let after: String = after.map(|line| format!("{line}\n")).collect();
    let gap = if after.is_empty() { "" } else { "\n" };
    format!("{before}{}\n{gap}{after}", table.join("\n"))
}
