//! What is kept, and how much: `[storage]` and `[state]`.
//!
//! Opening what is named here is the job of `storage::open`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use octa_loader::NameKind;

use super::document::{Node, Table};
use super::secret::Secret;
use super::{ConfigError, read};
use crate::storage::{Quota, Quotas};

/// What each namespace of storage may hold where nothing else is said.
const STORAGE_QUOTA: Quota = Quota { bytes: 1 << 30 };
/// The same of state, which is in memory.
const STATE_QUOTA: Quota = Quota { bytes: 64 << 20 };

/// Where storage is kept, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConfig {
    /// What keeps it.
    pub adapter: StorageKind,
    /// The database file of SQLite, relative to the data directory.
    pub path: PathBuf,
    /// A second file of SQLite that follows the first one, relative to the data directory.
    pub standby: Option<PathBuf>,
    /// Whether the file is looked through for damage when it is opened.
    pub check: bool,
    /// The address of the PostgreSQL server and its database, without a password.
    pub url: Option<String>,
    /// The password for it.
    pub password: Option<Secret>,
    /// How much each namespace may hold.
    pub quotas: Quotas,
}

/// The storage adapters that a configuration can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageKind {
    /// A database file.
    Sqlite,
    /// Nothing survives the process.
    Memory,
    /// A PostgreSQL server.
    #[cfg(feature = "postgres")]
    Postgres,
}

/// How much is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateConfig {
    /// How much each namespace may hold.
    pub quota: Quota,
}

impl Default for StorageConfig {
    fn default() -> Self {
        StorageConfig {
            adapter: StorageKind::Sqlite,
            path: PathBuf::from("octa.db"),
            standby: None,
            check: true,
            url: None,
            password: None,
            quotas: Quotas {
                each: Some(STORAGE_QUOTA),
                of: BTreeMap::new(),
            },
        }
    }
}

impl Default for StateConfig {
    fn default() -> Self {
        StateConfig { quota: STATE_QUOTA }
    }
}

impl StorageKind {
    /// All that this program has, by the word for each.
    const ALL: &[(&str, Self)] = &[
        ("sqlite", Self::Sqlite),
        ("memory", Self::Memory),
        #[cfg(feature = "postgres")]
        ("postgres", Self::Postgres),
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.iter();
        let found = all.find(|(_, kind)| *kind == self);
        found.map_or("", |(name, _)| name)
    }

    /// The keys that have a meaning with it alone.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Sqlite => &["path", "standby", "check"],
            Self::Memory => &[],
            #[cfg(feature = "postgres")]
            Self::Postgres => &["url", "password"],
        }
    }
}

/// The keys that belong to one adapter, with its name.
const OWNED: [(&str, &str); 5] = [
    ("path", "sqlite"),
    ("standby", "sqlite"),
    ("check", "sqlite"),
    ("url", "postgres"),
    ("password", "postgres"),
];

const ADDRESS: &str = "an address such as \"postgres://octa@localhost/octa\"";

pub(super) fn storage(node: Node<'_>) -> Result<StorageConfig, ConfigError> {
    let table = node.table()?;
    table.only(&[
        "adapter", "path", "standby", "check", "url", "password", "quota", "quotas",
    ])?;
    let default = StorageConfig::default();
    let adapter = table.optional("adapter", adapter)?;
    let adapter = adapter.unwrap_or(default.adapter);
    keys_fit(&table, adapter)?;
    let path = table.optional("path", |node| node.file())?;
    let path = path.unwrap_or(default.path);
    let url = table.optional("url", url)?;
    if let Some(node) = table.get("adapter")
        && url.is_none()
        && adapter.keys().contains(&"url")
    {
        return Err(node.lacks("storage.url", ADDRESS));
    }
    Ok(StorageConfig {
        adapter,
        standby: table.optional("standby", |node| standby(node, &path))?,
        path,
        check: table
            .optional("check", |node| node.boolean())?
            .unwrap_or(default.check),
        url,
        password: table.optional("password", Secret::read_from)?,
        quotas: Quotas {
            each: Some(table.optional("quota", quota)?.unwrap_or(STORAGE_QUOTA)),
            of: read(table.get("quotas"), quotas)?,
        },
    })
}

