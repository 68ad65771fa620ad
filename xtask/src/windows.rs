//! Builds for `x86_64-pc-windows-gnu`, on a machine that has nothing of Windows: the standard library along with the rest, from Debian's sources, with Debian's compiler.
//! `check` type-checks what stands at the boundary; linking and running is the job of `wine`.

use std::process::Command;

use anyhow::{Result, ensure};
use cargo_metadata::camino::Utf8PathBuf;

use crate::tools::compiler::Compiler;
use crate::tools::debian::Debian;
use crate::tools::{self, Fetch};
use crate::workspace::{Workspace, succeed, variable};

pub(crate) const TARGET: &str = "x86_64-pc-windows-gnu";

/// A plugin as authors write them: what the macros expand to is checked with it.
const PLUGIN: &str = "plugins/devices/Cargo.toml";

/// What compiles for Windows, and does not link.
pub(crate) struct Toolchain {
    rustc: Utf8PathBuf,
    pub(crate) debian: Debian,
}

impl Toolchain {
    /// Fetches what is missing.
    pub(crate) fn fetch(workspace: &Workspace) -> Result<Self> {
        let rustc = tools::unpacked(workspace, Fetch::IfMissing)?;
        let debian = Debian::new(workspace);
        // The standard library imports from DLLs, and rustc has `dlltool` write the import tables.
        debian.need("binutils-mingw-w64-x86-64")?;
        debian.need("rust-web-src")?;
        let release = Compiler::at(rustc.clone())?.release;
        let sources = debian
            .root()
            .join(format!("usr/src/rustc-{release}/library"));
        ensure!(
            sources.exists(),
            "no library sources of rustc {release}: remove `{}`",
            debian.home
        );
        Ok(Self { rustc, debian })
    }

    /// A cargo command for Windows, with a folder of its own under `target`.
    pub(crate) fn cargo(&self, workspace: &Workspace, subcommand: &str, folder: &str) -> Command {
        let mut cargo = workspace.cargo(subcommand);
        cargo.args(["--target", TARGET, "-Zbuild-std=std,panic_unwind"]);
        cargo.env("CARGO_TARGET_DIR", workspace.target().join(folder));
        cargo.env("RUSTC", &self.rustc).env("RUSTC_BOOTSTRAP", "1");
        // Last, so that the unpacked compiler hides nobody's.
        let path = variable("PATH").unwrap_or_default();
        let unpacked = self.debian.root().join("usr/bin");
        cargo.env("PATH", format!("{path}:{unpacked}"));
        cargo
    }
}

/// Checks the loader, the plugin API and a plugin.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let toolchain = Toolchain::fetch(workspace)?;
    let cargo = || toolchain.cargo(workspace, "check", "windows");
    let mut rooms = cargo();
    rooms.args(["--package", "octa-loader", "--package", "octa-plugin-api"]);
    // The hash function's assembler would want a C compiler for Windows.
    succeed(rooms.args(["--features", "blake3/pure"]))?;
    succeed(cargo().args(["--manifest-path", PLUGIN]))
}
