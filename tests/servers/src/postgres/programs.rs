//! Where PostgreSQL's programs are.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::owner::Owner;
use crate::environment::variable;

/// The variable that names the directory of the programs.
const VARIABLE: &str = "OCTA_POSTGRES_BIN";
/// Where Debian has a directory for each version.
const DEBIAN: &str = "/usr/lib/postgresql";
const NEEDED: [&str; 4] = ["initdb", "postgres", "pg_ctl", "psql"];

/// This machine has no PostgreSQL.
#[derive(Debug, thiserror::Error)]
#[error(
    "no PostgreSQL: `initdb`, `postgres`, `pg_ctl` and `psql` are together neither in `{VARIABLE}`, nor behind `PATH`, nor in `{DEBIAN}/*/bin`"
)]
pub struct MissingPrograms;

/// A directory that has all the programs.
#[derive(Debug)]
pub(super) struct Programs(PathBuf);

impl Programs {
    /// The first directory that has them: what is named comes first, then what runs by its bare name.
    pub(super) fn find() -> Result<Self, MissingPrograms> {
        let named = variable(VARIABLE).map(PathBuf::from);
        let found = named.into_iter().chain(in_path()).chain(of_debian());
        let mut complete =
            found.filter(|it| NEEDED.iter().all(|program| it.join(program).is_file()));
        complete.next().map(Self).ok_or(MissingPrograms)
    }

    /// A program that is run by the owner of a server, in its directory, with nothing of our environment.
    pub(super) fn command(&self, program: &str, owner: &Owner, directory: &Path) -> Command {
        let mut command = Command::new(self.0.join(program));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", directory)
            .env("LC_ALL", "C")
            .current_dir(directory);
        owner.run(&mut command);
        command
    }

    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }
}

/// Distributions put links to some of the programs there: the others are where the links lead to.
fn in_path() -> Vec<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let servers = std::env::split_paths(&path).map(|directory| directory.join("postgres"));
    let servers = servers.filter_map(|server| fs::canonicalize(server).ok());
    servers
        .filter_map(|server| Some(server.parent()?.to_owned()))
        .collect()
}

/// The newest version first.
fn of_debian() -> Vec<PathBuf> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|entry| entry.path()).collect();
    versions.sort_by_key(|path| std::cmp::Reverse(number(path)));
    versions.into_iter().map(|path| path.join("bin")).collect()
}

fn number(path: &Path) -> u32 {
    let name = path.file_name().and_then(OsStr::to_str);
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}
