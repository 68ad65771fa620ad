//! The demo: the program and the official plugins, built, put side by side, and run.
//! What is shown is up to the plugins and to `plugins/octa.toml`.

use std::fs;
use std::io::BufReader;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::{Artifact, Message};
use clap::Args;

use crate::workspace::Workspace;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Ends by itself after this time, such as `10s` or `2m`.
    #[arg(long = "for", value_name = "DURATION")]
    duration: Option<String>,
    /// Builds with optimizations.
    #[arg(long)]
    release: bool,
}

/// Builds, installs under `target/demo` and runs in the foreground, until the program ends.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let built = build(workspace, options.release)?;
    let demo = workspace.target().join("demo");
    let (plugins, data, config) = (
        demo.join("plugins"),
        demo.join("data"),
        demo.join("octa.toml"),
    );
    fs::create_dir_all(&plugins).with_context(|| format!("cannot create `{plugins}`"))?;
    fs::create_dir_all(&data).with_context(|| format!("cannot create `{data}`"))?;
    for plugin in &built.plugins {
        install(plugin, &plugins)?;
    }
    install(&workspace.root().join("plugins/octa.toml"), &demo)?;

    let mut octa = Command::new(&built.program);
    octa.arg("run");
    octa.args([Utf8Path::new("--plugins"), &plugins]);
    octa.args([Utf8Path::new("--config"), &config]);
    octa.args([Utf8Path::new("--data"), &data]);
    octa.args(
        options
            .duration
            .iter()
            .flat_map(|duration| ["--for", duration]),
    );
    become_or_wait(&mut octa).with_context(|| format!("cannot run `{}`", built.program))
}

/// What cargo made.
#[derive(Default)]
struct Built {
    program: Utf8PathBuf,
    plugins: Vec<Utf8PathBuf>,
}

fn build(workspace: &Workspace, release: bool) -> Result<Built> {
    let plugins = workspace.plugins("plugins");
    ensure!(
        !plugins.is_empty(),
        "no plugin among the packages under `plugins/`"
    );
    let mut cargo = workspace.cargo("build");
    cargo.args([
        "--message-format",
        "json-render-diagnostics",
        "--package",
        "octa",
        "--package",
        "octa-worker",
    ]);
    cargo.args(
        plugins
            .iter()
            .flat_map(|plugin| ["--package", &plugin.name]),
    );
    cargo.args(release.then_some("--release"));

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
            let wanted = plugins
                .iter()
                .any(|plugin| plugin.id == artifact.package_id);
            built.note(artifact, wanted);
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    ensure!(status.success(), "the build failed: {status}");
    ensure!(built.program != "", "the build made no program `octa`");
    ensure!(
        built.plugins.len() == plugins.len(),
        "the build made {} plugins out of {}",
        built.plugins.len(),
        plugins.len()
    );
    Ok(built)
}

impl Built {
    fn note(&mut self, artifact: Artifact, is_plugin: bool) {
        if is_plugin && artifact.target.is_cdylib() {
            let library =
                |path: &Utf8PathBuf| path.extension() == Some(std::env::consts::DLL_EXTENSION);
            self.plugins
                .extend(artifact.filenames.into_iter().find(library));
        } else if artifact.target.is_bin() && artifact.target.name == "octa" {
            self.program = artifact.executable.unwrap_or_default();
        }
    }
}

/// Copies `file` into `directory` so that a reader sees the old file or the new one, never half of one.
fn install(file: &Utf8Path, directory: &Utf8Path) -> Result<()> {
    let name = file
        .file_name()
        .with_context(|| format!("`{file}` has no name"))?;
    let partial = directory.join(format!(".{name}.partial"));
    fs::copy(file, &partial)
        .and_then(|_| fs::rename(&partial, directory.join(name)))
        .with_context(|| format!("cannot copy `{file}` into `{directory}`"))
}

/// Replaces this process, so that Ctrl-C, the terminal and the exit code are the program's own.
#[cfg(unix)]
fn become_or_wait(command: &mut Command) -> std::io::Result<ExitCode> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

#[cfg(not(unix))]
fn become_or_wait(command: &mut Command) -> std::io::Result<ExitCode> {
    let code = command.status()?.code().unwrap_or(1);
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_replaces_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        let (from, to) = (root.join("from"), root.join("to"));
        fs::create_dir_all(&from).unwrap();
        fs::create_dir_all(&to).unwrap();
        for content in ["old", "new"] {
            fs::write(from.join("a.so"), content).unwrap();
            install(&from.join("a.so"), &to).unwrap();
        }
        let names: Vec<_> = fs::read_dir(&to)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["a.so"]);
        assert_eq!(fs::read_to_string(to.join("a.so")).unwrap(), "new");
    }
}
