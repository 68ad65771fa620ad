//! The optional tools: a second Rust compiler and PostgreSQL for the tests, and what counts instructions.
//! Where the compiler comes from is decided here; unpacking is the job of `debian`, asking a compiler what it is that of `compiler`.

pub(crate) mod compiler;
pub(crate) mod debian;
pub(crate) mod gungraun;
pub(crate) mod postgres;
pub(crate) mod valgrind;

use anyhow::{Context, Error, Result, bail, ensure};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use crate::workspace::{Workspace, variable};
use compiler::Compiler;
use debian::Debian;
use postgres::Postgres;
use valgrind::Valgrind;

/// The variable that names the second compiler: read by the tests, and here if the developer has set it.
pub(crate) const SECOND_COMPILER: &str = "OCTA_SECOND_RUSTC";

/// What a developer can do about a missing second compiler.
pub(crate) const HINT: &str = "Debian's `rustc-web`, or name another rustc in `OCTA_SECOND_RUSTC`";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fetches what is missing, from Debian's packages into `target/tools`.
    #[arg(long)]
    fetch: bool,
}

/// Whether the network may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fetch {
    Never,
    IfMissing,
}

/// Prints a table of the tools.
pub(crate) fn show(workspace: &Workspace, options: &Options) {
    let fetch = if options.fetch {
        Fetch::IfMissing
    } else {
        Fetch::Never
    };
    let compilers = [
        ("rustc", Compiler::of_workspace(workspace)),
        ("second rustc", second_compiler(workspace, fetch)),
    ];
    let rows = compilers.map(|(name, found)| (name, found.map(|compiler| compiler.to_string())));
    let valgrind = Valgrind::find(workspace, fetch).map(|valgrind| valgrind.to_string());
    let postgres = Postgres::find(workspace, fetch).map(|postgres| postgres.to_string());
    let others = [("valgrind", valgrind), ("postgresql", postgres)];
    for (name, found) in rows.into_iter().chain(others) {
        match found {
            Ok(tool) => println!("{name:<14}{tool}"),
            Err(reason) => println!("{name:<14}missing: {}", tell(&reason)),
        }
    }
}

/// Says in one line what is missing; what lies behind it goes to the standard error.
pub(crate) fn tell(reason: &Error) -> String {
    for cause in reason.chain().skip(1) {
        eprintln!("caused by: {cause}");
    }
    reason.to_string()
}

/// A compiler of another build than the workspace's own, or the reason why there is none.
pub(crate) fn second_compiler(workspace: &Workspace, fetch: Fetch) -> Result<Compiler> {
    if let Some(path) = variable(SECOND_COMPILER) {
        return second(workspace, path.into())
            .with_context(|| format!("`{SECOND_COMPILER}` is unusable"));
    }
    let installed = installed()
        .into_iter()
        .find_map(|path| second(workspace, path).ok());
    match installed {
        Some(compiler) => Ok(compiler),
        None => second(workspace, unpacked(workspace, fetch)?),
    }
}

/// The unpacked compiler, fetched if need be.
pub(crate) fn unpacked(workspace: &Workspace, fetch: Fetch) -> Result<Utf8PathBuf> {
    let debian = Debian::new(workspace);
    match fetch {
        Fetch::IfMissing => debian.need("rustc-web")?,
        Fetch::Never if !debian.has("rustc-web") => {
            bail!("not fetched (`cargo xtask tools --fetch`)")
        }
        Fetch::Never => {}
    }
    debian.wrapper("usr/bin/rustc")
}

/// Debian's package installs itself as `rustc`, and rustup's comes first in the usual `PATH`.
fn installed() -> Vec<Utf8PathBuf> {
    let debian = Utf8PathBuf::from("/usr/bin/rustc");
    let debian = debian.is_file().then_some(debian);
    in_path("rustc-web").chain(debian).collect()
}

/// The files of a name in the folders of programs.
fn in_path(name: &str) -> impl Iterator<Item = Utf8PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let named = path
        .split(':')
        .map(|folder| Utf8Path::new(folder).join(name));
    let files: Vec<_> = named.filter(|path| path.is_file()).collect();
    files.into_iter()
}

fn second(workspace: &Workspace, path: Utf8PathBuf) -> Result<Compiler> {
    let compiler = Compiler::at(path)?;
    let own = Compiler::of_workspace(workspace)?;
    let oldest = workspace.oldest_rust()?;
    let Compiler {
        path,
        build,
        release,
    } = &compiler;
    ensure!(
        *build != own.build,
        "`{path}` is the compiler of the workspace itself"
    );
    ensure!(
        release >= oldest,
        "`{path}` is of release `{release}`, the workspace needs `{oldest}`"
    );
    Ok(compiler)
}
