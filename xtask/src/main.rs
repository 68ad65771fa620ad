//! Every chore of this repository, run as `cargo xtask <chore>`.
//! This file is the list of them; each chore has a file of its own.

mod workspace;

mod bench;
mod ci;
mod crash;
mod demo;
mod failures;
mod fuzz;
mod instructions;
mod licences;
mod models;
mod not_run;
mod readme;
mod soak;
mod suite;
mod tally;
mod tools;
mod windows;
mod wine;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use workspace::Workspace;

/// Chores of the Octamillia repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Builds the `octa` program and the official plugins, and runs them.
    Demo(demo::Options),
    /// Runs every test, and tells last which ones could not run.
    Test,
    /// Runs every check: format, lints, documentation, licences, tests.
    Ci,
    /// Measures the kernel beside the floor of each thing it does.
    Bench(bench::Options),
    /// Counts the instructions of calls, publishes and deliveries, and compares with a table.
    Instructions(instructions::Options),
    /// Reloads plugins under load, and checks that nothing is lost and everything unmapped.
    Soak(soak::Options),
    /// Feeds both ends of the protocol with what nobody should send.
    Fuzz(fuzz::Options),
    /// Runs what is lock-free through the interleavings of a few threads.
    Models(models::Options),
    /// Kills processes that carry plugins, kernels and database servers, under load, and checks that nothing is lost.
    Crash(crash::Options),
    /// Counts events on the bus, published and received, while subscriptions come and go.
    Tally(tally::Options),
    /// Shows the optional tools that tests use, and where they come from.
    Tools(tools::Options),
    /// Type-checks the loader, the plugin API and a plugin for Windows.
    CheckWindows,
    /// Reloads and unloads real plugins of Windows, under Wine.
    Wine,
}

fn main() -> ExitCode {
    run(Chore::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error}");
        for cause in error.chain().skip(1) {
            eprintln!("caused by: {cause}");
        }
        ExitCode::FAILURE
    })
}

fn run(chore: Chore) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    match chore {
        Chore::Demo(options) => return demo::run(&workspace, &options),
        Chore::Test => suite::run(&workspace)?,
        Chore::Ci => ci::run(&workspace)?,
        Chore::Bench(options) => bench::run(&workspace, &options)?,
        Chore::Instructions(options) => instructions::run(&workspace, &options)?,
        Chore::Soak(options) => soak::run(&workspace, &options)?,
        Chore::Fuzz(options) => fuzz::run(&workspace, &options)?,
        Chore::Models(options) => models::run(&workspace, &options)?,
        Chore::Crash(options) => crash::run(&workspace, &options)?,
        Chore::Tally(options) => tally::run(&workspace, &options)?,
        Chore::Tools(options) => tools::show(&workspace, &options),
        Chore::CheckWindows => windows::check(&workspace)?,
        Chore::Wine => wine::run(&workspace)?,
    }
    Ok(ExitCode::SUCCESS)
}
