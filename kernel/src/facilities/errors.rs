//! The errors of the facilities as plugins and callers see them.

use octa_loader::NameError;
use octa_plugin_api::{Error, ErrorKind};

use crate::{
    authorize::Denied,
    state::StateError,
    storage::{Invalid, StorageError},
};

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
