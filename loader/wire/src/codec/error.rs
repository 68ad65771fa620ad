//! What can be wrong with bytes that ought to be a message.

use thiserror::Error;

use super::FRAME_BYTES_MAX;

/// Why bytes are not a message. The other side speaks something else, or garbage: nothing after
/// such a frame can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// Not even a kind.
    #[error("a frame of 0 bytes, expected at least its kind")]
    Empty,
    /// A length that no frame has.
    #[error("a frame of {found} bytes, expected at most {FRAME_BYTES_MAX}")]
    TooLong {
        /// What the length says.
        found: u32,
    },
    /// The only error that leaves the frames after it as good as before.
    #[error("a frame of kind {found:#04x}, expected one of `{expected}`")]
    UnknownKind {
        /// The direction: the type that was to be decoded.
        expected: &'static str,
        /// The kind.
        found: u8,
    },
    /// The frame ends within a field.
    #[error("`{kind}` ends in `{field}`: expected {expected} more bytes, found {found}")]
    Truncated {
        /// The name of the kind.
        kind: &'static str,
        /// The name of the field.
        field: &'static str,
        /// What the field needs from here on.
        expected: usize,
        /// What there is.
        found: usize,
    },
    /// A list says that it has more elements than the rest of the frame can hold.
    #[error("`{kind}` lists {found} in `{field}`, expected at most {expected} in the bytes left")]
    TooMany {
        /// The name of the kind.
        kind: &'static str,
        /// The name of the field.
        field: &'static str,
        /// How many could fit.
        expected: usize,
        /// How many it says.
        found: usize,
    },
    /// A text is not UTF-8.
    #[error("`{field}` of `{kind}` is no text: expected UTF-8, found another byte at {found}")]
    NotText {
        /// The name of the kind.
        kind: &'static str,
        /// The name of the field.
        field: &'static str,
        /// Up to here it is.
        found: usize,
    },
    /// There is more than the kind has fields for.
    #[error("`{kind}` ends {found} bytes after its last field, expected none")]
    Trailing {
        /// The name of the kind.
        kind: &'static str,
        /// How many bytes.
        found: usize,
    },
}
