//! The environment, the user and the clock: the one place that asks the system for them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use octa_kernel::config::Secrets;

/// What the system says when the program starts.
#[derive(Debug, Clone)]
pub(crate) struct World {
    variables: HashMap<OsString, OsString>,
}

impl World {
    /// The environment of this process.
    pub(crate) fn real() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
        }
    }

    /// An environment made of these variables.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &Path)]) -> Self {
        let owned = |(name, value): &(&str, &Path)| ((*name).into(), (*value).into());
        Self {
            variables: variables.iter().map(owned).collect(),
        }
    }

    /// A variable, if it is set to something.
    fn variable(&self, name: &str) -> Option<&OsString> {
        let value = self.variables.get(std::ffi::OsStr::new(name))?;
        Some(value).filter(|value| !value.is_empty())
    }

    /// A variable that holds an absolute path; relative ones are to be ignored, says the XDG
    /// specification.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.variable(name)?);
        Some(path).filter(|path| path.is_absolute())
    }

    /// Where the data of this user's programs lies.
    pub(crate) fn data_home(&self) -> Option<PathBuf> {
        let home = || Some(self.path("HOME")?.join(".local/share"));
        self.path("XDG_DATA_HOME").or_else(home)
    }

    /// Where this user's sockets lie, if the system has such a place.
    pub(crate) fn runtime_directory(&self) -> Option<PathBuf> {
        self.path("XDG_RUNTIME_DIR").filter(|path| path.is_dir())
    }

    /// Where anybody's temporary files lie.
    pub(crate) fn temporary_directory(&self) -> PathBuf {
        self.path("TMPDIR").unwrap_or_else(|| "/tmp".into())
    }

    /// The program that builds: the one that runs this program, if one does.
    pub(crate) fn cargo(&self) -> OsString {
        self.variable("CARGO")
            .cloned()
            .unwrap_or_else(|| "cargo".into())
    }

    /// The password for a PostgreSQL server that is named on the command line.
    pub(crate) fn postgres_password(&self) -> Option<String> {
        self.variable("PGPASSWORD")?.to_str().map(str::to_owned)
    }

    /// What is to be logged, as `RUST_LOG` says.
    pub(crate) fn log_filter(&self) -> Option<&str> {
        self.variable("RUST_LOG")?.to_str()
    }

    /// What plugins in processes of their own get of the environment: what programs need to find
    /// their way, and no secrets.
    pub(crate) fn worker_environment(&self) -> Vec<(OsString, OsString)> {
        const NAMES: [&str; 7] = [
            "GLIBC_TUNABLES",
            "LANG",
            "LD_LIBRARY_PATH",
            "PATH",
            "RUST_BACKTRACE",
            "TMPDIR",
            "TZ",
        ];
        let is_harmless = |name: &OsString| {
            let name = name.to_str().unwrap_or_default();
            NAMES.contains(&name) || name.starts_with("LC_")
        };
        let variables = self.variables.iter();
        let harmless = variables.filter(|(name, _)| is_harmless(name));
        let mut harmless: Vec<_> = harmless
            .map(|(name, it)| (name.clone(), it.clone()))
            .collect();
        harmless.sort();
        harmless
    }

    /// Reads the secrets that a configuration names; relative files lie beside it.
    pub(crate) fn secrets(self, config: Option<&Path>) -> WorldSecrets {
        let beside = config.and_then(Path::parent).map(Path::to_owned);
        WorldSecrets {
            world: self,
            beside: beside.unwrap_or_default(),
        }
    }
}

/// The program that carries plugins in processes of their own: the one that lies beside this one,
/// or this one itself.
pub(crate) fn worker() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let name = format!("octa-worker{}", std::env::consts::EXE_SUFFIX);
    let beside = program.with_file_name(name);
    Ok(if beside.is_file() { beside } else { program })
}

/// The id of the user who runs this program.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Wall-clock time since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the face's own clock: the kernel has one of its own"
)]
pub(crate) fn now() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default()
}

/// Wall-clock time in nanoseconds since 1970.
pub(crate) fn now_nanos() -> u64 {
    u64::try_from(now().as_nanos()).unwrap_or(u64::MAX)
}

/// Secrets from the environment and from files.
#[derive(Debug, Clone)]
pub(crate) struct WorldSecrets {
    world: World,
    beside: PathBuf,
}

impl Secrets for WorldSecrets {
    fn env(&self, name: &str) -> Option<String> {
        let value = self.world.variables.get(std::ffi::OsStr::new(name))?;
        value.to_str().map(str::to_owned)
    }

    fn file(&self, path: &str) -> io::Result<String> {
        fs::read_to_string(self.beside.join(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_lies_where_the_user_keeps_it() {
        let home = ("HOME", Path::new("/home/ada"));
        let data = |variables: &[(&str, &Path)]| World::of(variables).data_home();
        assert_eq!(data(&[home]), Some("/home/ada/.local/share".into()));
        let own = ("XDG_DATA_HOME", Path::new("/data"));
        assert_eq!(data(&[home, own]), Some("/data".into()));
        let relative = ("XDG_DATA_HOME", Path::new("data"));
        assert_eq!(
            data(&[home, relative]),
            Some("/home/ada/.local/share".into())
        );
        assert_eq!(data(&[]), None);
    }

    #[test]
    fn workers_learn_no_secrets() {
        let path = Path::new("/bin");
        let world = World::of(&[("PATH", path), ("LC_TIME", path), ("OCTA_TOKEN", path)]);
        let names = world.worker_environment().into_iter().map(|(name, _)| name);
        assert_eq!(names.collect::<Vec<_>>(), ["LC_TIME", "PATH"]);
    }

    #[test]
    fn secret_files_lie_beside_the_configuration() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("token"), "abc").expect("a file");
        let config = directory.path().join("octa.toml");
        let secrets = World::of(&[]).secrets(Some(&config));
        assert_eq!(secrets.file("token").expect("a secret"), "abc");
        assert_eq!(secrets.env("TOKEN"), None);
    }
}
