//! The errors of the facilities as plugins and callers see them.

use octa_loader::{NameError, Request};
use octa_plugin_api::{Error, ErrorKind};

use crate::{
    authorize::Denied,
    state::StateError,
    storage::{Invalid, StorageError},
};

/// What helps who does something too early.
pub(super) const LATER: &str =
    "do it in a task (`ctx.spawn`) or in a handler: they run once this generation has taken over";

fn with_hint(error: Error, hint: Option<String>) -> Error {
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

pub(super) fn denied(denied: Denied) -> Error {
    let hint = denied.hint();
    with_hint(Error::new(ErrorKind::Denied, denied.to_string()), hint)
}

pub(super) fn name(error: NameError) -> Error {
    Error::new(ErrorKind::InvalidInput, error.to_string())
}

/// The same error, led in by the plugin whose operation it was.
pub(super) fn named(plugin: &str, error: Error) -> Error {
    error.context(format_args!("plugin `{plugin}`"))
}

pub(super) fn state(plugin: &str, error: StateError) -> Error {
    let kind = match &error {
        StateError::Conflict(_) => ErrorKind::Conflict,
        StateError::Quota(_) => ErrorKind::TooLarge,
        StateError::Invalid(invalid) => return self::invalid(plugin, invalid),
        StateError::Closed => ErrorKind::Unavailable,
    };
    let text = error.to_string();
    named(plugin, with_hint(Error::new(kind, text), error.hint()))
}

pub(super) fn invalid(plugin: &str, invalid: &Invalid) -> Error {
    let kind = match invalid {
        Invalid::Size { .. } => ErrorKind::TooLarge,
        _ => ErrorKind::InvalidInput,
    };
    let error = with_hint(Error::new(kind, invalid.to_string()), invalid.hint());
    named(plugin, error)
}

pub(super) fn storage(plugin: &str, error: StorageError) -> Error {
    let kind = match &error {
        StorageError::Conflict(_) => ErrorKind::Conflict,
        StorageError::Quota(_) => ErrorKind::TooLarge,
        StorageError::Invalid(invalid) => return self::invalid(plugin, invalid),
        StorageError::Unavailable { .. } | StorageError::Closed => ErrorKind::Unavailable,
    };
    let mut message = error.to_string();
    if let Some(cause) = std::error::Error::source(&error) {
        message = format!("{message}: {cause}");
    }
    named(plugin, with_hint(Error::new(kind, message), error.hint()))
}

/// The error of a value with a time to live that is not written as one.
#[cold]
pub(super) fn value(plugin: &str, request: &Request<'_>, error: &serde_json::Error) -> Error {
    let (namespace, key) = (request.target, request.key);
    let message = format!("the value for `{namespace}/{key}` is not JSON with a time: {error}");
    named(plugin, Error::new(ErrorKind::InvalidInput, message))
}

/// The error of a batch that is not written as one.
#[cold]
pub(super) fn batch(plugin: &str, namespace: &str, error: &serde_json::Error) -> Error {
    let message = format!("the batch for namespace `{namespace}` is not JSON of writes: {error}");
    named(plugin, Error::new(ErrorKind::InvalidInput, message))
}

/// The error of a namespace that nobody can have.
#[cold]
pub(super) fn namespace(plugin: &str, error: NameError) -> Error {
    let hint = error.hint();
    named(plugin, with_hint(name(error), hint))
}

/// The error of a generation that does what could not be undone if it failed to take over.
#[cold]
pub(super) fn too_early(plugin: &str, what: &str) -> Error {
    let message = format!("plugin `{plugin}` has not taken over yet and may not {what}");
    Error::new(ErrorKind::Unavailable, message).with_hint(LATER)
}

/// The error of a generation that failed to take over.
#[cold]
pub(super) fn failed_trial(plugin: &str) -> Error {
    let message = format!("this generation of plugin `{plugin}` has failed and will not take over");
    Error::new(ErrorKind::PluginGone, message)
}

/// The error of an instance that has ended.
#[cold]
pub(super) fn gone(plugin: &str) -> Error {
    Error::new(ErrorKind::PluginGone, format!("plugin `{plugin}` is gone"))
}
