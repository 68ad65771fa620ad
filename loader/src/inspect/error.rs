//! Why a file is not accepted as a plugin.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::content::Content;
use super::machine::Format;
use crate::manifest::ManifestError;
use crate::source::SourceError;

/// A file that is not accepted as a plugin.
#[derive(Debug)]
#[non_exhaustive]
pub struct InspectError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: InspectFault,
}

impl InspectError {
    /// True if more bytes may make a plugin of it: it is still being written, or a copy broke off.
    pub fn is_incomplete(&self) -> bool {
        self.fault.is_incomplete()
    }

    /// Says what the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match &self.fault {
            InspectFault::Source(error) => return error.hint(&self.path),
            InspectFault::Manifest(error) => return error.hint(),
            InspectFault::NotALibrary { found } => match found {
                Content::Archive | Content::Program(_) | Content::Other(_) => {
                    "build the plugin with `crate-type = [\"cdylib\"]`"
                }
                Content::Universal => "take the part for this machine out of it: `lipo -thin`",
                _ => "build the plugin and copy the finished library here, or remove this file",
            },
            InspectFault::Truncated { .. }
            | InspectFault::Damaged { .. }
            | InspectFault::DamagedNote { .. } => {
                "copy it again: it did not arrive whole, or the copy is still under way"
            }
            InspectFault::NoManifest => {
                "if it is meant to be one, export it with `#[tentacle]`, and keep the linker from \
                 removing the manifest"
            }
            InspectFault::SeveralManifests { .. } => {
                "a plugin's crate depends on another plugin's crate: move what they share to a \
                 crate of its own"
            }
        };
        Some(hint.to_owned())
    }
}

impl fmt::Display for InspectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file `{}` {}", self.path.display(), self.fault)
    }
}

/// The fault is told with the path, so what comes next is the fault's own source.
impl Error for InspectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.fault.source()
    }
}

/// What is wrong with a file; the text goes on from its path.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum InspectFault {
    /// It cannot be read, or the rules do not accept it.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is something else.
    #[error("is not a library: expected {}, found {found}", Format::HOST.library())]
    NotALibrary {
        /// What it is.
        found: Content,
    },
    /// Its end is missing.
    #[error("is truncated: its {format} headers speak of {expected} bytes, found {found}")]
    Truncated {
        /// Its format.
        format: Format,
        /// Bytes that its headers speak of.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// Its headers contradict themselves.
    #[error("is damaged: expected a well-formed {format} file")]
    Damaged {
        /// Its format.
        format: Format,
        /// What was found.
        #[source]
        source: object::read::Error,
    },
    /// The place for notes holds something else.
    #[error("is damaged: expected {format} notes where its headers lead, found something else")]
    DamagedNote {
        /// Its format.
        format: Format,
    },
    /// It is a library like any other.
    #[error("is not a plugin: expected a manifest in the library, found none")]
    NoManifest,
    /// It has more than one manifest.
    #[error("holds {count} manifests, expected one")]
    SeveralManifests {
        /// How many it has.
        count: usize,
    },
    /// Its manifest cannot be used.
    #[error("has a manifest that cannot be used")]
    Manifest(#[from] ManifestError),
}

impl InspectFault {
    pub(super) fn is_incomplete(&self) -> bool {
        match self {
            InspectFault::Truncated { .. } => true,
            InspectFault::NotALibrary { found } => found.may_become_library(),
            _ => false,
        }
    }

    /// Checks that a file has as many bytes as its headers speak of.
    pub(super) fn expect_size(format: Format, bytes: &[u8], expected: u64) -> Result<(), Self> {
        match bytes.len() as u64 {
            found if found < expected => Err(InspectFault::Truncated {
                format,
                expected,
                found,
            }),
            _ => Ok(()),
        }
    }
}
