//! Reloads three plugins under a steady load, as often as it is told, and checks with a tally of
//! its own that nothing was lost and everything unmapped. Built and run by `cargo xtask soak`.

#![forbid(unsafe_code)]

mod plugins;

mod load;
mod numbers;
mod word;

mod complaints;
mod course;
mod latency;
mod memory;
mod tally;

mod checks;
mod plot;
mod report;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;

/// Reloads plugins under load and checks that nothing is lost.
#[derive(Debug, Parser)]
struct Options {
    /// The directory of the builds: `a` and `b`, each with all the plugins.
    #[arg(long)]
    builds: PathBuf,
    /// How many reloads.
    #[arg(long, default_value_t = 300)]
    reloads: u64,
    /// Draws the latencies of calls into this file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Prints tables for a Markdown document.
    #[arg(long)]
    markdown: bool,
}

fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let complaints = complaints::listen()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let outcome = runtime.block_on(course::run(&options.builds, options.reloads, complaints))?;
    println!("\n{}", report::checks(&outcome.checks, options.markdown));
    println!("{}", report::reloads(&outcome.reloads, options.markdown));
    println!("{}", report::latencies(&outcome.latency, options.markdown));
    if let Some(path) = &options.plot {
        fs::write(path, plot::draw(&outcome.latency))
            .with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    let failed = outcome.checks.iter().filter(|check| !check.passed);
    let names: Vec<_> = failed.map(|check| check.what).collect();
    if names.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("error: failed: {}", names.join(", "));
    Ok(ExitCode::FAILURE)
}
