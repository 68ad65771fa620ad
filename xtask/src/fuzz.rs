//! Fuzzing: builds the targets in `fuzz/` with libFuzzer, and lets it look for inputs that they do
//! not survive. What an input means is up to the targets.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use crate::workspace::{Workspace, capture, succeed};

/// By the names of their programs and of the folders of their corpora.
const TARGETS: [&str; 4] = ["decode", "link", "kernel", "worker"];
/// The plugin that the worker carries, in `tests/fixtures`.
const PLUGIN: &str = "conformer";
/// How many seconds are enough to see that nothing is broken.
const SHORT: u64 = 20;
/// What counts the ways that an input takes, and what finds that memory is used wrongly.
const INSTRUMENTED: [&str; 8] = [
    "--cfg=fuzzing",
    "-Zsanitizer=address",
    "-Cforce-frame-pointers",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long each target runs.
    #[arg(long, default_value_t = SHORT)]
    seconds: u64,
    /// Adds what was found, here and earlier, to the committed corpora, as far as it reaches more.
    #[arg(long)]
    keep: bool,
    /// Runs only this target.
    #[arg(value_parser = TARGETS)]
    target: Option<String>,
}

/// The short form of every target, where there are workers.
pub(crate) fn run_short(workspace: &Workspace) -> Result<()> {
    if !cfg!(target_os = "linux") {
        println!("left out: only on Linux");
        return Ok(());
    }
    let options = Options {
        seconds: SHORT,
        keep: false,
        target: None,
    };
    run(workspace, &options)
}

/// Builds under `target/fuzz`, and runs. A target that fails does not keep the others from it.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let programs = build(workspace, &build_plugin(workspace)?)?;
    let mut failed = Vec::new();
    for target in TARGETS {
        if options.target.as_deref().is_some_and(|only| only != target) {
            continue;
        }
        println!("-- {target}");
        let target = Target::new(workspace, &programs, target)?;
        if let Err(error) = target.run(options.seconds) {
            eprintln!("error: {error:#}");
            failed.push(target.name);
        } else if options.keep {
            target.keep()?;
        }
    }
    ensure!(failed.is_empty(), "not survived: {}", failed.join(", "));
    Ok(())
}

/// Without instruments: what is looked for are not its ways. Where the tests build it, too.
fn build_plugin(workspace: &Workspace) -> Result<Utf8PathBuf> {
    let folder = workspace.target().join("fixtures");
    let mut cargo = workspace.cargo("build");
    cargo.args(["--locked", "--package", PLUGIN]);
    cargo.args(["--manifest-path", "tests/fixtures/Cargo.toml"]);
    cargo.arg("--target-dir").arg(&folder);
    succeed(&mut cargo)?;
    let library = format!("{DLL_PREFIX}{PLUGIN}{DLL_SUFFIX}");
    Ok(folder.join("debug").join(library))
}

/// The folder of the programs, which know where the plugin is.
fn build(workspace: &Workspace, plugin: &Utf8Path) -> Result<Utf8PathBuf> {
    // Named, since then what runs while it is built is built without instruments.
    let host = host(workspace)?;
    let folder = workspace.target().join("fuzz");
    let mut cargo = workspace.cargo("build");
    cargo.args(["--release", "--locked", "--target", &host]);
    cargo.args(["--manifest-path", "fuzz/Cargo.toml"]);
    cargo.arg("--target-dir").arg(&folder);
    cargo.env("OCTA_FUZZ_PLUGIN", plugin);
    cargo.env("RUSTFLAGS", INSTRUMENTED.join(" "));
    // The sanitizer is in the stable compiler, which says that it is not.
    cargo.env("RUSTC_BOOTSTRAP", "1");
    succeed(&mut cargo)?;
    Ok(folder.join(host).join("release"))
}

fn host(workspace: &Workspace) -> Result<String> {
    let version = capture(workspace.command("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` names no host")?.to_owned())
}

/// A program, and where its inputs are.
struct Target {
    name: &'static str,
    program: Utf8PathBuf,
    /// Committed, and only read while it runs.
    corpus: Utf8PathBuf,
    /// What was found here, now and earlier.
    found: Utf8PathBuf,
    /// Inputs that were not survived.
    broken: Utf8PathBuf,
}

impl Target {
    fn new(workspace: &Workspace, programs: &Utf8Path, name: &'static str) -> Result<Self> {
        let folder = |kind: &str| workspace.target().join("fuzz").join(kind).join(name);
        let target = Self {
            name,
            program: programs.join(name),
            corpus: workspace.root().join("fuzz/corpus").join(name),
            found: folder("corpus"),
            broken: folder("broken"),
        };
        for folder in [&target.corpus, &target.found, &target.broken] {
            fs::create_dir_all(folder).with_context(|| format!("cannot create `{folder}`"))?;
        }
        Ok(target)
    }

    fn run(&self, seconds: u64) -> Result<()> {
        let mut program = Command::new(&self.program);
        program.arg(format!("-max_total_time={seconds}"));
        program.arg(format!("-artifact_prefix={}/", self.broken));
        program.args(["-timeout=60", "-rss_limit_mb=4096"]);
        program.args(["-max_len=1024", "-len_control=0"]);
        program.args(["-verbosity=0", "-print_funcs=0", "-print_final_stats=1"]);
        program.args([&self.found, &self.corpus]);
        if let Err(error) = succeed(&mut program) {
            let (program, broken) = (&self.program, &self.broken);
            bail!("{error}\nsee it again with `{program} {broken}/…`");
        }
        Ok(())
    }

    fn keep(&self) -> Result<()> {
        let mut program = Command::new(&self.program);
        program.args(["-set_cover_merge=1", "-verbosity=0", "-print_funcs=0"]);
        program.args([&self.corpus, &self.found]);
        succeed(&mut program)
    }
}