pub(super) fn state(node: Node<'_>) -> Result<StateConfig, ConfigError> {
    let table = node.table()?;
    table.only(&["quota"])?;
    let quota = table.optional("quota", quota)?;
    Ok(StateConfig {
        quota: quota.unwrap_or(STATE_QUOTA),
    })
}

fn adapter(node: Node<'_>) -> Result<StorageKind, ConfigError> {
    let is_left_out = |name: &str| StorageKind::ALL.iter().all(|(known, _)| *known != name);
    if node.text("").is_ok_and(|name| name == "postgres") && is_left_out("postgres") {
        return Err(node.advise(
            "`\"postgres\"`, which this program was built without",
            "`\"sqlite\"` or `\"memory\"`",
            "build it with the feature `postgres`",
        ));
    }
    node.choice(StorageKind::ALL)
}

/// Refuses what another adapter would need.
fn keys_fit(table: &Table<'_>, adapter: StorageKind) -> Result<(), ConfigError> {
    for (key, owner) in OWNED {
        if let Some(node) = table.get(key)
            && !adapter.keys().contains(&key)
        {
            let found = format!("given with the adapter `{:?}`", adapter.name());
            return Err(node.unlike(found, format!("it with the adapter `{owner:?}` alone")));
        }
    }
    Ok(())
}

fn standby(node: Node<'_>, path: &Path) -> Result<PathBuf, ConfigError> {
    match node.file()? {
        standby if standby == path => Err(node.unlike(
            "the file that `storage.path` names",
            "another one, best on another disk",
        )),
        standby => Ok(standby),
    }
}

/// What it says is told only once it is known to hold no password.
fn url(node: Node<'_>) -> Result<String, ConfigError> {
    let text = node.text(ADDRESS)?;
    if has_password(text) {
        return Err(node.advise(
            "an address with a password in it",
            "one without",
            "leave it out there, and write `password = { file = \"/run/secrets/octa\" }`, \
             `{ env = \"NAME\" }` or the text itself beside it",
        ));
    }
    match is_address(text) {
        true => Ok(text.to_owned()),
        false => Err(node.mismatch(ADDRESS)),
    }
}

/// Whether it is the address of a PostgreSQL server.
fn is_address(url: &str) -> bool {
    let rest = ["postgres://", "postgresql://"].map(|scheme| url.strip_prefix(scheme));
    rest.into_iter().flatten().any(|rest| !rest.is_empty())
}

/// Whether an address of a server has a password in it, at either of the two places for one.
pub fn has_password(url: &str) -> bool {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let user = rest.rsplit_once('@').map(|(user, _)| user);
    let mut parameters = query.split('&').chain(address.split_whitespace());
    user.is_some_and(|user| user.contains(':'))
        || parameters.any(|parameter| parameter.trim_start().starts_with("password="))
}

fn quota(node: Node<'_>) -> Result<Quota, ConfigError> {
    let bytes = node.some_bytes()?;
    Ok(Quota { bytes })
}

fn quotas(node: Node<'_>) -> Result<BTreeMap<String, Quota>, ConfigError> {
    let table = node.table()?;
    table.names(NameKind::Namespace)?;
    let quotas = table.iter().map(|(namespace, node)| {
        if namespace == "kernel" || namespace.starts_with("kernel.") {
            return Err(node.unlike(
                "given for a namespace of the kernel's own",
                "none: a journal and its events that wait have that of its namespace, the others have no bound",
            ));
        }
        Ok((namespace.to_owned(), quota(node)?))
    });
    quotas.collect()
}

#[cfg(test)]
mod tests;
