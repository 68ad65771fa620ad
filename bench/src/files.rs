//! Inspection of plugin files.

use std::{
    fs,
    hint::black_box,
    path::{Path, PathBuf},
};

use anyhow::Result;
use octa_loader::{FileRules, inspect};
use tempfile::TempDir;

use crate::{
    host::install,
    measure::timed,
    report::{Goal, Report, Subject},
};

const FILES: usize = 1000;

const INSPECT: Subject = Subject {
    what: "inspect 1,000 plugin files, hash included",
    floor: "reading the same files whole and hashing them",
    goal: Goal::AtMost(2.0),
};

pub(crate) fn measure(plugin: &Path, report: &mut Report) -> Result<()> {
    if !report.wants(&INSPECT) {
        return Ok(());
    }
    let directory = TempDir::with_prefix("octa-bench-")?;
    let mut files = Vec::new();
    for number in 0..FILES {
        let path = directory.path().join(format!("lib{number}.so"));
        install(plugin, &path)?;
        inspect(&path, FileRules::default())?;
        files.push(path);
    }
    let read = |path: &PathBuf| {
        let bytes = fs::read(path).expect("it was written before");
        black_box(blake3::hash(&bytes));
    };
    let look = |path: &PathBuf| {
        let seen = inspect(path, FileRules::default());
        drop(black_box(seen.expect("it was good before")));
    };
    report.row(
        INSPECT,
        report.pace().in_turns_longer(20),
        &mut |count| timed(count, || files.iter().for_each(read)),
        &mut |count| timed(count, || files.iter().for_each(look)),
    );
    Ok(())
}
