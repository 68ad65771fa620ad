//! The one envelope that every answer comes in, on the admin socket and with `--json`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of the program that answers.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An answer: data or an error, and what is known about the answer itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Whether there is data and no error.
    pub(crate) ok: bool,
    /// What was asked for, as its author wrote it; `null` beside an error.
    pub(crate) data: Box<RawValue>,
    /// Why it is not there.
    pub(crate) error: Option<ErrorBody>,
    /// About the answer.
    pub(crate) meta: Meta,
}

/// An error in an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ErrorBody {
    /// What kind of error it is: `not-found`, `invalid-input`, …
    pub(crate) kind: String,
    /// What happened.
    pub(crate) message: String,
    /// How it can be mended.
    pub(crate) hint: Option<String>,
    /// The plugin that it came from.
    pub(crate) plugin: Option<String>,
    /// Where in its source a panic happened.
    pub(crate) location: Option<Box<str>>,
    /// Details for programs.
    pub(crate) details: Option<Box<serde_json::Value>>,
}

/// About an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// The kernel that answers; `null` if none was asked.
    pub(crate) kernel: Option<String>,
    /// The version of `octa` that answers.
    pub(crate) version: String,
    /// What ties together everything that the request led to.
    pub(crate) correlation_id: Option<String>,
}

impl Meta {
    /// An answer of this process, without a kernel.
    pub(crate) fn local() -> Self {
        Self {
            version: VERSION.to_owned(),
            ..Self::default()
        }
    }
}

impl Answer {
    /// An answer with data.
    pub(crate) fn of(data: Box<RawValue>, meta: Meta) -> Self {
        Self {
            ok: true,
            data,
            error: None,
            meta,
        }
    }

    /// An answer with an error.
    pub(crate) fn failed(error: ErrorBody, meta: Meta) -> Self {
        Self {
            ok: false,
            data: RawValue::NULL.to_owned(),
            error: Some(error),
            meta,
        }
    }

    /// The envelope as one line of JSON.
    pub(crate) fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Writes data as JSON.
pub(crate) fn raw(data: &impl Serialize) -> Result<Box<RawValue>, ErrorBody> {
    serde_json::value::to_raw_value(data).map_err(|error| ErrorBody {
        kind: "internal".to_owned(),
        message: format!("the answer cannot be written as JSON: {error}"),
        ..ErrorBody::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_always_there() {
        let meta = Meta {
            kernel: Some("home".into()),
            version: "0.1.0".into(),
            correlation_id: None,
        };
        let data = raw(&[1, 2]).expect("numbers");
        assert_eq!(
            Answer::of(data, meta.clone()).to_line(),
            r#"{"ok":true,"data":[1,2],"error":null,"meta":{"kernel":"home","version":"0.1.0","correlation_id":null}}"#
        );
        let error = ErrorBody {
            kind: "not-found".into(),
            message: "there is no plugin `lamp`".into(),
            ..ErrorBody::default()
        };
        assert_eq!(
            Answer::failed(error, meta).to_line(),
            r#"{"ok":false,"data":null,"error":{"kind":"not-found","message":"there is no plugin `lamp`","hint":null,"plugin":null,"location":null,"details":null},"meta":{"kernel":"home","version":"0.1.0","correlation_id":null}}"#
        );
    }

    #[test]
    fn numbers_pass_through_unharmed() {
        let line = r#"{"ok":true,"data":123456789012345678901234567890.5,"error":null,"meta":{"kernel":null,"version":"","correlation_id":null}}"#;
        let answer: Answer = serde_json::from_str(line).expect("an answer");
        assert_eq!(answer.to_line(), line);
    }
}
