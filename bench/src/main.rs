//! Measures the kernel, each thing beside the floor of what it does, in one process and in turns;
//! and draws how that grows. Built and run by `cargo xtask bench`; what is meant to be reached stands in each row.

#![forbid(unsafe_code)]

mod apart;
mod calls;
mod crowd;
mod events;
mod fanout;
mod features;
mod files;
mod recovery;
mod reload;
mod storage;
mod subscriptions;

mod growth;

mod peers;
mod rivals;

mod footprint;
mod host;
mod measure;
mod processors;
mod report;
mod table;
mod template;

use std::{
    io::{Write as _, stdout},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use octa_bench_floor::Floor;
use octa_kernel::config::Placement;
use octa_loader::{FileRules, inspect};

use growth::Growths;
use host::Host;
use measure::Pace;
use peers::Peer;
use report::Report;

/// Measures the kernel beside the floor of each thing it does, or beside its peers.
#[derive(Debug, Parser)]
struct Options {
    /// Measures less: good for a look, not for a claim.
    #[arg(long)]
    quick: bool,
    /// Prints a table for a Markdown document.
    #[arg(long)]
    markdown: bool,
    #[command(subcommand)]
    beside: Beside,
}

#[derive(Debug, Subcommand)]
enum Beside {
    /// Beside the floor of each thing it does.
    Floors(Floors),
    /// Beside what others make for the same purpose.
    Peers(Peers),
    /// Beside itself with more or less of something: drawn as plots.
    Growth(Growths),
}

#[derive(Debug, Args)]
struct Floors {
    /// The compiled plugin of the benchmark.
    #[arg(long)]
    plugin: PathBuf,
    /// The compiled plugin that is reloaded.
    #[arg(long)]
    marker: PathBuf,
    /// The compiled library with the bare table of functions.
    #[arg(long)]
    floor: PathBuf,
    /// The program with an idle kernel.
    #[arg(long)]
    idle: PathBuf,
    /// Measures only the rows whose name contains this.
    only: Option<String>,
}

#[derive(Debug, Args)]
struct Peers {
    /// The compiled plugin of the benchmark.
    #[arg(long)]
    plugin: PathBuf,
    /// A program that calls with gRPC.
    #[arg(long)]
    grpc: Option<PathBuf>,
    /// Programs that reload: `NAME=PROGRAM=LIBRARY`.
    reloads: Vec<Peer>,
}

fn main() -> Result<ExitCode> {
    if let Some(code) = octa_worker::entry().or_else(apart::pong) {
        return Ok(code);
    }
    run().map(|()| ExitCode::SUCCESS)
}

fn run() -> Result<()> {
    let options = Options::parse();
    let out = &mut stdout().lock();
    let pace = if options.quick {
        Pace::quick()
    } else {
        Pace::thorough()
    };
    match options.beside {
        Beside::Floors(floors) => measure(floors, pace)?.print(out, options.markdown)?,
        Beside::Peers(peers) => {
            peers::compare(&peers.reloads, options.quick, options.markdown, out)?;
            writeln!(out)?;
            rival(&peers, pace)?.print(out, options.markdown)?;
        }
        Beside::Growth(growths) => growth::draw(&growths, pace, out)?,
    }
    Ok(())
}

/// Measures calls beside those of others. One that does not work is left out.
fn rival(peers: &Peers, pace: Pace) -> Result<Report> {
    let looked = inspect(&peers.plugin, FileRules::default())?;
    let mut report = Report::new(pace, None, "peer", &looked.manifest.compiler);
    if let Some(program) = &peers.grpc
        && let Err(error) = rivals::beside_grpc(program, &peers.plugin, &mut report)
    {
        eprintln!("warning: `{}` is left out: {error:#}", program.display());
    }
    Ok(report)
}

fn measure(options: Floors, pace: Pace) -> Result<Report> {
    let looked = inspect(&options.plugin, FileRules::default())?;
    let mut report = Report::new(pace, options.only, "floor", &looked.manifest.compiler);
    crowd::weigh(&options.marker, &mut report)?;
    let floor = Floor::open(&options.floor)
        .with_context(|| format!("cannot open `{}`", options.floor.display()))?;
    let host = Host::start(&options.plugin, Placement::InProcess)?;
    calls::measure(&host, &floor, &mut report)?;
    features::measure(&host, &options.plugin, &mut report)?;
    events::measure(&host, &mut report)?;
    host.stop();
    let host = Host::start(&options.plugin, Placement::Process)?;
    apart::measure(&host, &mut report)?;
    host.stop();
    recovery::measure(&options.plugin, &mut report)?;
    crowd::measure(&options.marker, &mut report)?;
    files::measure(&options.plugin, &mut report)?;
    reload::measure(&options.marker, &mut report)?;
    storage::measure(&options.idle, &mut report)?;
    // Last: what it frees stays with the process, whose memory was looked at before.
    subscriptions::measure(&options.plugin, &mut report)?;
    Ok(report)
}
