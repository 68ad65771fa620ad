//! Opens the storage that a configuration names.

use std::path::{Path, PathBuf};

use super::half::{Half, half};
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
    /// A restore or a copy into it did not end.
    #[error(
        "storage `{place}` holds only a part: what was to fill it did not end{}",
        kept(aside.as_deref())
    )]
    Half {
        /// The file or the address.
        place: String,
        /// A backup of what was there before.
        aside: Option<PathBuf>,
    },
}

fn kept(aside: Option<&Path>) -> String {
    aside.map_or_else(String::new, |aside| {
        format!("; what was there before is kept as `{}`", aside.display())
    })
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
            Self::Half { aside: None, .. } => Some(
                "do it again: `octa storage migrate`, or `octa storage restore BACKUP --force`"
                    .to_owned(),
            ),
            Self::Half {
                aside: Some(aside), ..
            } => Some(format!(
                "do it again: `octa storage restore BACKUP --force`; or bring back what was there: `octa storage \
                 restore {} --force`, with the `--config` of the storage",
                aside.display()
            )),
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

/// The same as [`open`] for a kernel, and where its standby belongs, if it has one.
///
/// # Errors
///
/// As [`open`], and if it holds only a part of what was to fill it.
pub(crate) async fn open_followed(
    config: &StorageConfig,
    data: &Path,
    secrets: &dyn Secrets,
) -> Result<(Storage, Option<Site>), ConfiguredError> {
    let (storage, site) = open_for(config, data, secrets, false).await?;
    // What cannot be read is told to who reads it, and is no reason not to start.
    if let Ok(Some(Half { aside })) = half(&**storage.adapter()).await {
        // Why it is closed says more than how that went.
        drop(storage.close().await);
        let place = match config.adapter {
            StorageKind::Sqlite => data.join(&config.path).display().to_string(),
            _ => config.url.clone().unwrap_or_default(),
        };
        return Err(ConfiguredError::Half { place, aside });
    }
    Ok((storage, site))
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

#[cfg(test)]
mod tests {
    use super::super::{StorageAdapter as _, half};
    use super::*;
    use crate::config::NoSecrets;

    #[tokio::test]
    async fn no_kernel_starts_on_a_part() {
        let home = tempfile::tempdir().expect("a directory");
        let config = StorageConfig::default();
        let check = async |expect: Option<&str>| {
            let opened = open_followed(&config, home.path(), &NoSecrets).await;
            let told = opened.map(drop).map_err(|error| {
                let told = format!("{error}\nhint: {}", error.hint().unwrap_or_default());
                told.replace(&home.path().display().to_string(), "HOME")
            });
            assert_eq!(told.err().as_deref(), expect);
        };
        check(None).await;
        let mark = async |aside: Option<&Path>| {
            let storage = Sqlite::open(home.path().join("octa.db")).expect("it opens");
            let begun = half::begin(&storage, aside).await;
            begun.expect("it is written");
            storage.close().await.expect("it closes");
        };
        mark(None).await;
        check(Some(
            "storage `HOME/octa.db` holds only a part: what was to fill it did not end\n\
             hint: do it again: `octa storage migrate`, or `octa storage restore BACKUP --force`",
        ))
        .await;
        mark(Some(Path::new("/data/octa.db.replaced-1"))).await;
        check(Some(
            "storage `HOME/octa.db` holds only a part: what was to fill it did not end; what was there before is \
             kept as `/data/octa.db.replaced-1`\n\
             hint: do it again: `octa storage restore BACKUP --force`; or bring back what was there: `octa storage \
             restore /data/octa.db.replaced-1 --force`, with the `--config` of the storage",
        ))
        .await;
    }
}
