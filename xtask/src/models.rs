//! Interleavings: builds `models/`, which compiles the lock-free files of the product with atomics
//! that a checker watches, and runs it. What must hold is up to the models.

use anyhow::Result;
use clap::Args;

use crate::workspace::{Workspace, succeed};

#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Looks at more interleavings, of most models at every one, however long it takes.
    #[arg(long)]
    long: bool,
    /// Runs only models whose names contain one of these.
    names: Vec<String>,
}

/// The short form of every model.
pub(crate) fn run_short(workspace: &Workspace) -> Result<()> {
    if !cfg!(unix) {
        println!("left out: only on Unix");
        return Ok(());
    }
    run(workspace, &Options::default())
}

/// Builds under `target/models`, and runs until a model fails.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.target().join("models");
    let mut cargo = workspace.cargo("run");
    cargo.args(["--quiet", "--release", "--locked"]);
    cargo.args(["--manifest-path", "models/Cargo.toml"]);
    cargo.arg("--target-dir").arg(&folder).arg("--");
    if options.long {
        cargo.arg("--long");
    }
    cargo.args(&options.names);
    succeed(&mut cargo)
}
