//! Kills: ends processes that carry plugins at any moment, under load, as the tests do, and as often
//! as one is told. What is checked is up to the tests.

use anyhow::Result;
use clap::Args;

use crate::workspace::{Workspace, succeed};

/// The variable in which the tests are told how often.
const COUNT: &str = "OCTA_KILLS";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many processes are ended.
    #[arg(long, default_value_t = 1_000)]
    kills: u32,
}

/// Runs the scenario of the tests.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut cargo = workspace.cargo("test");
    cargo.args(["--package", "octa-tests", "--test", "it"]);
    cargo.args(["--", "--exact", "faults::kills::at_any_moment"]);
    cargo.args(["--nocapture"]);
    cargo.env(COUNT, options.kills.to_string());
    succeed(&mut cargo)
}
