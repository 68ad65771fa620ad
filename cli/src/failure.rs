//! What a command ends with when it does not do what it was asked for, and how that is told.

use std::error::Error;
use std::fmt;

use octa_kernel::{BuildError, CallError, PluginError, Problem, ScanError, config::ConfigError};
use octa_loader::{DiscoverError, InspectError, Refusal};

use crate::answer::ErrorBody;

/// An error that this program can tell its user.
pub(crate) trait Explain: Error {
    /// What kind of error it is; decides the exit code.
    fn kind(&self) -> &'static str;

    /// How it can be mended.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// A failed command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// The error without its causes. Boxed, for it is rare.
    body: Box<ErrorBody>,
    causes: Vec<String>,
    told: bool,
}

impl Failure {
    /// A failure that the command has already told in its output.
    pub(crate) fn told(kind: &str) -> Self {
        let body = ErrorBody {
            kind: kind.to_owned(),
            ..ErrorBody::default()
        };
        Self {
            told: true,
            ..Self::from(body)
        }
    }

    /// What kind of error it is.
    pub(crate) fn kind(&self) -> &str {
        &self.body.kind
    }

    /// Whether there is nothing left to tell.
    pub(crate) fn is_told(&self) -> bool {
        self.told || self.kind() == crate::output::PIPE_CLOSED
    }

    /// The error with its causes in the message.
    pub(crate) fn body(&self) -> ErrorBody {
        let mut body = ErrorBody::clone(&self.body);
        for cause in &self.causes {
            body.message = format!("{}: {cause}", body.message);
        }
        body
    }
}

impl<E: Explain> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut causes = Vec::new();
        let mut source = error.source();
        while let Some(cause) = source {
            causes.push(cause.to_string());
            source = cause.source();
        }
        let body = ErrorBody {
            kind: error.kind().to_owned(),
            message: error.to_string(),
            hint: error.hint(),
            ..ErrorBody::default()
        };
        Self {
            causes,
            ..Self::from(body)
        }
    }
}

impl From<ErrorBody> for Failure {
    fn from(body: ErrorBody) -> Self {
        Self {
            body: Box::new(body),
            causes: Vec::new(),
            told: false,
        }
    }
}

impl From<CallError> for ErrorBody {
    fn from(CallError(error): CallError) -> Self {
        Self {
            kind: error.kind().label().to_owned(),
            message: error.message().to_owned(),
            hint: error.hint().map(str::to_owned),
            plugin: error.plugin().map(str::to_owned),
            location: error.location().map(Into::into),
            details: error.details().cloned().map(Box::new),
        }
    }
}

impl From<Problem> for ErrorBody {
    fn from(problem: Problem) -> Self {
        Self {
            kind: problem.kind,
            message: problem.message,
            hint: problem.hint,
            ..Self::default()
        }
    }
}

impl From<PluginError> for ErrorBody {
    fn from(PluginError(problem): PluginError) -> Self {
        problem.into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorBody {
            message,
            hint,
            plugin,
            location,
            ..
        } = &*self.body;
        write!(f, "error: {message}")?;
        for cause in &self.causes {
            write!(f, "\ncaused by: {cause}")?;
        }
        match (plugin, location) {
            (Some(plugin), Some(location)) => write!(f, "\n  in plugin `{plugin}` at {location}")?,
            (Some(plugin), None) => write!(f, "\n  in plugin `{plugin}`")?,
            (None, Some(location)) => write!(f, "\n  at {location}")?,
            (None, None) => {}
        }
        match hint {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

macro_rules! explain {
    ($($error:ty: $kind:expr;)*) => {$(
        impl Explain for $error {
            fn kind(&self) -> &'static str {
                $kind
            }

            fn hint(&self) -> Option<String> {
                Self::hint(self)
            }
        }
    )*};
}

explain! {
    BuildError: "unavailable";
    ScanError: "invalid-input";
    DiscoverError: "invalid-input";
    ConfigError: "invalid-input";
    InspectError: "rejected";
    Refusal: "rejected";
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open `a`")]
    struct Example(#[source] io::Error);

    impl Explain for Example {
        fn kind(&self) -> &'static str {
            "failed"
        }

        fn hint(&self) -> Option<String> {
            Some("make it".into())
        }
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_the_way_out() {
        let failure = Failure::from(Example(io::Error::other("on strike")));
        assert_eq!(
            failure.to_string(),
            "error: cannot open `a`\ncaused by: on strike\nhint: make it"
        );
        assert_eq!(failure.body().message, "cannot open `a`: on strike");
    }

    #[test]
    fn a_plugin_is_named() {
        let failure = Failure::from(ErrorBody {
            message: "boom".into(),
            plugin: Some("lamp".into()),
            location: Some("src/lib.rs:3:5".into()),
            ..ErrorBody::default()
        });
        assert_eq!(
            failure.to_string(),
            "error: boom\n  in plugin `lamp` at src/lib.rs:3:5"
        );
    }
}
