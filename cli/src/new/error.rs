//! Why no crate was written.

use std::io;
use std::path::PathBuf;

use octa_loader::NameError;
use thiserror::Error;

use crate::failure::Explain;

/// Why no crate was written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum NewError {
    /// The name is none for a plugin.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The name is one of somebody else.
    #[error("`{name}` cannot be the name of a plugin: it is {taken}")]
    Taken {
        /// The name.
        name: String,
        /// Whose name it is.
        taken: &'static str,
    },
    /// Something is there already.
    #[error("`{path}` exists already")]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// The system does not let us write.
    #[error("cannot write `{path}`")]
    Unwritable {
        /// The directory or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Explain for NewError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Unwritable { .. } => "failed",
            _ => "invalid-input",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Name(error) => return error.hint(),
            Self::Taken { name, .. } => format!("try `my-{name}`"),
            Self::Exists { .. } => {
                "choose another name, another place with `--path DIR`, or remove it".to_owned()
            }
            Self::Unwritable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "make the directory that it is to lie in, or choose another one with `--path DIR`"
                    .to_owned()
            }
            Self::Unwritable { .. } => "choose another place with `--path DIR`".to_owned(),
        })
    }
}
