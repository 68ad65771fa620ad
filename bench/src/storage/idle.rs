//! What a program with an idle kernel and its database holds of the memory: one that has nothing else, since this
//! one has measured other things before.

use std::{
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::Disk;
use crate::{
    footprint::Footprint,
    report::{Figures, Goal, Report, Subject},
    table::Unit,
};

const RESIDENT: Subject = Subject {
    what: "resident memory of a process with an idle kernel with SQLite, its program included",
    floor: "",
    goal: Goal::Within(8.0 * 1024.0 * 1024.0),
};
const PRIVATE: Subject = Subject {
    what: "resident memory of a process with an idle kernel with SQLite, what it shares with nobody",
    floor: "",
    goal: Goal::Told,
};

pub(super) fn measure(program: &Path, disk: &Disk, report: &mut Report) -> Result<()> {
    if !report.wants(&RESIDENT) && !report.wants(&PRIVATE) {
        return Ok(());
    }
    report.begin(&RESIDENT);
    let mut command = Command::new(program);
    command.arg(disk.directory.path().join("idle"));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = child.stdout.take().context("it has no output")?;
    // It says that it is idle, and ends with its input.
    output.read_exact(&mut [0])?;
    let footprint = Footprint::of(&child.id().to_string());
    drop(child.stdin.take());
    child.wait()?;
    let footprint = footprint?;
    report.enter(RESIDENT, Figures::amount(Unit::Bytes, footprint.resident));
    report.enter(PRIVATE, Figures::amount(Unit::Bytes, footprint.private));
    Ok(())
}
