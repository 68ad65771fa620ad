//! Valgrind, which counts instructions: the machine's, or that of Debian's package without root.

use std::fmt;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::camino::Utf8PathBuf;

use super::debian::Debian;
use super::{Fetch, in_path};
use crate::workspace::{Workspace, capture};

const PACKAGE: &str = "valgrind";

/// A Valgrind that runs.
#[derive(Debug)]
pub(crate) struct Valgrind {
    pub(crate) program: Utf8PathBuf,
    /// Where its tools are, if not where it was built for: the value of `VALGRIND_LIB`.
    pub(crate) library: Option<Utf8PathBuf>,
    version: String,
}

impl Valgrind {
    /// The first that runs, or the reason why there is none.
    pub(crate) fn find(workspace: &Workspace, fetch: Fetch) -> Result<Self> {
        let installed = in_path("valgrind").find_map(|path| Self::at(path, None).ok());
        installed.map_or_else(|| Self::unpacked(workspace, fetch), Ok)
    }

    fn unpacked(workspace: &Workspace, fetch: Fetch) -> Result<Self> {
        let debian = Debian::new(workspace);
        match fetch {
            Fetch::IfMissing => debian.need(PACKAGE)?,
            Fetch::Never if !debian.has(PACKAGE) => {
                bail!("not fetched (`cargo xtask tools --fetch`)")
            }
            Fetch::Never => {}
        }
        let root = debian.root();
        let library = root.join("usr/libexec/valgrind");
        ensure!(library.is_dir(), "`{library}` is not in Debian's package");
        // Beside it is a script that names folders of libraries which are not unpacked for use.
        Self::at(root.join("usr/bin/valgrind.bin"), Some(library))
    }

    fn at(program: Utf8PathBuf, library: Option<Utf8PathBuf>) -> Result<Self> {
        let mut command = Command::new(&program);
        command.arg("--version");
        if let Some(library) = &library {
            command.env("VALGRIND_LIB", library);
        }
        let printed = capture(&mut command)?;
        let version = printed.trim().strip_prefix("valgrind-");
        let version = version.with_context(|| format!("`{program}` tells no version"))?;
        Ok(Self {
            version: version.to_owned(),
            program,
            library,
        })
    }
}

impl fmt::Display for Valgrind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "valgrind {} at {}", self.version, self.program)
    }
}
