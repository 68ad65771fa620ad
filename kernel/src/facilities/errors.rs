//! The errors of the facilities as plugins and callers see them.

use octa_loader::NameError;
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

pub(super) fn state(error: StateError) -> Error {
    let (kind, hint) = match &error {
        StateError::Conflict(_) => (ErrorKind::Conflict, error.hint()),
        StateError::Invalid(invalid) => return self::invalid(invalid),
    };
    with_hint(Error::new(kind, error.to_string()), hint)
}

pub(super) fn invalid(invalid: &Invalid) -> Error {
    let kind = match invalid {
        Invalid::Size { .. } => ErrorKind::TooLarge,
        _ => ErrorKind::InvalidInput,
    };
    with_hint(Error::new(kind, invalid.to_string()), invalid.hint())
}

pub(super) fn storage(error: StorageError) -> Error {
    let kind = match &error {
        StorageError::Conflict(_) => ErrorKind::Conflict,
        StorageError::Invalid(invalid) => return self::invalid(invalid),
        StorageError::Unavailable { .. } | StorageError::Closed => ErrorKind::Unavailable,
    };
    let mut message = error.to_string();
    if let Some(cause) = std::error::Error::source(&error) {
        message = format!("{message}: {cause}");
    }
    with_hint(Error::new(kind, message), error.hint())
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
