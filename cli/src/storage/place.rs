//! A storage that is named on the command line.

use std::path::{Path, PathBuf};

use octa_kernel::config::{Secret, StorageConfig, StorageKind, has_password};
use thiserror::Error;

use crate::failure::Explain;

/// A storage that is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A database file.
    Sqlite(PathBuf),
    /// The address of a server.
    #[cfg(feature = "postgres")]
    Postgres(String),
}

/// Why a text names no storage.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum PlaceError {
    /// It begins with no adapter's name.
    #[error("`{text}` names no storage, expected {EXPECTED}")]
    Unknown {
        /// The text.
        text: String,
    },
    /// Everybody on this machine can see it.
    #[error("the address of the storage has a password in it, expected one without")]
    Password,
}

#[cfg(feature = "postgres")]
const EXPECTED: &str = "`sqlite:PATH` or `postgres://USER@HOST/DATABASE`";
#[cfg(not(feature = "postgres"))]
const EXPECTED: &str = "`sqlite:PATH`; this program was built without PostgreSQL";

impl Explain for PlaceError {
    fn kind(&self) -> &'static str {
        "invalid-input"
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { text } => {
                let path = match text.is_empty() || text.contains(':') {
                    true => "/data/home.db",
                    false => text,
                };
                format!("a file is named as in `sqlite:{path}`")
            }
            Self::Password => "others can see it there: put it into the variable PGPASSWORD, or \
                               name the storage in a configuration"
                .to_owned(),
        })
    }
}

impl Place {
    /// Reads what was typed.
    pub(crate) fn of(text: &str) -> Result<Self, PlaceError> {
        if has_password(text) && !text.starts_with("sqlite:") {
            return Err(PlaceError::Password);
        }
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            let path = Path::new(path);
            let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            return Ok(Self::Sqlite(path));
        }
        #[cfg(feature = "postgres")]
        {
            let url = text.strip_prefix("postgres:");
            let url = url.filter(|url| url.contains("://")).unwrap_or(text);
            if let Some(("postgres" | "postgresql", rest)) = url.split_once("://")
                && !rest.is_empty()
            {
                return Ok(Self::Postgres(url.to_owned()));
            }
        }
        let text = text.to_owned();
        Err(PlaceError::Unknown { text })
    }

    /// The same as a configuration would name it; a password that others do not see comes along.
    pub(crate) fn to_config(&self, password: Option<String>) -> StorageConfig {
        let password = password.map(Secret::of);
        match self {
            Self::Sqlite(path) => StorageConfig {
                adapter: StorageKind::Sqlite,
                path: path.clone(),
                ..StorageConfig::default()
            },
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => StorageConfig {
                adapter: StorageKind::Postgres,
                url: Some(url.clone()),
                password,
                ..StorageConfig::default()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        let place = Place::of("sqlite:/data/a b:c@d.db");
        assert_eq!(place, Ok(Place::Sqlite("/data/a b:c@d.db".into())));
        let Ok(Place::Sqlite(path)) = Place::of("sqlite:a.db") else {
            panic!("no file");
        };
        assert!(path.is_absolute() && path.ends_with("a.db"), "{path:?}");
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn addresses_are_read() {
        for (text, expect) in [
            (
                "postgres://octa@h:5433/d?a=b",
                "postgres://octa@h:5433/d?a=b",
            ),
            ("postgres:postgresql://h/d", "postgresql://h/d"),
        ] {
            assert_eq!(
                Place::of(text),
                Ok(Place::Postgres(expect.into())),
                "{text}"
            );
        }
        let config = Place::Postgres("postgres://h/d".into()).to_config(Some("hunter2".into()));
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "sqlite:",
            "memory",
            "/data/a.db",
            "postgres:h/d",
            "postgres://",
        ] {
            let error = Place::of(text).expect_err(text);
            let told = error.to_string();
            assert!(
                told.starts_with(&format!("`{text}` names no storage")),
                "{told}"
            );
        }
        for text in [
            "postgres://octa:hunter2@h/d",
            "postgres://h/d?password=hunter2",
        ] {
            let error = Place::of(text).expect_err(text);
            assert_eq!(error, PlaceError::Password);
            assert!(!format!("{error} {:?}", error.hint()).contains("hunter2"));
        }
    }
}
