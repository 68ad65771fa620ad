//! Which storage is meant, and who has it: a kernel that runs, or nobody.

use std::path::{Path, PathBuf};

use octa_kernel::config::{StorageConfig, StorageKind};
#[cfg(feature = "postgres")]
use octa_kernel::storage::PostgresError;
use octa_kernel::storage::{self, ConfiguredError, Storage};
use thiserror::Error;

use super::Desk;
use super::desk::{file, place, standby};
use super::place::Place;
use crate::args;
use crate::config;
use crate::failure::{Explain, Failure};
use crate::meeting::{self, Meeting, MeetingError, Record};
use crate::world::{World, WorldSecrets};

/// A storage, and who has it.
#[derive(Debug)]
pub(super) enum Found {
    /// A kernel runs on it.
    Running(Meeting, Record),
    /// No kernel does.
    Idle(Configured),
}

/// A storage as it is configured.
#[derive(Debug, Clone)]
pub(super) struct Configured {
    pub(super) config: StorageConfig,
    pub(super) data: PathBuf,
    secrets: WorldSecrets,
}

/// Why a storage is not to be had without a kernel.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum IdleError {
    /// It is nowhere else than in a kernel that runs.
    #[error("no kernel is running, and a storage in memory ends with its kernel")]
    Forgotten,
    /// There is none.
    #[error("no kernel is running, and there is no database `{}`", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It is in use.
    #[error("kernel `{kernel}`, process {pid}, is running on the storage in `{data}`")]
    Running {
        /// The kernel.
        kernel: String,
        /// Its process.
        pid: u32,
        /// Its data directory.
        data: String,
    },
}

impl Explain for IdleError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Forgotten => "no-kernel",
            Self::Missing { .. } => "not-found",
            Self::Running { .. } => "already-running",
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Forgotten => "start one with `octa run --plugins DIR`",
            Self::Missing { .. } => {
                "`octa run --plugins DIR` makes one; if yours lies elsewhere, name it with \
                 `--data DIR` or `--config FILE`"
            }
            Self::Running { .. } => {
                "stop it first, or name another storage with `--data DIR` and `--config FILE`"
            }
        };
        Some(hint.to_owned())
    }
}

/// The kernel ended before it had answered.
#[derive(Debug, Error)]
#[error("the kernel stopped before the backup was complete, and left nothing of it")]
pub(super) struct StoppedError;

impl Explain for StoppedError {
    fn kind(&self) -> &'static str {
        "no-kernel"
    }
}

impl Explain for ConfiguredError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Secret(_) => "invalid-input",
            #[cfg(feature = "postgres")]
            Self::Postgres(PostgresError::InUse { .. }) => "already-running",
            _ => "unavailable",
        }
    }

    fn hint(&self) -> Option<String> {
        Self::hint(self)
    }
}

/// Finds the storage that is meant.
pub(super) fn find(
    typed: &args::Storage,
    kernel: Option<&str>,
    world: &World,
) -> Result<Found, Failure> {
    let meeting = Meeting::of(world);
    let is_named = typed.data.is_some() || typed.config.is_some();
    if kernel.is_some() || !is_named {
        match meeting.find(kernel) {
            Ok(record) => return Ok(Found::Running(meeting, record)),
            Err(MeetingError::NoKernel) if kernel.is_none() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let configured = Configured::of(typed, world)?;
    let data = meeting::text_of(&configured.data);
    let mut running = meeting.kernels()?.into_iter();
    Ok(match running.find(|record| record.data == data) {
        Some(record) => Found::Running(meeting, record),
        None => Found::Idle(configured),
    })
}

impl Found {
    /// The storage, if nobody has it.
    pub(super) fn idle(self) -> Result<Configured, Failure> {
        match self {
            Self::Idle(configured) => Ok(configured),
            Self::Running(_, record) => Err(IdleError::Running {
                kernel: record.name,
                pid: record.pid,
                data: record.data,
            }
            .into()),
        }
    }
}

impl Configured {
    fn of(typed: &args::Storage, world: &World) -> Result<Self, Failure> {
        let config = typed.config.as_deref().map(config::read).transpose()?;
        let data = config::data_path(typed.data.as_deref(), world)?;
        // A name for the directory as kernels have it, where it is there.
        let data = std::fs::canonicalize(&data).unwrap_or(data);
        Ok(Self {
            config: config.unwrap_or_default().storage,
            data,
            secrets: world.clone().secrets(typed.config.as_deref()),
        })
    }

    /// A storage that is named on the command line.
    pub(super) fn named(place: &Place, world: &World) -> Self {
        Self {
            config: place.to_config(world.postgres_password()),
            data: PathBuf::new(),
            secrets: world.clone().secrets(None),
        }
    }

    /// Opens what is there, and makes nothing.
    pub(super) async fn open(self) -> Result<Desk, Failure> {
        // What there is in the place of the one is known to who opens both.
        let is_there = self.standby().is_some_and(|standby| standby.exists());
        match self.file() {
            Some(path) if !path.exists() && !is_there => {
                return Err(IdleError::Missing { path }.into());
            }
            _ => {}
        }
        self.is_somewhere()?;
        let storage = storage::open(&self.config, &self.data, &self.secrets).await?;
        Ok(self.desk(storage))
    }

    /// Opens what is there, or makes it, to replace all that is in it: nobody else has it meanwhile, not even a
    /// kernel of another machine.
    pub(super) async fn open_alone(self) -> Result<Desk, Failure> {
        self.is_somewhere()?;
        let storage = storage::open_exclusive(&self.config, &self.data, &self.secrets).await?;
        Ok(self.desk(storage))
    }

    fn is_somewhere(&self) -> Result<(), IdleError> {
        match self.config.adapter {
            StorageKind::Memory => Err(IdleError::Forgotten),
            _ => Ok(()),
        }
    }

    fn desk(self, storage: Storage) -> Desk {
        Desk {
            storage,
            kernel: None,
            config: self.config,
            data: self.data,
        }
    }

    /// Makes the data directory, as a kernel does; a storage that is named by itself has none.
    pub(super) fn make_data(&self) -> Result<(), Failure> {
        if self.data == Path::new("") {
            return Ok(());
        }
        let made = std::fs::create_dir_all(&self.data);
        let path = self.data.clone();
        Ok(made.map_err(|source| config::PlanError::Data { path, source })?)
    }

    pub(super) fn file(&self) -> Option<PathBuf> {
        file(&self.config, &self.data)
    }

    pub(super) fn standby(&self) -> Option<PathBuf> {
        standby(&self.config, &self.data)
    }

    /// Where it lies, in words.
    pub(super) fn place(&self) -> String {
        place(&self.config, &self.data).unwrap_or_else(|| self.config.adapter.name().to_owned())
    }
}

/// A path as it is from anywhere.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
