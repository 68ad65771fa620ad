//! Why a manifest cannot be used.

use thiserror::Error;

use super::{FormatVersion, MANIFEST_BYTES_MAX};

/// A manifest that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// There are too many bytes.
    #[error("the manifest is {size} bytes long, at most {MANIFEST_BYTES_MAX} are allowed")]
    TooLarge {
        /// Bytes found.
        size: usize,
    },
    /// It is not JSON; the source says where.
    #[error("the manifest is not JSON")]
    NotJson(#[source] serde_json::Error),
    /// It is JSON, but not an object.
    #[error("the manifest is not a JSON object")]
    NotAnObject,
    /// Its format has another major version.
    #[error("the manifest has format `{found}`, expected `{}.x`", FormatVersion::CURRENT.major)]
    Format {
        /// The format found.
        found: FormatVersion,
    },
    /// A field is missing or has a value that it cannot have.
    #[error("{}", in_field(field))]
    Field {
        /// Path of the field, `capabilities[0].name` for example, or `.` for the whole.
        field: String,
        /// What was found, and what was expected.
        #[source]
        source: serde_json::Error,
    },
    /// Fields that a format of this age does not have.
    #[error("{} unknown to manifest format `{format}`", name_fields(fields))]
    UnknownFields {
        /// Paths of the fields, in the order of the file.
        fields: Vec<String>,
        /// The format that the manifest says it has.
        format: FormatVersion,
    },
}

impl ManifestError {
    /// Says what the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            ManifestError::TooLarge { .. } => "shorten the descriptions and schemas of the plugin",
            ManifestError::Format { found } if found.major > FormatVersion::CURRENT.major => {
                "the plugin was built with a newer plugin API: update this host, or build the \
                 plugin with the plugin API of this host"
            }
            ManifestError::Format { .. } => {
                "build the plugin again with the plugin API of this host"
            }
            ManifestError::NotJson(_) | ManifestError::NotAnObject => {
                "the file was damaged, or its manifest was not written by the plugin API: \
                 build it again"
            }
            ManifestError::Field { .. } | ManifestError::UnknownFields { .. } => {
                "the plugin API writes the manifest by itself: build the plugin again without \
                 editing it"
            }
        };
        Some(hint.to_owned())
    }
}

fn in_field(field: &str) -> String {
    match field {
        "." => "the manifest is not as its format demands".to_owned(),
        field => format!("field `{field}` of the manifest is not as its format demands"),
    }
}

fn name_fields(fields: &[String]) -> String {
    let names = fields.join("`, `");
    match fields.len() {
        1 => format!("field `{names}` is"),
        _ => format!("fields `{names}` are"),
    }
}
