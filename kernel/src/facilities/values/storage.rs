//! The operations on storage: each waits for the database.

use std::sync::Arc;

use octa_loader::{Manifest, Outcome, Request, Submitted, operation};
use octa_plugin_api::{Error, Payload};

use super::{Asked, absent, after, done, errors, expected, unknown, wire};
use crate::storage::{Batch, Expect, Since, Storage, StorageError};

/// What an operation asks of the storage; checked as far as that needs no storage.
enum Asks {
    Get(String, String),
    Write(Batch, Answer),
    List(Asked),
    Changes {
        namespace: String,
        prefix: String,
        after: Option<u64>,
    },
}

/// What is answered of a batch.
enum Answer {
    /// The version of its one write; 0 if it changed nothing.
    Version,
    /// Whether its one write changed anything.
    Whether,
    /// The version of each.
    Versions,
}

/// Does an operation on the storage for a plugin.
pub(in crate::facilities) fn storage(
    storage: &Storage,
    plugin: &Arc<Manifest>,
    request: &Request<'_>,
) -> Result<Submitted, Error> {
    let asks = Asks::of(request, &plugin.name)?;
    let (storage, plugin) = (storage.clone(), plugin.clone());
    Ok(Submitted::New(Box::pin(async move {
        let answered = asks.done(&storage, &plugin.name).await;
        answered.unwrap_or_else(Outcome::from)
    })))
}

impl Asks {
    fn of(request: &Request<'_>, plugin: &str) -> Result<Self, Error> {
        let (namespace, key) = (request.target, request.key);
        let mut batch = Batch::new();
        Ok(match request.operation {
            operation::STORAGE_GET => Self::Get(namespace.to_owned(), key.to_owned()),
            operation::STORAGE_SET => {
                let (expect, value) = (expected(request)?, request.payload.clone());
                let added = batch.put(namespace, key, expect, value).map(drop);
                added.map_err(|e| errors::invalid(plugin, &e))?;
                Self::Write(batch, Answer::Version)
            }
            operation::STORAGE_DELETE => {
                let added = batch.delete(namespace, key, expected(request)?).map(drop);
                added.map_err(|e| errors::invalid(plugin, &e))?;
                Self::Write(batch, Answer::Whether)
            }
            operation::STORAGE_LIST => Self::List(Asked::of(request, plugin)?),
            operation::STORAGE_BATCH => {
                let batch = self::batch(namespace, plugin, &request.payload)?;
                Self::Write(batch, Answer::Versions)
            }
            operation::STORAGE_CHANGES => Self::Changes {
                namespace: namespace.to_owned(),
                prefix: key.to_owned(),
                after: after(request)?,
            },
            _ => return Err(unknown(request)),
        })
    }

    async fn done(self, storage: &Storage, plugin: &str) -> Result<Outcome, Error> {
        let failed = |error: StorageError| errors::storage(plugin, error);
        match self {
            Self::Get(namespace, key) => {
                let found = storage.get(&namespace, &key).await.map_err(failed)?;
                let found = found.ok_or_else(|| absent(&namespace, &key))?;
                Ok(Outcome::ok(found.version, found.value))
            }
            Self::Write(batch, answer) => {
                let outcomes = storage.apply(batch).await.map_err(failed)?;
                let versions: Vec<_> = outcomes.iter().map(|outcome| outcome.version()).collect();
                let first = versions.first().copied().flatten();
                Ok(match answer {
                    Answer::Version => done(first.unwrap_or_default()),
                    Answer::Whether => done(first.is_some()),
                    Answer::Versions => Outcome::ok(0, Payload::json(&versions)?),
                })
            }
            Self::List(asked) => {
                let query = asked.query().map_err(|e| errors::invalid(plugin, &e))?;
                wire::page(&storage.list(query).await.map_err(failed)?)
            }
            Self::Changes {
                namespace,
                prefix,
                after,
            } => {
                let since = Since::new(&namespace, &prefix, after);
                let since = since.map_err(|e| errors::invalid(plugin, &e))?;
                wire::changes(&storage.changes(since).await.map_err(failed)?)
            }
        }
    }
}

fn batch(namespace: &str, plugin: &str, payload: &Payload) -> Result<Batch, Error> {
    let writes = wire::writes(payload);
    let writes = writes.map_err(|e| errors::batch(plugin, namespace, &e))?;
    let mut batch = Batch::new();
    for write in writes {
        let expect = match write.expect {
            None => Expect::Any,
            Some(0) => Expect::Absent,
            Some(version) => Expect::Version(version),
        };
        let (key, value) = (&write.key, write.value.map(|value| value.get().as_bytes()));
        let added = match value {
            Some(value) if write.is_appended => batch.append(namespace, key, value),
            Some(value) => batch.put(namespace, key, expect, value),
            None => batch.delete(namespace, key, expect),
        };
        added.map_err(|e| errors::invalid(plugin, &e))?;
    }
    Ok(batch)
}
