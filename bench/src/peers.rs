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

/// What the times are made of, for whoever reads them.
const WATCHING: &str = "\
Octamillia takes up a file that was quiet for 50 ms, hot-lib-reloader one that was for 500 ms. \
relib has no watcher: the file is looked at every 50 ms, as in its example `live_reload`, and \
opened at once and as it is, without a copy.";

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
    let was_disturbed = table::others_run();
    let running = reload_in_turns(peers, reloads);
    let first = running.first().context("there is nothing to compare")?;
    let (first, took) = (first.name.clone(), first.took.clone());
    let mut lines = [
        "what".to_owned(),
        "new library renamed over the watched one, until its code answers".to_owned(),
        format!("that time over the one of {first}, round by round"),
        format!("of {reloads} reloads not there within {PATIENCE:?}"),
        format!("resident memory before and after {reloads} reloads"),
        format!("mappings before and after {reloads} reloads"),
    ]
    .map(|cell| vec![cell]);
    for peer in running {
        for (line, cell) in lines.iter_mut().zip(peer.column(&took)) {
            line.push(cell);
        }
    }
    table::print(out, &lines, is_markdown)?;
    writeln!(out, "\n{WATCHING}")?;
    let machine = table::machine("all built with `--release`");
    writeln!(out, "Medians, and in brackets the quartiles. {machine}.")?;
    if was_disturbed {
        writeln!(out, "Other programs ran meanwhile.")?;
    }
    Ok(())
}

/// Lets all reload, in turns, so that whatever else the machine does meets all. One that does not
/// even start is left out.
fn reload_in_turns(peers: &[Peer], reloads: u64) -> Vec<Running> {
    let start = |peer: &Peer| {
        eprintln!("starting: {}", peer.name);
        let started = Running::start(peer);
        started
            .inspect_err(|error| eprintln!("warning: `{}` is left out: {error:#}", peer.name))
            .ok()
    };
    let mut running: Vec<_> = peers.iter().filter_map(start).collect();
    for number in 1..=reloads {
        if number % 50 == 1 {
            eprintln!("measuring: reloads from number {number} on");
        }
        for peer in &mut running {
            let took = peer.replace(number);
            let took = took.inspect_err(|error| eprintln!("warning: `{}`: {error:#}", peer.name));
            peer.took.push(took.ok());
        }
    }
    running
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
    /// In nanoseconds; `None` where nothing came.
    took: Vec<Option<f64>>,
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
        let mut running = Self {
            name: peer.name.clone(),
            before: Footprint::of(&child.id().to_string())?,
            answers: follow(stdout),
            child,
            directory,
            builds,
            took: Vec::new(),
        };
        let first = running.answers.recv_timeout(PATIENCE);
        first.context("it does not answer")?;
        running.before = Footprint::of(&running.child.id().to_string())?;
        Ok(running)
    }

    /// Renames another build over the library, and waits until it answers; how long that took,
    /// in nanoseconds.
    fn replace(&mut self, number: u64) -> Result<f64> {
        let written = self.directory.path().join("written.so");
        fs::write(&written, self.builds.build(number))?;
        let began = Instant::now();
        fs::rename(written, self.directory.path().join("watched/libmarker.so"))?;
        loop {
            match self.answers.recv_timeout(PATIENCE) {
                Ok((answered, _)) if answered != number => {}
                Ok((_, at)) => return Ok((at - began).as_secs_f64() * 1e9),
                Err(RecvTimeoutError::Timeout) => bail!("build {number} does not answer"),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("it has ended: {}", self.child.wait()?)
                }
            }
        }
    }

    /// Its column of the table, beside the times of the first.
    fn column(self, first: &[Option<f64>]) -> [String; 6] {
        let after = Footprint::of(&self.child.id().to_string());
        let rounds = self.took.iter().zip(first);
        let ratios = rounds.filter_map(|(ours, first)| Some((*ours)? / (*first)?));
        let times = self.took.iter().copied().flatten();
        let two = |unit, pick: fn(&Footprint) -> f64| {
            let after = after.as_ref().map(|after| Amount(pick(after), unit));
            let after = after.map_or("none".to_owned(), |after| after.to_string());
            format!("{} → {after}", Amount(pick(&self.before), unit))
        };
        [
            self.name.clone(),
            middle(times.collect(), |it| {
                Amount(it, Unit::Nanoseconds).to_string()
            }),
            middle(ratios.collect(), |it| format!("{it:.2}×")),
            self.took
                .iter()
                .filter(|it| it.is_none())
                .count()
                .to_string(),
            two(Unit::Bytes, |it| it.resident),
            two(Unit::Pieces, |it| it.mappings),
        ]
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            eprintln!("warning: `{}` does not end: {error}", self.name);
        }
    }
}

/// The median, and in brackets the quartiles; nothing of nothing.
fn middle(values: Vec<f64>, shown: impl Fn(f64) -> String) -> String {
    if values.is_empty() {
        return String::new();
    }
    let [low, median, high] = quartiles(values).map(shown);
    format!("{median} ({low}–{high})")
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
