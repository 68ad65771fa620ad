//! The operations on state and storage: what both have in common; each has a file of its own.

mod state;
mod storage;
mod wire;

use octa_loader::{Outcome, Request, changes_flag, expect, operation};
use octa_plugin_api::{Error, ErrorKind, Payload};

use super::errors;
use crate::storage::{Expect, Invalid, Query};
pub(super) use state::state;
pub(super) use storage::storage;
pub(super) use wire::present;

/// What an operation would change, in words; nothing if it only reads.
pub(super) fn written(request: &Request<'_>) -> Option<String> {
    let (namespace, key) = (request.target, request.key);
    match request.operation {
        operation::STATE_GET
        | operation::STATE_LIST
        | operation::STATE_CHANGES
        | operation::STORAGE_GET
        | operation::STORAGE_LIST
        | operation::STORAGE_CHANGES => None,
        operation::STORAGE_BATCH => wire::written(namespace, &request.payload),
        _ => Some(format!("`{namespace}/{key}`")),
    }
}

/// Which version a write expects.
fn expected(request: &Request<'_>) -> Result<Expect, Error> {
    match request.flags {
        expect::ANY => Ok(Expect::Any),
        expect::ABSENT => Ok(Expect::Absent),
        expect::VERSION => Ok(Expect::Version(request.number)),
        unknown => Err(unsupported("expectation", unknown)),
    }
}

/// Behind which version changes are asked for; nothing: from now on.
fn after(request: &Request<'_>) -> Result<Option<u64>, Error> {
    match request.flags {
        changes_flag::NOW => Ok(None),
        changes_flag::AFTER => Ok(Some(request.number)),
        unknown => Err(unsupported("beginning of changes", unknown)),
    }
}

/// Which page is asked for: its limit is the number, the key that it follows the payload.
struct Asked {
    namespace: String,
    prefix: String,
    after: Option<String>,
    limit: usize,
}

impl Asked {
    fn of(request: &Request<'_>, plugin: &str) -> Result<Self, Error> {
        let after = std::str::from_utf8(&request.payload).map_err(|_| {
            let message = "the key to list after is not UTF-8";
            errors::named(plugin, Error::new(ErrorKind::InvalidInput, message))
        })?;
        Ok(Self {
            namespace: request.target.to_owned(),
            prefix: request.key.to_owned(),
            after: Some(after.to_owned()).filter(|key| !key.is_empty()),
            limit: usize::try_from(request.number).unwrap_or(usize::MAX),
        })
    }

    fn query(&self) -> Result<Query<'_>, Invalid> {
        Query::new(&self.namespace, &self.prefix)?
            .after(self.after.as_deref())?
            .limit(self.limit)
    }
}

/// The answer to a read that found nothing.
fn absent(namespace: &str, key: &str) -> Error {
    let message = format!("`{namespace}/{key}` does not exist");
    Error::new(ErrorKind::NotFound, message)
}

fn done(number: impl Into<u64>) -> Outcome {
    Outcome::ok(number.into(), Payload::empty())
}

fn unknown(request: &Request<'_>) -> Error {
    unsupported("operation", format_args!("{:#06x}", request.operation))
}

#[cold]
fn unsupported(what: &str, found: impl std::fmt::Display) -> Error {
    let message = format!("this kernel does not know the {what} {found}");
    Error::new(ErrorKind::Unsupported, message)
}
