//! Type-checks what stands at the boundary for `x86_64-pc-windows-gnu`, on a machine that has nothing of Windows.
//! The standard library is checked along from Debian's sources, with Debian's compiler; nothing is linked or run.

use std::process::Command;

use anyhow::{Result, ensure};
use cargo_metadata::camino::Utf8Path;

use crate::tools::compiler::Compiler;
use crate::tools::debian::Debian;
use crate::tools::{self, Fetch};
use crate::workspace::{Workspace, succeed, variable};

const TARGET: &str = "x86_64-pc-windows-gnu";

/// A plugin as authors write them: what the macros expand to is checked with it.
const PLUGIN: &str = "plugins/devices/Cargo.toml";

/// Fetches what is missing, and checks the loader, the plugin API and a plugin.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
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

    let mut rooms = cargo(workspace, &rustc, &debian);
    rooms.args(["--package", "octa-loader", "--package", "octa-plugin-api"]);
    // The hash function's assembler would want a C compiler for Windows.
    succeed(rooms.args(["--features", "blake3/pure"]))?;
    succeed(cargo(workspace, &rustc, &debian).args(["--manifest-path", PLUGIN]))
}

fn cargo(workspace: &Workspace, rustc: &Utf8Path, debian: &Debian) -> Command {
    let mut cargo = workspace.cargo("check");
    cargo.args(["--target", TARGET, "-Zbuild-std=std,panic_unwind"]);
    cargo.env("CARGO_TARGET_DIR", workspace.target().join("windows"));
    cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1");
    // Last, so that the unpacked compiler hides nobody's.
    let path = variable("PATH").unwrap_or_default();
    cargo.env("PATH", format!("{path}:{}", debian.root().join("usr/bin")));
    cargo
}
