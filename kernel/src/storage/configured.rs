//! Opens the storage that a configuration names.

use std::path::Path;

use super::standby::{self, PairError, Site};
use super::{Memory, OpenError, Sqlite, Storage};
#[cfg(feature = "postgres")]
use super::{Postgres, PostgresConfig, PostgresError};
use crate::config::{SecretError, Secrets, StorageConfig, StorageKind};

/// Why the configured storage was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfiguredError {
    /// The database file.
    #[error(transparent)]
    Sqlite(#[from] OpenError),
    /// The database file, or its standby.
    #[error(transparent)]
    Pair(PairError),
    /// The server.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The password for the server.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

impl ConfiguredError {
    /// Says what a user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Sqlite(error) => error.hint(),
            Self::Pair(error) => error.hint(),
            #[cfg(feature = "postgres")]
            Self::Postgres(error) => error.hint(),
            Self::Secret(error) => error.hint(),
        }
    }
}

impl From<PairError> for ConfiguredError {
    fn from(error: PairError) -> Self {
        match error {
            PairError::Open(error) => Self::Sqlite(error),
            error => Self::Pair(error),
        }
    }
}

/// Opens the storage that `config` names, with its quotas; `data` is the data directory.
///
/// Needs a tokio runtime for as long as the storage is open, if it is on a server.
///
/// # Errors
///
/// If the file cannot be opened, or the server not be reached.
pub async fn open(
    config: &StorageConfig,
    data: &Path,
    secrets: &dyn Secrets,
) -> Result<Storage, ConfiguredError> {
    let (storage, _) = open_for(config, data, secrets, false).await?;
    Ok(storage)
}

/// The same for one that nobody else is to have meanwhile, on a server either. A file is never had by two.
///
/// # Errors
///
/// As [`open`], and if others have it.
pub async fn open_exclusive(
    config: &StorageConfig,
    data: &Path,
    secrets: &dyn Secrets,
) -> Result<Storage, ConfiguredError> {
    let (storage, _) = open_for(config, data, secrets, true).await?;
    Ok(storage)
}

/// The same as [`open`], and where its standby belongs, if it has one.
pub(crate) async fn open_followed(
    config: &StorageConfig,
    data: &Path,
    secrets: &dyn Secrets,
) -> Result<(Storage, Option<Site>), ConfiguredError> {
    open_for(config, data, secrets, false).await
}

async fn open_for(
    config: &StorageConfig,
    data: &Path,
    secrets: &dyn Secrets,
    is_exclusive: bool,
) -> Result<(Storage, Option<Site>), ConfiguredError> {
    let mut site = None;
    let storage = match config.adapter {
        StorageKind::Memory => Storage::new(Memory::new()),
        StorageKind::Sqlite => {
            let options = Sqlite::options().check(config.check);
            let standby = config.standby.as_ref().map(|standby| data.join(standby));
            let opened = standby::open(&data.join(&config.path), standby.as_deref(), options)?;
            site = opened.1;
            Storage::new(opened.0)
        }
        #[cfg(feature = "postgres")]
        StorageKind::Postgres => {
            let mut server = PostgresConfig::new(config.url.clone().unwrap_or_default());
            let password = config.password.as_ref();
            server.password = password.map(|it| it.read(secrets)).transpose()?;
            server.exclusive = is_exclusive;
            Storage::new(Postgres::open(server).await?)
        }
    };
    #[cfg(not(feature = "postgres"))]
    let _ = (secrets, is_exclusive);
    Ok((storage.with_quotas(config.quotas.clone()), site))
}
