//! The database that is hammered: how a worker's kernel gets it, and how it is looked at behind a crash.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use octa_kernel::Config;
use octa_kernel::storage::{Postgres, PostgresConfig, Sqlite, StorageAdapter};
use tempfile::TempDir;

use crate::found::Found;

const FILE: &str = "octa.db";
const STANDBY: &str = "standby.db";
/// What SQLite keeps beside a file, which belongs to it.
const LOG: &str = "-wal";

/// Where it is.
#[derive(Debug, Clone, Args)]
pub(crate) struct Store {
    /// The data directory.
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// The address of a PostgreSQL server and its database, instead of a file in the data directory.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Whether a second file follows.
    #[arg(long)]
    pub(crate) standby: bool,
}

impl Store {
    /// What `octa.toml` says.
    pub(crate) fn config(&self) -> Result<Config> {
        let storage = match (&self.url, self.standby) {
            (Some(url), _) => format!("adapter = \"postgres\"\nurl = \"{url}\""),
            (None, true) => format!("path = \"{FILE}\"\nstandby = \"{STANDBY}\""),
            (None, false) => format!("path = \"{FILE}\""),
        };
        Ok(Config::parse(
            &format!("[storage]\n{storage}\n"),
            "octa.toml",
        )?)
    }

    /// Opens it as the kernel does.
    pub(crate) async fn open(&self) -> Result<Arc<dyn StorageAdapter>> {
        Ok(match &self.url {
            Some(url) => Arc::new(Postgres::open(PostgresConfig::new(url)).await?),
            None => Arc::new(Sqlite::open(self.data.join(FILE))?),
        })
    }

    /// Reads what is there, of a file from a copy: the next kernel finds it as the crash left it.
    pub(crate) async fn look(&self) -> Result<Found> {
        match &self.url {
            Some(_) => read(&*self.open().await?).await,
            None => look_at_copy(&self.data.join(FILE)).await,
        }
    }

    /// Reads what the standby has; nothing if there is none yet.
    pub(crate) async fn look_at_standby(&self) -> Result<Option<Found>> {
        let standby = self.data.join(STANDBY);
        if !standby.exists() {
            return Ok(None);
        }
        let found = look_at_copy(&standby).await;
        found.context("the standby").map(Some)
    }

    /// Where a backup is made.
    pub(crate) fn backup(&self, number: u32) -> PathBuf {
        self.data.join(format!("backup-{number}.db"))
    }

    /// Reads a backup and removes it; nothing if there is none.
    pub(crate) async fn take_backup(&self, number: u32) -> Result<Option<Found>> {
        let backup = self.backup(number);
        if !backup.exists() {
            return Ok(None);
        }
        let found = read(&Sqlite::open(&backup)?).await?;
        fs::remove_file(&backup)?;
        Ok(Some(found))
    }
}

/// In a directory of its own: what SQLite and the kernel keep beside a file is not that of another copy.
async fn look_at_copy(file: &Path) -> Result<Found> {
    let directory = TempDir::with_prefix_in("look-", file.parent().context("it is a file")?)?;
    let copy = directory.path().join(FILE);
    if !file.exists() {
        return Ok(Found::default());
    }
    for suffix in ["", LOG] {
        let from = beside(file, suffix);
        if from.exists() {
            fs::copy(&from, beside(&copy, suffix))?;
        }
    }
    read(&Sqlite::open(copy)?).await
}

async fn read(database: &dyn StorageAdapter) -> Result<Found> {
    let found = Found::read(database).await?;
    database.close().await?;
    Ok(found)
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
