//! The checkout as cargo sees it: its root, its target directory, its packages; and running programs in it.
//! What is done with them is the chores' business.

use std::env;
use std::io;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use cargo_metadata::semver::Version;
use cargo_metadata::{Metadata, MetadataCommand, Package};

/// The workspace that this program belongs to.
pub(crate) struct Workspace {
    metadata: Metadata,
}

impl Workspace {
    /// Asks cargo about the workspace, without looking at its dependencies.
    pub(crate) fn load() -> Result<Self> {
        let metadata = MetadataCommand::new().current_dir(home()).no_deps().exec();
        Ok(Self {
            metadata: metadata.context("cannot read the workspace")?,
        })
    }

    pub(crate) fn root(&self) -> &Utf8Path {
        &self.metadata.workspace_root
    }

    pub(crate) fn target(&self) -> &Utf8Path {
        &self.metadata.target_directory
    }

    /// Members that lie under the folder `room` and are built as loadable libraries.
    pub(crate) fn plugins(&self, room: &str) -> Vec<&Package> {
        let room = self.root().join(room);
        let loadable = |package: &&Package| {
            package.manifest_path.starts_with(&room)
                && package.targets.iter().any(|target| target.is_cdylib())
        };
        self.metadata.packages.iter().filter(loadable).collect()
    }

    /// The oldest compiler that the workspace promises to build with.
    pub(crate) fn oldest_rust(&self) -> Result<&Version> {
        let declared = self
            .metadata
            .packages
            .iter()
            .find_map(|package| package.rust_version.as_ref());
        declared.context("no package of the workspace declares a `rust-version`")
    }

    /// Everything that the workspace depends on, for every platform.
    pub(crate) fn dependencies(&self) -> Result<Metadata> {
        let metadata = MetadataCommand::new().current_dir(self.root()).exec();
        metadata.context("cannot read the dependency tree")
    }

    /// A cargo command in the root of the workspace.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut cargo = self.command("cargo");
        cargo.arg(subcommand);
        cargo
    }

    /// A program in the root of the workspace.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.root());
        command
    }
}

/// Runs `command` to its end; any status but success is an error.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status();
    let status = status.with_context(|| format!("cannot run `{}`", line(command)))?;
    check_status(command, status)
}

/// Any status but success is an error that names `command`.
pub(crate) fn check_status(command: &Command, status: ExitStatus) -> Result<()> {
    ensure!(status.success(), "`{}` failed: {status}", line(command));
    Ok(())
}

/// Runs `command` to its end and returns what it printed; its warnings go where ours go.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run `{}`", line(command)))?;
    if !output.status.success() {
        io::Write::write_all(&mut io::stderr(), &output.stdout)?;
        bail!("`{}` failed: {}", line(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no text", line(command)))
}

/// An environment variable, if it is set and is text; the one place where this program reads them.
#[expect(
    clippy::disallowed_methods,
    reason = "the one home of the environment here"
)]
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn home() -> Utf8PathBuf {
    // Set by `cargo run`; a checkout that was moved since the build is still found.
    variable("CARGO_MANIFEST_DIR")
        .unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into())
        .into()
}

/// A command as one would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_whole_command() {
        let error = succeed(
            Command::new("cargo")
                .arg("--no-such-option")
                .stderr(Stdio::null()),
        )
        .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("`cargo --no-such-option` failed"),
            "{error}"
        );
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = capture(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot run `no-such-program`");
    }
}
