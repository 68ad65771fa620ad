//! The benchmark: the workspace in `bench/`, built with optimizations and run; and what others
//! make for the same purpose, in workspaces of their own. What is measured, and beside what, is up
//! to the programs there.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::camino::Utf8PathBuf;
use cargo_metadata::{Artifact, Message};
use clap::Args;

use crate::workspace::{Workspace, succeed};

/// Whose reloads are compared with, by the name of its folder in `bench/peers/`.
const RELOADS: [&str; 2] = ["hot-lib-reloader", "relib"];
/// Whose calls are.
const CALLS: [&str; 1] = ["grpc"];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Measures less: good for a look, not for a claim.
    #[arg(long)]
    quick: bool,
    /// Prints the table that stands in the README.
    #[arg(long)]
    markdown: bool,
    /// Measures reloads beside those of `hot-lib-reloader` and `relib`, calls beside those of gRPC,
    /// and nothing else.
    #[arg(long, conflicts_with = "only")]
    peers: bool,
    /// Measures how calls, events and storage grow with how many there are of something, draws that
    /// into `docs/services-growth.svg`, `docs/events-growth.svg` and `docs/storage-growth.svg`, and
    /// measures nothing else.
    #[arg(long, conflicts_with_all = ["peers", "markdown"])]
    plot: bool,
    /// Lets storage grow to ten million keys, which takes minutes.
    #[arg(long, requires = "plot")]
    long: bool,
    /// Measures only the rows, or the plots, whose name contains this.
    only: Option<String>,
}

/// Builds under `target/bench`, runs, and prints a table.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let ours = build_own(workspace)?;
    let mut bench = Command::new(ours.get("octa-bench")?);
    bench.args(options.quick.then_some("--quick"));
    bench.args(options.markdown.then_some("--markdown"));
    if options.peers {
        bench.arg("peers");
        bench.arg("--plugin").arg(ours.get("octa_bench_plugin")?);
        for name in CALLS {
            if let Some(program) = or_left_out(name, peer(workspace, name)) {
                bench.arg(format!("--{name}={program}"));
            }
        }
        bench.args(reloads(workspace, &ours)?);
    } else if options.plot {
        bench.arg("growth");
        bench.arg("--plugin").arg(ours.get("octa_bench_plugin")?);
        for what in ["services", "events", "storage"] {
            let plot = format!("docs/{what}-growth.svg");
            bench
                .arg(format!("--{what}"))
                .arg(workspace.root().join(plot));
        }
        bench.args(options.long.then_some("--long"));
        bench.args(&options.only);
    } else {
        bench.arg("floors");
        bench.arg("--plugin").arg(ours.get("octa_bench_plugin")?);
        bench.arg("--marker").arg(ours.get("octa_bench_marker")?);
        bench.arg("--floor").arg(ours.get("octa_bench_floor")?);
        bench.arg("--idle").arg(ours.get("octa-bench-idle")?);
        bench.args(&options.only);
    }
    succeed(&mut bench)
}

/// Builds everything in `bench/` but the peers that others make.
pub(crate) fn build_own(workspace: &Workspace) -> Result<Built> {
    build(workspace, "bench", "bench")
}

/// The kernel and those that reload, as the benchmark takes them.
fn reloads(workspace: &Workspace, ours: &Built) -> Result<Vec<String>> {
    let (program, library) = (ours.get("peer-octamillia")?, ours.get("octa_bench_marker")?);
    let mut all = vec![format!("octamillia={program}={library}")];
    for name in RELOADS {
        let built = build_peer(workspace, name).and_then(|built| {
            let program = built.get(&format!("peer-{name}"))?;
            Ok(format!("{name}={program}={}", built.get("marker")?))
        });
        all.extend(or_left_out(name, built));
    }
    Ok(all)
}

/// The program of a peer.
fn peer(workspace: &Workspace, name: &str) -> Result<Utf8PathBuf> {
    let built = build_peer(workspace, name)?;
    built.get(&format!("peer-{name}")).cloned()
}

fn build_peer(workspace: &Workspace, name: &str) -> Result<Built> {
    let root = format!("bench/peers/{name}");
    build(workspace, &root, &format!("bench-peers/{name}"))
}

/// A peer that does not build is left out.
fn or_left_out<T>(name: &str, built: Result<T>) -> Option<T> {
    built
        .inspect_err(|error| eprintln!("warning: `{name}` is left out: {error:#}"))
        .ok()
}

/// What cargo made: programs and loadable libraries, by the names of their targets.
pub(crate) struct Built {
    workspace: String,
    files: BTreeMap<String, Utf8PathBuf>,
}

impl Built {
    pub(crate) fn get(&self, target: &str) -> Result<&Utf8PathBuf> {
        let file = self.files.get(target);
        file.with_context(|| format!("the build of `{}` made no `{target}`", self.workspace))
    }
}

/// Builds a whole workspace, under a folder of the target directory.
fn build(workspace: &Workspace, root: &str, target: &str) -> Result<Built> {
    let mut cargo = workspace.cargo("build");
    cargo.args(["--release", "--locked", "--workspace"]);
    cargo.args(["--manifest-path", &format!("{root}/Cargo.toml")]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    cargo
        .arg("--target-dir")
        .arg(workspace.target().join(target));
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let stdout = child.stdout.take().context("cargo has no output to read")?;
    let mut files = BTreeMap::new();
    for message in Message::parse_stream(BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) =
            message.context("cannot read cargo's output")?
        {
            files.extend(runnable(artifact));
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    ensure!(status.success(), "the build of `{root}` failed: {status}");
    Ok(Built {
        workspace: root.to_owned(),
        files,
    })
}

/// The program or loadable library that an artifact is, with the name of its target.
fn runnable(artifact: Artifact) -> Option<(String, Utf8PathBuf)> {
    let is_library = |path: &Utf8PathBuf| path.extension() == Some(std::env::consts::DLL_EXTENSION);
    let library = || artifact.filenames.into_iter().find(is_library);
    let file = artifact.executable.or_else(library)?;
    Some((artifact.target.name, file))
}
