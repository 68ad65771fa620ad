//! What is meant by `octa run` and `octa dev`: the configuration read, the directories found, the
//! name settled.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use octa_kernel::Config;
use octa_kernel::config::ConfigError;
use thiserror::Error;

use crate::args;
use crate::failure::{Explain, Failure};
use crate::meeting::{self, Record};
use crate::world::{self, World};

/// A kernel that is to run.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What tells it from others.
    pub(crate) record: Record,
    /// Its plugin directory.
    pub(crate) plugins: PathBuf,
    /// Its data directory.
    pub(crate) data: PathBuf,
    /// Its configuration.
    pub(crate) config: Config,
    /// How long it runs.
    pub(crate) limit: Option<Duration>,
}

/// Why it is not clear what to run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum PlanError {
    /// No place for data.
    #[error("there is no data directory: neither XDG_DATA_HOME nor HOME is set")]
    NoData,
    /// The data directory cannot be used.
    #[error("cannot use the data directory `{path}`")]
    Data {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The configuration cannot be read.
    #[error("cannot read the configuration `{path}`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The configuration is no text.
    #[error("{path}:{line}: the configuration is not UTF-8: found the byte 0x{byte:02x}")]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line, from one.
        line: usize,
        /// The first byte that does not fit.
        byte: u8,
    },
    /// The configuration says something that is not understood.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Explain for PlanError {
    fn kind(&self) -> &'static str {
        "invalid-input"
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoData => "name one with `--data DIR`",
            Self::Data { .. } => "name a directory that you may write with `--data DIR`",
            Self::Unreadable { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => "check the path, or leave `--config` away",
                io::ErrorKind::PermissionDenied => "make it readable for the user who runs octa",
                _ => return None,
            },
            Self::NotUtf8 { .. } => "save the file as UTF-8",
            Self::Config(error) => return error.hint(),
        };
        Some(hint.to_owned())
    }
}

impl Plan {
    /// Settles what is to run. The data directory is made if it is missing; nothing else is
    /// touched.
    pub(crate) fn of(typed: &args::Run, world: &World) -> Result<Self, Failure> {
        if let Some(name) = &typed.name {
            meeting::check_name(name)?;
        }
        let config = typed.config.as_deref().map(read).transpose()?;
        // The kernel would tell as much, but later, and with a data directory made in vain.
        octa_loader::discover(&typed.plugins)?;
        let plugins = absolute(&typed.plugins);
        let data = data(typed.data.as_deref(), world)?;
        Ok(Self {
            record: record(typed.name.clone(), &data, &plugins),
            plugins,
            data,
            config: config.unwrap_or_default(),
            limit: typed.limit,
        })
    }

    /// Settles what is to be developed: plugins that are built into a directory of their own, which
    /// lies in that of the data. Both are made if they are missing.
    pub(crate) fn dev(typed: &args::Dev, target: &Path, world: &World) -> Result<Self, Failure> {
        let config = typed.config.as_deref().map(read).transpose()?;
        let beside = target.join("octa-dev");
        let data = data(Some(typed.data.as_deref().unwrap_or(&beside)), world)?;
        let plugins = data.join("built");
        fs::create_dir_all(&plugins).map_err(|source| PlanError::Data {
            path: plugins.clone(),
            source,
        })?;
        Ok(Self {
            record: record(None, &data, &plugins),
            plugins,
            data,
            config: config.unwrap_or_default(),
            limit: None,
        })
    }
}

fn record(name: Option<String>, data: &Path, plugins: &Path) -> Record {
    Record {
        name: name.unwrap_or_else(|| meeting::name_of(data)),
        pid: std::process::id(),
        data: meeting::text_of(data),
        plugins: meeting::text_of(plugins),
        started: world::now_nanos(),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The data directory without links and dots, so that one directory has one name.
fn data(typed: Option<&Path>, world: &World) -> Result<PathBuf, PlanError> {
    let path = data_path(typed, world)?;
    let made = fs::create_dir_all(&path).and_then(|()| fs::canonicalize(&path));
    made.map_err(|source| PlanError::Data { path, source })
}

/// The data directory, which may not be there.
pub(crate) fn data_path(typed: Option<&Path>, world: &World) -> Result<PathBuf, PlanError> {
    let default = || Some(world.data_home()?.join("octa"));
    let path = typed.map(absolute).or_else(default);
    path.ok_or(PlanError::NoData)
}

/// Reads a configuration file.
pub(crate) fn read(path: &Path) -> Result<Config, PlanError> {
    let bytes = fs::read(path).map_err(|source| PlanError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let (start, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        PlanError::NotUtf8 {
            path: path.to_owned(),
            line: bytes[..start].iter().filter(|byte| **byte == b'\n').count() + 1,
            byte: bytes[start],
        }
    })?;
    Ok(Config::parse(&text, &path.to_string_lossy())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error for a configuration of these bytes, with the directory taken out.
    fn check(bytes: &[u8], expect: &str) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("octa.toml");
        fs::write(&path, bytes).expect("a file");
        let error = read(&path).expect_err("a bad configuration");
        let told = Failure::from(error).to_string();
        let prefix = format!("{}/", directory.path().display());
        assert_eq!(told.replace(&prefix, ""), expect);
    }

    #[test]
    fn a_bad_configuration_is_told_with_its_place() {
        check(
            b"[kernel]\n# \xff\n",
            "error: octa.toml:2: the configuration is not UTF-8: found the byte 0xff\n\
             hint: save the file as UTF-8",
        );
        check(
            b"[kernel]\ncall_dedline = \"1s\"\n",
            "error: octa.toml:2:1: `kernel.call_dedline` is an unknown key, expected \
             `start_deadline`, `stop_deadline`, `call_deadline`, `probation`, `watch`, `removed`, \
             `kept_generations`, `stuck_after`, `worker`, `vet` or `measure`\n\
             hint: did you mean `call_deadline`?",
        );
    }

    #[test]
    fn a_missing_configuration_is_told() {
        let error = read(Path::new("/nowhere/octa.toml")).expect_err("nothing is there");
        let told = Failure::from(error).to_string();
        assert_eq!(
            told,
            "error: cannot read the configuration `/nowhere/octa.toml`\n\
             caused by: No such file or directory (os error 2)\n\
             hint: check the path, or leave `--config` away"
        );
    }

    #[test]
    fn data_needs_a_place() {
        let error = data(None, &World::of(&[])).expect_err("no home");
        assert!(matches!(error, PlanError::NoData), "{error}");
    }
}
