//! The tally of the bus: what publishers sent against what subscribers got, with subscriptions
//! coming and going, as the tests count it, and as many deliveries as one is told.

use anyhow::Result;
use clap::Args;

use crate::workspace::{Workspace, succeed};

/// The variable in which the tests are told how many, when they are compiled.
const COUNT: &str = "OCTA_TALLY";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many deliveries are counted.
    #[arg(long, default_value_t = 10_000_000)]
    deliveries: u64,
}

/// Runs the tests that count.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut cargo = workspace.cargo("test");
    cargo.args(["--release", "--package", "octa-kernel", "--lib"]);
    cargo.args(["--", "bus::tests::tally", "--nocapture"]);
    cargo.env(COUNT, options.deliveries.to_string());
    succeed(&mut cargo)
}
