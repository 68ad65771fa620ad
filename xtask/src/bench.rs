//! The benchmark: the workspace in `bench/`, built with optimizations and run.
//! What is measured, and beside what, is up to the programs there.

use std::io::BufReader;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::camino::Utf8PathBuf;
use cargo_metadata::{Artifact, Message};
use clap::Args;

use crate::workspace::{Workspace, succeed};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measures less: good for a look, not for a claim.
    #[arg(long)]
    quick: bool,
    /// Prints the table that stands in the README.
    #[arg(long)]
    markdown: bool,
    /// Measures only the rows whose name contains this.
    only: Option<String>,
}

/// Builds under `target/bench`, runs, and prints a table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let built = build(workspace)?;
    let mut bench = Command::new(&built.program);
    bench.arg("--plugin").arg(&built.plugin);
    bench.arg("--floor").arg(&built.floor);
    bench.args(options.quick.then_some("--quick"));
    bench.args(options.markdown.then_some("--markdown"));
    bench.args(&options.only);
    succeed(&mut bench)
}

/// What cargo made.
#[derive(Default)]
struct Built {
    program: Utf8PathBuf,
    plugin: Utf8PathBuf,
    floor: Utf8PathBuf,
}

fn build(workspace: &Workspace) -> Result<Built> {
    let mut cargo = workspace.cargo("build");
    cargo.args(["--release", "--locked", "--workspace"]);
    cargo.args(["--manifest-path", "bench/Cargo.toml"]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    cargo
        .arg("--target-dir")
        .arg(workspace.target().join("bench"));
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let stdout = child.stdout.take().context("cargo has no output to read")?;
    let mut built = Built::default();
    for message in Message::parse_stream(BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) =
            message.context("cannot read cargo's output")?
        {
            built.note(artifact);
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    ensure!(status.success(), "the build failed: {status}");
    for (made, what) in [
        (&built.program, "program"),
        (&built.plugin, "plugin"),
        (&built.floor, "floor"),
    ] {
        ensure!(made != "", "the build made no {what}");
    }
    Ok(built)
}

impl Built {
    fn note(&mut self, artifact: Artifact) {
        let library =
            |path: &Utf8PathBuf| path.extension() == Some(std::env::consts::DLL_EXTENSION);
        match artifact.target.name.as_str() {
            "octa-bench" => self.program = artifact.executable.unwrap_or_default(),
            "octa_bench_plugin" => {
                self.plugin = artifact
                    .filenames
                    .into_iter()
                    .find(library)
                    .unwrap_or_default();
            }
            "octa_bench_floor" => {
                self.floor = artifact
                    .filenames
                    .into_iter()
                    .find(library)
                    .unwrap_or_default();
            }
            _ => {}
        }
    }
}
