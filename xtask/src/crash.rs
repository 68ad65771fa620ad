//! Kills: ends processes that carry plugins at any moment, under load, as the tests do; and kernels and servers
//! that hold databases. What is checked is up to the tests, and to the program in `soak/crash/`.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::soak;
use crate::workspace::{Workspace, succeed};

/// The variable in which the tests are told how often.
const COUNT: &str = "OCTA_KILLS";
/// The program that kills kernels.
const PROGRAM: &str = "octa-crash";
/// How many kills are enough to see that nothing is broken.
const SHORT: u32 = 20;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many processes are ended; 1,000 that carry plugins and 200 that hold databases by default.
    #[arg(long)]
    kills: Option<u32>,
    /// Ends kernels and servers that hold databases of this kind, and no processes that carry plugins.
    #[arg(long, value_enum)]
    storage: Option<Storage>,
    /// What the random moments of those come from; another one each time by default.
    #[arg(long, requires = "storage")]
    seed: Option<u64>,
    /// Gives them a bug, to see that it is seen.
    #[arg(long = "break", value_name = "BUG", requires = "storage", hide = true)]
    bug: Option<String>,
}

/// A kind of database.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Storage {
    Sqlite,
    Postgres,
    All,
}

/// The short form for databases: processes that carry plugins are among the tests.
pub(crate) fn run_short(workspace: &Workspace) -> Result<()> {
    let options = Options {
        kills: Some(SHORT),
        storage: Some(Storage::All),
        seed: None,
        bug: None,
    };
    run_storage(workspace, &options, Storage::All, &["--workspace"])
}

/// Runs what is asked for; both, if nothing is.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.storage.is_none() {
        run_plugins(workspace, options.kills.unwrap_or(1_000))?;
    }
    let storage = options.storage.unwrap_or(Storage::All);
    run_storage(
        workspace,
        options,
        storage,
        &["--release", "--package", PROGRAM],
    )
}

/// Runs the scenario of the tests.
fn run_plugins(workspace: &Workspace, kills: u32) -> Result<()> {
    let mut cargo = workspace.cargo("test");
    cargo.args(["--package", "octa-tests", "--test", "it"]);
    cargo.args(["--", "--exact", "faults::kills::at_any_moment"]);
    cargo.args(["--nocapture"]);
    cargo.env(COUNT, kills.to_string());
    succeed(&mut cargo)
}

fn run_storage(
    workspace: &Workspace,
    options: &Options,
    storage: Storage,
    what: &[&str],
) -> Result<()> {
    let program = soak::program(workspace, PROGRAM, what)?;
    let mut crash = workspace.command(program.as_str());
    crash.arg("run");
    let kills = options.kills.unwrap_or(200);
    crash.args(["--kills", &kills.to_string()]);
    let storage = storage.to_possible_value().context("it has a name")?;
    crash.args(["--storage", storage.get_name()]);
    if let Some(seed) = options.seed {
        crash.args(["--seed", &seed.to_string()]);
    }
    if let Some(bug) = &options.bug {
        crash.args(["--break", bug]);
    }
    succeed(&mut crash)
}
