//! Kills a kernel, or the server of its database, at any moment under load, as often as it is told, and checks
//! each time that what was acknowledged is there, and nothing half or twice. Built and run by `cargo xtask crash`.

#![forbid(unsafe_code)]

mod layout;
mod random;
mod word;

mod store;
mod worker;

mod damage;
mod found;
mod ledger;

mod copy;
mod moment;

mod course;
mod life;
mod report;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use octa_test_servers::own_postgres;

use course::Course;
use report::Report;
use worker::{Bug, Work, work};

/// Kills kernels and databases at any moment and checks what they kept.
#[derive(Debug, Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Kills, looks, and prints a table.
    Run(Run),
    /// Is what is killed.
    #[command(hide = true)]
    Work(Work),
}

#[derive(Debug, Args)]
struct Run {
    /// How many processes are killed.
    #[arg(long, default_value_t = 200)]
    kills: u32,
    /// What databases.
    #[arg(long, value_enum, default_value_t = Storage::All)]
    storage: Storage,
    /// What the random choices come from; another one each time by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Has a bug, to see that it is seen.
    #[arg(long = "break", value_name = "BUG", hide = true)]
    bug: Option<Bug>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Storage {
    Sqlite,
    Postgres,
    All,
}

fn main() -> Result<ExitCode> {
    match Options::parse().command {
        Command::Run(options) => run(&options),
        Command::Work(options) => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(work(options))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn run(options: &Run) -> Result<ExitCode> {
    let seed = options.seed.unwrap_or_else(random::seed);
    eprintln!("seed: {seed}");
    let server = match options.storage {
        Storage::Sqlite => None,
        _ => own_postgres(),
    };
    let of_server = match (options.storage, &server) {
        (Storage::Postgres, Some(_)) => options.kills,
        (Storage::All, Some(_)) => options.kills / 2,
        _ => 0,
    };
    let of_file = match options.storage {
        Storage::Postgres => 0,
        _ => options.kills - of_server,
    };
    let mut report = Report::default();
    for (server, kills) in [(None, of_file), (server.as_ref(), of_server)] {
        let course = Course {
            server,
            kills,
            seed,
            bug: options.bug,
        };
        course.run(&mut report)?;
    }
    println!("{}\nseed: {seed}", report.table());
    Ok(match report.is_clean() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
