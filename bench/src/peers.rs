//! The kernel and what others make for the same purpose, each in a process of its own: how long
//! after a new library was renamed over the watched one its code answers, and what many reloads
//! leave behind. Each with its own watcher and everything as its users have it by default.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    str::FromStr,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result, bail};
use octa_bench_build::Builds;
use tempfile::TempDir;

use crate::{
    footprint::Footprint,
    measure::quartiles,
    table::{self, Amount, Unit},
};

const RELOADS: u64 = 200;
const RELOADS_QUICK: u64 = 20;
/// How long is waited for new code before it is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program that reloads, and what it reloads: `NAME=PROGRAM=LIBRARY`.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    name: String,
    program: PathBuf,
    library: PathBuf,
}

impl FromStr for Peer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let [name, program, library] = text.split('=').collect::<Vec<_>>()[..] else {
            bail!("found `{text}`, expected `NAME=PROGRAM=LIBRARY`");
        };
        Ok(Self {
            name: name.to_owned(),
            program: program.into(),
            library: library.into(),
        })
    }
}

/// Compares them and prints what came out.
pub(crate) fn compare(
    peers: &[Peer],
    is_quick: bool,
    is_markdown: bool,
    out: &mut dyn Write,
) -> Result<()> {
    let reloads = if is_quick { RELOADS_QUICK } else { RELOADS };
    let mut running = Vec::new();
    for peer in peers {
        eprintln!("starting: {}", peer.name);
        running.push(Running::start(peer)?);
    }
    let was_disturbed = table::others_run();
    for number in 1..=reloads {
        if number % 50 == 1 {
            eprintln!("measuring: reloads from number {number} on");
        }
        // In turns, so that whatever else the machine does meets all.
        for peer in &mut running {
            peer.replace(number)?;
        }
    }
    let mut lines = vec![vec!["what".to_owned()]];
    let rows = [
        "new library renamed over the watched one, until its code answers".to_owned(),
        format!("reloads of {reloads} that did not come within {PATIENCE:?}"),
        format!("resident memory before and after {reloads} reloads"),
        format!("mappings before and after {reloads} reloads"),
    ];
    lines.extend(rows.map(|row| vec![row]));
    for peer in running {
        let column = [vec![peer.name.clone()], peer.end()?].concat();
        for (line, cell) in lines.iter_mut().zip(column) {
            line.push(cell);
        }
    }
    table::print(out, &lines, is_markdown)?;
    let compiler = "all built with `--release`";
    let machine = table::machine(compiler);
    writeln!(out, "\nMedians, and in brackets the quartiles. {machine}.")?;
    if was_disturbed {
        writeln!(out, "Other programs ran meanwhile.")?;
    }
    Ok(())
}

/// A peer while it runs.
struct Running {
    name: String,
    child: Child,
    /// The numbers of the builds that answered, and when.
    answers: Receiver<(u64, Instant)>,
    directory: TempDir,
    builds: Builds,
    before: Footprint,
    took: Vec<f64>,
    missed: u64,
}

impl Running {
    fn start(peer: &Peer) -> Result<Self> {
        let directory = TempDir::with_prefix("octa-bench-")?;
        let watched = directory.path().join("watched");
        fs::create_dir(&watched)?;
        let builds = fs::read(&peer.library).map(Builds::of);
        let builds = builds.with_context(|| format!("cannot read `{}`", peer.library.display()))?;
        let mut builds = builds.context("the library does not tell where its number lies")?;
        fs::write(watched.join("libmarker.so"), builds.build(0))?;
        let mut child = Command::new(&peer.program)
            .arg(&watched)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run `{}`", peer.program.display()))?;
        let stdout = child.stdout.take().context("it has no output to read")?;
        let answers = follow(stdout);
        let first = answers.recv_timeout(PATIENCE);
        first.with_context(|| format!("`{}` does not answer", peer.name))?;
        Ok(Self {
            name: peer.name.clone(),
            before: Footprint::of(&child.id().to_string())?,
            child,
            answers,
            directory,
            builds,
            took: Vec::new(),
            missed: 0,
        })
    }

    /// Renames another build over the library, and waits until it answers.
    fn replace(&mut self, number: u64) -> Result<()> {
        let written = self.directory.path().join("written.so");
        fs::write(&written, self.builds.build(number))?;
        let began = Instant::now();
        fs::rename(written, self.directory.path().join("watched/libmarker.so"))?;
        loop {
            match self.answers.recv_timeout(PATIENCE) {
                Ok((answered, at)) if answered == number => {
                    self.took.push((at - began).as_secs_f64() * 1e9);
                    return Ok(());
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.missed += 1;
                    return Ok(());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("`{}` ended: {}", self.name, self.child.wait()?)
                }
            }
        }
    }

    /// Ends it; how long it took, what it missed, memory and mappings.
    fn end(mut self) -> Result<Vec<String>> {
        let after = Footprint::of(&self.child.id().to_string())?;
        self.child.kill()?;
        self.child.wait()?;
        let shown = |nanos: f64| Amount(nanos, Unit::Nanoseconds).to_string();
        let took = match self.took.is_empty() {
            true => String::new(),
            false => {
                let [low, median, high] = quartiles(self.took).map(shown);
                format!("{median} ({low}–{high})")
            }
        };
        let two = |unit, before, after| {
            let [before, after] = [before, after].map(|amount| Amount(amount, unit));
            format!("{before} → {after}")
        };
        Ok(vec![
            took,
            self.missed.to_string(),
            two(Unit::Bytes, self.before.resident, after.resident),
            two(Unit::Pieces, self.before.mappings, after.mappings),
        ])
    }
}

/// Reads numbers from lines, and the time at which each came.
fn follow(stdout: ChildStdout) -> Receiver<(u64, Instant)> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let at = Instant::now();
            if let Ok(number) = line.parse()
                && tell.send((number, at)).is_err()
            {
                return;
            }
        }
    });
    told
}
