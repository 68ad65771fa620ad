//! One secret of the configuration: named there, read when it is needed, and never shown.

use std::{fmt, io};

use super::ConfigError;
use super::document::Node;
use super::place::Place;
use super::section::{Secrets, without_newline};

/// What a secret looks like, for messages.
const EXPECTED: &str =
    "a text that is not empty, `{ env = \"NAME\" }` or `{ file = \"/run/secrets/name\" }`";

/// A secret as the configuration names it.
#[derive(Clone)]
pub struct Secret {
    origin: Origin,
    path: String,
    place: Option<Place>,
}

#[derive(Clone, PartialEq, Eq)]
enum Origin {
    Text(String),
    Env(String),
    File(String),
}

/// Tells why a secret is not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The environment variable is not set.
    #[error(
        "{}`{path}` is to come from the environment variable `{name}`, which is not set",
        at(place)
    )]
    MissingVariable {
        /// The key.
        path: String,
        /// The variable.
        name: String,
        /// Where the key is written.
        place: Option<Place>,
    },
    /// The file cannot be read.
    #[error(
        "{}`{path}` is to come from the file `{file}`, which cannot be read",
        at(place)
    )]
    UnreadableFile {
        /// The key.
        path: String,
        /// The file.
        file: String,
        /// Where the key is written.
        place: Option<Place>,
        /// What kept it from being read.
        source: io::Error,
    },
}

impl SecretError {
    /// Says what to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::MissingVariable { name, .. } => {
                format!("set `{name}` in the environment that the kernel is started in")
            }
            Self::UnreadableFile { file, .. } => {
                format!("write the secret into `{file}`, readable by the user who runs the kernel")
            }
        })
    }
}

fn at(place: &Option<Place>) -> String {
    let place = place.as_ref();
    place.map(|place| format!("{place}: ")).unwrap_or_default()
}

impl Secret {
    /// A secret that is known already.
    pub fn of(text: impl Into<String>) -> Self {
        Self {
            origin: Origin::Text(text.into()),
            path: String::new(),
            place: None,
        }
    }

    pub(super) fn read_from(node: Node<'_>) -> Result<Self, ConfigError> {
        let origin = if node.is_table() {
            let table = node.table()?;
            table.only(&["env", "file"])?;
            let text = |key| table.optional(key, |node| given(&node, "a text that is not empty"));
            match (text("env")?, text("file")?) {
                (Some(name), None) => Origin::Env(name),
                (None, Some(file)) => Origin::File(file),
                (Some(_), Some(_)) => {
                    return Err(node.unlike("both `env` and `file`", "one of them"));
                }
                (None, None) => return Err(node.unlike("neither `env` nor `file`", EXPECTED)),
            }
        } else {
            Origin::Text(given(&node, EXPECTED)?)
        };
        Ok(Self {
            origin,
            path: node.shown(),
            place: Some(node.place()),
        })
    }

    /// Reads it. One newline at the end of a file is not part of the secret.
    ///
    /// # Errors
    ///
    /// If the variable is not set, or the file cannot be read.
    pub fn read(&self, secrets: &dyn Secrets) -> Result<String, SecretError> {
        let (path, place) = (self.path.clone(), self.place.clone());
        match &self.origin {
            Origin::Text(text) => Ok(text.clone()),
            Origin::Env(name) => secrets.env(name).ok_or_else(|| {
                let name = name.clone();
                SecretError::MissingVariable { path, name, place }
            }),
            Origin::File(file) => match secrets.file(file) {
                Ok(text) => Ok(without_newline(text)),
                Err(source) => Err(SecretError::UnreadableFile {
                    path,
                    file: file.clone(),
                    place,
                    source,
                }),
            },
        }
    }
}

/// A text that is there; what else is found is not told, for it may be the secret.
fn given(node: &Node<'_>, expected: &str) -> Result<String, ConfigError> {
    let found = || node.unlike("something else", expected);
    let text = node.text(expected).map_err(|_| found())?;
    match text {
        "" => Err(node.unlike("empty", expected)),
        text => Ok(text.to_owned()),
    }
}

/// Where it is written makes no difference.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.origin == other.origin
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Text(_) => f.write_str("<secret>"),
            Origin::Env(name) => write!(f, "<secret in the variable {name:?}>"),
            Origin::File(file) => write!(f, "<secret in the file {file:?}>"),
        }
    }
}
