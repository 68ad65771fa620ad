//! PostgreSQL, which tests start servers of: the machine's, or that of Debian's packages without root.

use std::fmt;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::camino::{Utf8Path, Utf8PathBuf};

use super::debian::Debian;
use super::{Fetch, in_path, tell};
use crate::workspace::{Workspace, capture, variable};

/// The variable that names the directory of its programs: read by the tests, and here if the developer has set it.
const VARIABLE: &str = "OCTA_POSTGRES_BIN";
/// Depends on whichever version is Debian's.
const PACKAGE: &str = "postgresql";
/// Where Debian has a directory for each version.
const VERSIONS: &str = "usr/lib/postgresql";
/// What the tests run.
const PROGRAMS: [&str; 4] = ["initdb", "pg_ctl", "postgres", "psql"];

/// A PostgreSQL that runs.
#[derive(Debug)]
pub(crate) struct Postgres {
    directory: Utf8PathBuf,
    version: String,
}

impl Postgres {
    /// The first that runs, or the reason why there is none.
    pub(crate) fn find(workspace: &Workspace, fetch: Fetch) -> Result<Self> {
        if let Some(directory) = variable(VARIABLE) {
            return Self::at(directory.into()).with_context(|| format!("`{VARIABLE}` is unusable"));
        }
        // Distributions put links to some of the programs into `PATH`.
        let linked = in_path("postgres").filter_map(|path| path.canonicalize_utf8().ok());
        let linked = linked.filter_map(|path| Some(path.parent()?.to_owned()));
        let mut installed = linked.chain(versions(&Utf8Path::new("/").join(VERSIONS)));
        let installed = installed.find_map(|directory| Self::at(directory).ok());
        installed.map_or_else(|| Self::unpacked(workspace, fetch), Ok)
    }

    /// Lets the tests that a command runs have it; where there is none, they tell what they leave out.
    pub(crate) fn hand_to(workspace: &Workspace, command: &mut Command) {
        match Self::find(workspace, Fetch::IfMissing) {
            Ok(postgres) => {
                eprintln!("PostgreSQL: {postgres}");
                command.env(VARIABLE, &postgres.directory);
            }
            Err(reason) => {
                eprintln!("PostgreSQL: missing: {}", tell(&reason));
                command.env_remove(VARIABLE);
            }
        }
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
        let versions = versions(&root.join(VERSIONS));
        let newest = versions
            .first()
            .context("no server is in Debian's package")?;
        let newest = newest.strip_prefix(&root)?;
        let mut directory = None;
        for program in PROGRAMS {
            let wrapper = debian.wrapper(newest.join(program).as_str())?;
            directory = wrapper.parent().map(Utf8Path::to_owned);
        }
        Self::at(directory.context("the scripts have no directory")?)
    }

    fn at(directory: Utf8PathBuf) -> Result<Self> {
        for program in PROGRAMS {
            let program = directory.join(program);
            ensure!(program.is_file(), "`{program}` does not exist");
        }
        let printed = capture(Command::new(directory.join("postgres")).arg("--version"))?;
        let version = printed.trim().strip_prefix("postgres (PostgreSQL) ");
        let version =
            version.with_context(|| format!("`{directory}/postgres` tells no version"))?;
        Ok(Self {
            version: version.to_owned(),
            directory,
        })
    }
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL {} at {}", self.version, self.directory)
    }
}

/// The directories of the programs of each version, the newest first.
fn versions(parent: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = parent.read_dir_utf8().into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries
        .filter_map(|entry| entry.file_name().parse().ok())
        .collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    let directories = numbers
        .into_iter()
        .map(|number| parent.join(number.to_string()).join("bin"));
    directories.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_comes_first() {
        let directory = tempfile::tempdir().unwrap();
        let parent = Utf8Path::from_path(directory.path()).unwrap();
        for name in ["9", "15", "common", "14"] {
            std::fs::create_dir(parent.join(name)).unwrap();
        }
        let expect = ["15/bin", "14/bin", "9/bin"].map(|name| parent.join(name));
        assert_eq!(versions(parent), expect);
        assert_eq!(versions(&parent.join("missing")), [""; 0]);
    }
}
