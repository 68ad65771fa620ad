//! Why nothing can be developed, or what was built does not serve.

use std::io;
use std::path::PathBuf;

use octa_loader::InspectError;
use thiserror::Error;

use crate::failure::Explain;

/// Why nothing can be developed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum DevError {
    /// Nothing is there.
    #[error("`{path}` is no directory")]
    NoDirectory {
        /// What was typed.
        path: PathBuf,
    },
    /// Cargo cannot be run.
    #[error("cannot run `{program}`")]
    NoCargo {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// Cargo does not know what is there.
    #[error("cargo finds no project at `{path}`: {told}")]
    NoProject {
        /// What was typed.
        path: PathBuf,
        /// What cargo says.
        told: String,
    },
    /// Cargo speaks, but not as expected.
    #[error("cargo describes `{path}` in a way that is not understood")]
    Strange {
        /// What was typed.
        path: PathBuf,
        /// What is wrong with it.
        source: cargo_metadata::Error,
    },
    /// Cargo knows of no plugin there.
    #[error("`{path}` has no plugin")]
    NoPlugin {
        /// What was typed.
        path: PathBuf,
    },
    /// Two packages of one name.
    #[error("two plugins are called `{name}`: one in `{first}`, one in `{second}`")]
    Twice {
        /// The name.
        name: String,
        /// The one's workspace.
        first: PathBuf,
        /// The other's.
        second: PathBuf,
    },
    /// Cargo built something else.
    #[error("cargo built no library of `{name}` for this machine")]
    NoLibrary {
        /// The package.
        name: String,
    },
    /// Sources cannot be watched.
    #[error("saves cannot be watched")]
    Unwatched(#[from] notify::Error),
    /// The directory of what is built cannot be used.
    #[error("cannot use `{path}`")]
    Shelf {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Explain for DevError {
    fn kind(&self) -> &'static str {
        match self {
            Self::NoCargo { .. } | Self::Unwatched(_) => "unavailable",
            Self::Strange { .. } | Self::Shelf { .. } => "failed",
            _ => "invalid-input",
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoDirectory { .. } => "name the directory of a plugin's crate".to_owned(),
            Self::NoCargo { .. } => {
                "install Rust from https://rustup.rs, or put `cargo` on your path".to_owned()
            }
            Self::NoProject { .. } => "`octa new NAME` begins a plugin".to_owned(),
            Self::NoPlugin { .. } => {
                "a plugin depends on `octa-plugin-api` and has `crate-type = [\"cdylib\"]` in \
                 `[lib]`; `octa new NAME` begins one"
                    .to_owned()
            }
            Self::NoLibrary { .. } => "check what follows `--`".to_owned(),
            Self::Twice { .. } => "name one of them only".to_owned(),
            Self::Shelf { .. } => {
                "name a directory that you may write with `--data DIR`".to_owned()
            }
            Self::Strange { .. } | Self::Unwatched(_) => return None,
        })
    }
}

/// Why what was built cannot be handed to the kernel.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum ShelfError {
    /// It is no plugin.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// It cannot be copied.
    #[error("cannot copy `{from}` to `{to}`")]
    Copy {
        /// What was built.
        from: PathBuf,
        /// Where the kernel looks.
        to: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Explain for ShelfError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Inspect(_) => "rejected",
            Self::Copy { .. } => "failed",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Inspect(error) => error.hint(),
            Self::Copy { .. } => None,
        }
    }
}
