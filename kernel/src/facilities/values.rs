//! The operations on state and storage.

use octa_loader::{Outcome, Request, Submitted, operation};
use octa_plugin_api::{Error, ErrorKind, Payload};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::errors;
use crate::{
    state::State,
    storage::{Batch, Expect, Page, Query, Record, Storage},
};

/// What an operation would change, in words; nothing if it only reads.
pub(super) fn written(request: &Request<'_>) -> Option<String> {
    let (namespace, key) = (request.target, request.key);
    match request.operation {
        operation::STATE_GET
        | operation::STATE_LIST
        | operation::STORAGE_GET
        | operation::STORAGE_LIST => None,
        operation::STORAGE_BATCH => {
            // One that cannot be read is refused for that.
            let writes: Vec<WriteIn> = request.payload.parse().ok()?;
            let (first, others) = writes.split_first()?;
            let first = format!("`{namespace}/{}`", first.key);
            Some(match others.len() {
                0 => first,
                more => format!("{first} and {more} more"),
            })
        }
        _ => Some(format!("`{namespace}/{key}`")),
    }
}

/// Does an operation on the state.
pub(super) fn state(state: &State, request: &Request<'_>) -> Result<Outcome, Error> {
    let (namespace, key) = (request.target, request.key);
    match request.operation {
        operation::STATE_GET => found(state.get(namespace, key).map_err(errors::state)?, request),
        operation::STATE_SET => {
            let value = request.payload.clone();
            let version = state.compare_and_set(namespace, key, expected(request)?, value);
            Ok(Outcome::ok(
                version.map_err(errors::state)?,
                Payload::empty(),
            ))
        }
        operation::STATE_DELETE => {
            let deleted = state.compare_and_delete(namespace, key, expected(request)?);
            Ok(Outcome::ok(
                deleted.map_err(errors::state)?.into(),
                Payload::empty(),
            ))
        }
        operation::STATE_LIST => list_state(state, namespace, key),
        _ => Err(unknown(request)),
    }
}

/// All pages at once: the state is in memory.
fn list_state(state: &State, namespace: &str, prefix: &str) -> Result<Outcome, Error> {
    let mut entries = Vec::new();
    let mut after = None;
    loop {
        let query = Query::new(namespace, prefix).and_then(|query| query.after(after.as_deref()));
        let page = state.list(query.map_err(|e| errors::invalid(&e))?);
        entries.extend(entries_of(&page)?);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(Outcome::ok(0, Payload::json(&entries)?)),
        }
    }
}

/// Does an operation on the storage.
pub(super) fn storage(storage: &Storage, request: &Request<'_>) -> Result<Submitted, Error> {
    let storage = storage.clone();
    let [namespace, key] = [request.target, request.key].map(str::to_owned);
    let work: Work = match request.operation {
        operation::STORAGE_GET => {
            let asked = Asked::of(request);
            Box::pin(async move {
                let record = storage
                    .get(&namespace, &key)
                    .await
                    .map_err(errors::storage)?;
                asked.found(record)
            })
        }
        operation::STORAGE_SET => {
            let (expect, value) = (expected(request)?, request.payload.clone());
            Box::pin(async move {
                let version = storage
                    .compare_and_set(&namespace, &key, expect, value)
                    .await;
                Ok(Outcome::ok(
                    version.map_err(errors::storage)?,
                    Payload::empty(),
                ))
            })
        }
        operation::STORAGE_DELETE => {
            let expect = expected(request)?;
            Box::pin(async move {
                let deleted = storage.compare_and_delete(&namespace, &key, expect).await;
                Ok(Outcome::ok(
                    deleted.map_err(errors::storage)?.into(),
                    Payload::empty(),
                ))
            })
        }
        operation::STORAGE_LIST => {
            let (after, limit) = (request.payload.clone(), request.number);
            Box::pin(async move { list(&storage, &namespace, &key, &after, limit).await })
        }
        operation::STORAGE_BATCH => {
            let batch = batch(&namespace, &request.payload)?;
            Box::pin(async move {
                let outcomes = storage.apply(batch).await.map_err(errors::storage)?;
                let versions: Vec<_> = outcomes.iter().map(|outcome| outcome.version()).collect();
                Ok(Outcome::ok(0, Payload::json(&versions)?))
            })
        }
        _ => return Err(unknown(request)),
    };
    Ok(Submitted::New(Box::pin(async move {
        work.await.unwrap_or_else(Outcome::from)
    })))
}

