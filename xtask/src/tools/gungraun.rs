//! The runner of Gungraun, the harness that counts instructions: a program that has to be of the
//! same version as the harness, which `bench/Cargo.lock` says.

use std::fs;

use anyhow::{Context, Result};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::workspace::{Workspace, succeed};

/// The part of a lock file that is looked at.
#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    version: String,
}

/// The folder of the program `gungraun-runner`, which is built if it is not there yet.
pub(crate) fn runner(workspace: &Workspace) -> Result<Utf8PathBuf> {
    let path = workspace.root().join("bench/Cargo.lock");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    let version = version(&text).with_context(|| format!("cannot use `{path}`"))?;
    let home = workspace.target().join("tools/gungraun").join(&version);
    let folder = home.join("bin");
    if !folder.join("gungraun-runner").exists() {
        install(workspace, &version, &home)
            .with_context(|| format!("cannot build `gungraun-runner` {version}"))?;
    }
    Ok(folder)
}

fn version(lock: &str) -> Result<String> {
    let lock: Lock = toml::from_str(lock)?;
    let harness = lock.package.into_iter().find(|it| it.name == "gungraun");
    Ok(harness.context("it has no `gungraun`")?.version)
}

/// It only starts Valgrind and reads what that wrote: unoptimized it is built in half the time.
fn install(workspace: &Workspace, version: &str, home: &Utf8Path) -> Result<()> {
    let mut cargo = workspace.cargo("install");
    cargo.args(["--debug", "--locked", "--no-track", "--version"]);
    cargo.arg(format!("={version}"));
    cargo.arg("--root").arg(home).arg("gungraun-runner");
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0");
    succeed(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_lock_file() {
        let lock = "version = 4\n\
            [[package]]\nname = \"gungraun-macros\"\nversion = \"0.10.0\"\n\
            [[package]]\nname = \"gungraun\"\nversion = \"0.20.0\"\n";
        assert_eq!(version(lock).unwrap(), "0.20.0");
        let error = version("package = []").unwrap_err();
        assert_eq!(error.to_string(), "it has no `gungraun`");
    }
}
