//! What goes wrong, as plugins and callers see it: one type on both sides of the boundary.

use std::{borrow::Cow, fmt};

use octa_plugin_abi::code;
use serde::{Deserialize, Serialize};

use crate::Payload;

/// The result of everything a plugin does and asks for.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:ident, $label:literal;)*) => {
        /// What kind of error it is; callers may branch on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $name,)*
            /// A kind that a newer side knows.
            Other(u32),
        }

        impl ErrorKind {
            /// The code that crosses the boundary.
            pub const fn code(self) -> u32 {
                match self {
                    $(Self::$name => code::$code,)*
                    Self::Other(code) => code,
                }
            }

            /// The kind of a code.
            pub const fn from_code(code: u32) -> Self {
                match code {
                    $(code::$code => Self::$name,)*
                    other => Self::Other(other),
                }
            }

            /// A short name, as in answers of the admin socket: `not-found`.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$name => $label,)*
                    Self::Other(_) => "other",
                }
            }

            /// The kind of a label.
            pub fn from_label(label: &str) -> Self {
                match label {
                    $($label => Self::$name,)*
                    _ => Self::Other(u32::MAX),
                }
            }
        }
    };
}

kinds! {
    /// The author's code returned an error.
    Failed = FAILED, "failed";
    /// The author's code panicked.
    Panicked = PANICKED, "panicked";
    /// The input is not what was asked for.
    InvalidInput = INVALID_INPUT, "invalid-input";
    /// The thing named does not exist.
    NotFound = NOT_FOUND, "not-found";
    /// A permission is missing.
    Denied = DENIED, "denied";
    /// The deadline passed.
    Deadline = DEADLINE, "deadline";
    /// The caller went away.
    Cancelled = CANCELLED, "cancelled";
    /// The provider was stopped while it worked on the call.
    Interrupted = INTERRUPTED, "interrupted";
    /// Nobody can answer now.
    Unavailable = UNAVAILABLE, "unavailable";
    /// A compare-and-set found another version.
    Conflict = CONFLICT, "conflict";
    /// A limit of size was passed.
    TooLarge = TOO_LARGE, "too-large";
    /// The other side does not know this operation.
    Unsupported = UNSUPPORTED, "unsupported";
    /// The generation that owned the handle is gone.
    PluginGone = PLUGIN_GONE, "plugin-gone";
    /// No plugin offers this capability.
    UnknownCapability = UNKNOWN_CAPABILITY, "unknown-capability";
    /// The call would go round in a circle.
    Cycle = CYCLE, "cycle";
    /// A queue or a concurrency limit is full.
    Overloaded = OVERLOADED, "overloaded";
    /// The output is not what was declared.
    InvalidOutput = INVALID_OUTPUT, "invalid-output";
    /// The host failed.
    Internal = INTERNAL, "internal";
}

/// An error: its kind, a message, and what helps to mend it.
///
/// Every `std::error::Error` converts into one (kind [`ErrorKind::Failed`], the causes in the
/// message), so `?` works. For that it cannot implement `std::error::Error` itself.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    document: Document,
}

/// The error as it crosses the boundary, in JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Document {
    message: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<Cow<'static, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plugin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<serde_json::Value>,
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        let document = Document {
            message: message.into(),
            ..Document::default()
        };
        Self(Box::new(Inner { kind, document }))
    }

    /// An error of the author's own, kind [`ErrorKind::Failed`].
    pub fn msg(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// The same error with a hint at the way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.document.hint = Some(hint.into());
        self
    }

    /// The same error with the place in the source it came from.
    #[must_use]
    pub fn with_location(mut self, location: impl Into<String>) -> Self {
        self.0.document.location = Some(location.into());
        self
    }

    /// The same error, telling which plugin it came from, unless it tells already.
    #[must_use]
    pub fn from_plugin(mut self, plugin: &str) -> Self {
        self.0
            .document
            .plugin
            .get_or_insert_with(|| plugin.to_owned());
        self
    }

    /// The same error with details for programs.
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.0.document.details = Some(details);
        self
    }

    /// The same error, its message led in by `context`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.document.message = format!("{context}: {}", self.0.document.message).into();
        self
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.0.document.message
    }

    /// How it can be mended, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.0.document.hint.as_deref()
    }

    /// Where a panic happened: `src/lib.rs:12:5`.
    pub fn location(&self) -> Option<&str> {
        self.0.document.location.as_deref()
    }

    /// The plugin it came from.
    pub fn plugin(&self) -> Option<&str> {
        self.0.document.plugin.as_deref()
    }

    /// Details for programs.
    pub fn details(&self) -> Option<&serde_json::Value> {
        self.0.document.details.as_ref()
    }

    /// Writes the error document that crosses the boundary.
    #[doc(hidden)]
    pub fn to_document(&self) -> Payload {
        Payload::json(&self.0.document).unwrap_or_default()
    }

    /// Reads an error document; what is no document becomes the message.
    #[doc(hidden)]
    pub fn from_document(code: u32, document: &[u8]) -> Self {
        let document = serde_json::from_slice(document).unwrap_or_else(|_| Document {
            message: String::from_utf8_lossy(document).into_owned().into(),
            ..Document::default()
        });
        Self(Box::new(Inner {
            kind: ErrorKind::from_code(code),
            document,
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind().label(), self.message())?;
        if let Some(location) = self.location() {
            write!(f, " (at {location})")?;
        }
        match self.hint() {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::msg(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crosses_as_a_document() {
        let error = Error::new(ErrorKind::Denied, "may not")
            .with_hint("ask")
            .from_plugin("lamp");
        let back = Error::from_document(error.kind().code(), &error.to_document());
        assert_eq!(format!("{back:?}"), "denied: may not (hint: ask)");
        assert_eq!(back.plugin(), Some("lamp"));
    }

    #[test]
    fn unknown_codes_are_kept() {
        let error = Error::from_document(4711, b"no JSON");
        assert_eq!(error.kind(), ErrorKind::Other(4711));
        assert_eq!(error.message(), "no JSON");
    }
}