type Work = std::pin::Pin<Box<dyn Future<Output = Result<Outcome, Error>> + Send>>;

async fn list(
    storage: &Storage,
    namespace: &str,
    prefix: &str,
    after: &Payload,
    limit: u64,
) -> Result<Outcome, Error> {
    let after = std::str::from_utf8(after).map_err(|_| {
        Error::new(
            ErrorKind::InvalidInput,
            "the key to list after is not UTF-8",
        )
    })?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let query = Query::new(namespace, prefix)
        .and_then(|query| query.after(Some(after).filter(|key| !key.is_empty())))
        .and_then(|query| query.limit(limit))
        .map_err(|e| errors::invalid(&e))?;
    let page = storage.list(query).await.map_err(errors::storage)?;
    let entries = entries_of(&page)?;
    let next = page.next.as_deref();
    Ok(Outcome::ok(0, Payload::json(&PageOut { entries, next })?))
}

#[derive(Serialize)]
struct PageOut<'a> {
    entries: Vec<EntryOut<'a>>,
    next: Option<&'a str>,
}

#[derive(Serialize)]
struct EntryOut<'a> {
    key: String,
    version: u64,
    value: Raw<'a>,
}

/// JSON that is written as it stands.
#[derive(Serialize)]
struct Raw<'a>(std::borrow::Cow<'a, RawValue>);

fn entries_of(page: &Page) -> Result<Vec<EntryOut<'static>>, Error> {
    let entry = |entry: &crate::storage::Entry| {
        let value: Box<RawValue> = serde_json::from_slice(&entry.record.value)?;
        Ok(EntryOut {
            key: entry.key.to_string(),
            version: entry.record.version,
            value: Raw(std::borrow::Cow::Owned(value)),
        })
    };
    page.entries.iter().map(entry).collect()
}

/// One write of a batch as it crosses. An absent value deletes, `null` is a value.
#[derive(Deserialize)]
struct WriteIn {
    key: String,
    #[serde(default, deserialize_with = "present")]
    value: Option<Box<RawValue>>,
    expect: Option<u64>,
}

fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

fn batch(namespace: &str, payload: &Payload) -> Result<Batch, Error> {
    let writes: Vec<WriteIn> = payload.parse()?;
    let mut batch = Batch::new();
    for write in writes {
        let expect = match write.expect {
            None => Expect::Any,
            Some(0) => Expect::Absent,
            Some(version) => Expect::Version(version),
        };
        let added = match write.value {
            Some(value) => batch.put(namespace, &write.key, expect, value.get().as_bytes()),
            None => batch.delete(namespace, &write.key, expect),
        };
        added.map_err(|e| errors::invalid(&e))?;
    }
    Ok(batch)
}

fn expected(request: &Request<'_>) -> Result<Expect, Error> {
    use octa_loader::expect;
    match request.flags {
        expect::ANY => Ok(Expect::Any),
        expect::ABSENT => Ok(Expect::Absent),
        expect::VERSION => Ok(Expect::Version(request.number)),
        unknown => {
            let message = format!("this kernel does not know the expectation {unknown}");
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}

/// What a read asked for, for the error.
struct Asked {
    namespace: String,
    key: String,
}

impl Asked {
    fn of(request: &Request<'_>) -> Self {
        Self {
            namespace: request.target.to_owned(),
            key: request.key.to_owned(),
        }
    }

    fn found(&self, record: Option<Record>) -> Result<Outcome, Error> {
        let Some(record) = record else {
            let message = format!("`{}/{}` does not exist", self.namespace, self.key);
            return Err(Error::new(ErrorKind::NotFound, message));
        };
        Ok(Outcome::ok(record.version, record.value))
    }
}

fn found(record: Option<Record>, request: &Request<'_>) -> Result<Outcome, Error> {
    Asked::of(request).found(record)
}

fn unknown(request: &Request<'_>) -> Error {
    let message = format!(
        "this kernel does not know the operation {:#06x}",
        request.operation
    );
    Error::new(ErrorKind::Unsupported, message)
}
