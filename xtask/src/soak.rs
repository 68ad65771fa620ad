//! The soak: its plugins are built twice, as `a` and `b`, and its program reloads them in turn.
//! What is checked is up to the program in `soak/`.

use std::fs;
use std::io::BufReader;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Artifact, Message};
use clap::Args;

use crate::workspace::{Workspace, succeed};

/// Settings of the C library: one heap for all threads, nothing of it kept aside for one of them,
/// what is free given back, and no stacks kept for threads to come. What it keeps otherwise grows
/// for a long time, which would look like a leak, or hide one.
const NOTHING_KEPT: [&str; 5] = [
    "glibc.malloc.arena_max=1",
    "glibc.malloc.tcache_count=0",
    "glibc.malloc.trim_threshold=65536",
    "glibc.malloc.mmap_max=0",
    "glibc.pthread.stack_cache_size=0",
];
/// How many reloads are enough to see that nothing is broken.
const SHORT: u64 = 300;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How many reloads.
    #[arg(long, default_value_t = SHORT)]
    reloads: u64,
    /// Builds without optimizations, as the tests do.
    #[arg(long)]
    debug: bool,
    /// Draws the latencies of calls into `docs/reload-latency.svg`.
    #[arg(long)]
    plot: bool,
    /// Prints tables for a Markdown document.
    #[arg(long)]
    markdown: bool,
}

/// The short form, on what the tests have built, mostly.
pub(crate) fn run_short(workspace: &Workspace) -> Result<()> {
    let options = Options {
        reloads: SHORT,
        debug: true,
        plot: false,
        markdown: false,
    };
    run(workspace, &options)
}

/// Builds and runs.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let builds = workspace.target().join("soak/builds");
    for build in ["a", "b"] {
        build_plugins(workspace, options, build, &builds.join(build))?;
    }
    let mut soak = Command::new(build_program(workspace, options)?);
    soak.env("GLIBC_TUNABLES", NOTHING_KEPT.join(":"));
    soak.arg("--builds").arg(&builds);
    soak.args(["--reloads", &options.reloads.to_string()]);
    if options.plot {
        let plot = workspace.root().join("docs/reload-latency.svg");
        soak.arg("--plot").arg(plot);
    }
    soak.args(options.markdown.then_some("--markdown"));
    succeed(&mut soak)
}

/// Builds the plugins so that they say which build they are, and copies them into a directory.
fn build_plugins(
    workspace: &Workspace,
    options: &Options,
    build: &str,
    to: &Utf8Path,
) -> Result<()> {
    let mut cargo = workspace.cargo("build");
    cargo.args(["--locked", "--workspace", "--examples"]);
    cargo.args(["--manifest-path", "tests/fixtures/Cargo.toml"]);
    cargo.args((!options.debug).then_some("--release"));
    cargo
        .arg("--target-dir")
        .arg(workspace.target().join("fixtures"))
        .env("OCTA_SOAK_BUILD", build);
    fs::create_dir_all(to).with_context(|| format!("cannot create `{to}`"))?;
    for plugin in artifacts(cargo, plugin_of)? {
        let name = plugin.file_name().context("a library has a name")?;
        fs::copy(&plugin, to.join(name))
            .with_context(|| format!("cannot copy `{plugin}` into `{to}`"))?;
    }
    Ok(())
}

fn build_program(workspace: &Workspace, options: &Options) -> Result<Utf8PathBuf> {
    // Unoptimized with the features that the tests have built its dependencies with.
    let what: &[&str] = match options.debug {
        true => &["--workspace"],
        false => &["--release", "--package", "octa-soak"],
    };
    program(workspace, "octa-soak", what)
}

/// Builds a program, with these arguments of cargo.
pub(crate) fn program(workspace: &Workspace, name: &str, what: &[&str]) -> Result<Utf8PathBuf> {
    let mut cargo = workspace.cargo("build");
    cargo.args(what).args(["--bin", name]);
    let is_it = |made: Artifact| made.executable.filter(|_| made.target.name == name);
    let program = artifacts(cargo, is_it)?.pop();
    program.context("the build made no program")
}

fn plugin_of(made: Artifact) -> Option<Utf8PathBuf> {
    let is_library = |path: &Utf8PathBuf| path.extension() == Some(std::env::consts::DLL_EXTENSION);
    let is_plugin = made.target.is_example();
    made.filenames
        .into_iter()
        .find(|path| is_plugin && is_library(path))
}

/// What cargo makes, as far as it is `wanted`.
fn artifacts(
    mut cargo: Command,
    wanted: impl Fn(Artifact) -> Option<Utf8PathBuf>,
) -> Result<Vec<Utf8PathBuf>> {
    cargo.args(["--message-format", "json-render-diagnostics"]);
    let mut child = cargo
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let stdout = child.stdout.take().context("cargo has no output to read")?;
    let mut found = Vec::new();
    for message in Message::parse_stream(BufReader::new(stdout)) {
        let message = message.context("cannot read cargo's output")?;
        if let Message::CompilerArtifact(made) = message {
            found.extend(wanted(made));
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    ensure!(status.success(), "the build failed: {status}");
    Ok(found)
}
