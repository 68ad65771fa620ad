//! A Rust compiler, and what it says of itself.

use std::fmt;
use std::process::Command;

use anyhow::{Context, Result};
use cargo_metadata::camino::Utf8PathBuf;
use cargo_metadata::semver::Version;

use crate::workspace::{Workspace, capture};

/// A compiler that runs and says what it is.
#[derive(Debug)]
pub(crate) struct Compiler {
    pub(crate) path: Utf8PathBuf,
    /// Release, commit and origin: differs between two builds of one release.
    pub(crate) build: String,
    pub(crate) release: Version,
}

impl Compiler {
    /// The compiler at `path`.
    pub(crate) fn at(path: Utf8PathBuf) -> Result<Self> {
        let printed = capture(Command::new(&path).arg("-vV"))?;
        Self::parse(path, &printed)
    }

    /// The compiler that cargo uses for the workspace.
    pub(crate) fn of_workspace(workspace: &Workspace) -> Result<Self> {
        let printed = capture(workspace.command("rustc").arg("-vV"))?;
        Self::parse("rustc".into(), &printed)
    }

    fn parse(path: Utf8PathBuf, printed: &str) -> Result<Self> {
        let build = printed.lines().next().unwrap_or_default().to_owned();
        let release = printed
            .lines()
            .find_map(|line| line.strip_prefix("release: "));
        let release = release.with_context(|| format!("`{path}` names no release"))?;
        let release = Version::parse(release).with_context(|| {
            format!("`{path}` names the release `{release}`, which is no version")
        })?;
        Ok(Self {
            path,
            build,
            release,
        })
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.build, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(printed: &str) -> Result<Compiler> {
        Compiler::parse("rustc".into(), printed)
    }

    #[test]
    fn build_and_release_are_read() {
        let printed = "rustc 1.96.0 (ac68faa20 2026-05-25)\nbinary: rustc\nrelease: 1.96.0\n";
        let compiler = parse(printed).unwrap();
        assert_eq!(compiler.build, "rustc 1.96.0 (ac68faa20 2026-05-25)");
        assert_eq!(compiler.release, Version::new(1, 96, 0));
    }

    #[test]
    fn what_is_no_compiler_is_refused() {
        let error = parse("clang version 14").unwrap_err();
        assert_eq!(error.to_string(), "`rustc` names no release");
        assert!(parse("release: one").is_err());
    }
}
