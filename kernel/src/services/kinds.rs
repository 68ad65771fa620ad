//! What the kind of an error says of a call and of its provider; what is remembered of a call is
//! the business of `guard::results`.

use octa_plugin_api::{Error, ErrorKind};

/// Whether the same call may well succeed a little later.
pub(super) fn may_pass(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Failed
            | ErrorKind::Panicked
            | ErrorKind::Interrupted
            | ErrorKind::Unavailable
            | ErrorKind::PluginGone
            | ErrorKind::InvalidOutput
            | ErrorKind::Internal
    )
}

/// Whether an error says that nobody could answer, and is not an answer itself.
pub(super) fn is_no_answer(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Panicked
            | ErrorKind::Interrupted
            | ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::UnknownCapability
            | ErrorKind::PluginGone
            | ErrorKind::InvalidOutput
            | ErrorKind::Internal
    )
}

/// Whether an error says that the provider does badly, and not that it was asked for what it has
/// reason to refuse.
pub(super) fn is_fault(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Failed
            | ErrorKind::Panicked
            | ErrorKind::Deadline
            | ErrorKind::Interrupted
            | ErrorKind::Unavailable
            | ErrorKind::Overloaded
            | ErrorKind::PluginGone
            | ErrorKind::InvalidOutput
            | ErrorKind::Internal
    )
}
