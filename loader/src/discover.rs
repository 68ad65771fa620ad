//! Finds files that may be plugins in a directory; what is in them is the job of `inspect`.

use std::env::consts::DLL_EXTENSION;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Lists the files in `directory` that may be plugins, sorted by name.
///
/// These are the entries with the extension of the platform's libraries, but for directories and
/// for hidden and temporary files (`.x.so`, `~x.so`, `x~.so`, `x.tmp.so`, `x.part.so`).
/// Symbolic links are listed under their own name.
/// Only names are looked at: no file is opened, and unrelated files cost nothing.
///
/// # Errors
/// If the directory is missing, is not a directory or cannot be read.
pub fn discover(directory: &Path) -> Result<Vec<PathBuf>, DiscoverError> {
    let fail = |source| DiscoverError::new(directory, source);
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if !is_candidate(&entry.file_name()) {
            continue;
        }
        // An entry whose type cannot be told is kept: `inspect` says what is wrong with it.
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

pub(crate) fn is_candidate(name: &OsStr) -> bool {
    let path = Path::new(name);
    if path.extension() != Some(OsStr::new(DLL_EXTENSION)) {
        return false;
    }
    let stem = path.file_stem().unwrap_or_default().as_encoded_bytes();
    let temporary = [b".tmp".as_slice(), b".part", b"~"]
        .iter()
        .any(|suffix| stem.ends_with(suffix));
    !temporary && !stem.starts_with(b".") && !stem.starts_with(b"~")
}

/// A plugin directory that cannot be listed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiscoverError {
    /// Nothing is there.
    #[error("plugin directory `{}` does not exist", path.display())]
    Missing {
        /// The directory.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("plugin directory `{}` is a file, expected a directory", path.display())]
    NotADirectory {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("plugin directory `{}` cannot be read", path.display())]
    Unreadable {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl DiscoverError {
    fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => DiscoverError::Missing { path },
            io::ErrorKind::NotADirectory => DiscoverError::NotADirectory { path },
            _ => DiscoverError::Unreadable { path, source },
        }
    }

    /// Says what the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            DiscoverError::Missing { path } => {
                format!("create it, for example with `mkdir -p {}`", path.display())
            }
            DiscoverError::NotADirectory { path } => match path.parent() {
                Some(parent) if parent != Path::new("") => {
                    format!("name the directory that holds it: `{}`", parent.display())
                }
                _ => "name the directory that holds it: `.`".to_owned(),
            },
            DiscoverError::Unreadable { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "give the user that runs the kernel permission to list it".to_owned()
                }
                _ => return None,
            },
        };
        Some(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(stem: &str) -> String {
        format!("{stem}.{DLL_EXTENSION}")
    }

    #[test]
    fn lists_libraries_sorted() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str| fs::write(directory.path().join(name), "").expect("a file");
        for stem in ["b", "a", "c.1", ".hidden", "~a", "a~", "d.tmp", "d.part"] {
            write(&name(stem));
        }
        for other in ["a.txt", "so", "README", &format!("{}.tmp", name("e"))] {
            write(other);
        }
        fs::create_dir(directory.path().join(name("folder"))).expect("a directory");
        let found = discover(directory.path()).expect("a list");
        let expected = ["a", "b", "c.1"].map(|stem| directory.path().join(name(stem)));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_missing_directory_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("plugins");
        let error = discover(&path).expect_err("nothing is there");
        let expected = format!("plugin directory `{}` does not exist", path.display());
        assert_eq!(error.to_string(), expected);
        assert!(error.hint().is_some_and(|hint| hint.contains("mkdir")));
    }

    #[test]
    fn a_file_is_no_directory() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(name("a"));
        fs::write(&path, "").expect("a file");
        let error = discover(&path).expect_err("a file is there");
        assert!(
            matches!(error, DiscoverError::NotADirectory { .. }),
            "{error}"
        );
        let hint = error.hint().expect("a hint");
        assert!(
            hint.contains(&directory.path().display().to_string()),
            "{hint}"
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_are_listed_under_their_own_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let link = directory.path().join(name("link"));
        std::os::unix::fs::symlink("/nowhere/x", &link).expect("a link");
        assert_eq!(discover(directory.path()).expect("a list"), [link]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_unreadable_directory_is_told() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().expect("a directory");
        let set_mode = |mode| {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(directory.path(), permissions).expect("permissions");
        };
        set_mode(0o000);
        let path = directory.path().to_owned();
        let found = crate::sys::without_privileges(move || discover(&path));
        set_mode(0o700);
        let error = found.expect_err("the directory is closed");
        assert!(matches!(error, DiscoverError::Unreadable { .. }), "{error}");
        assert!(error.hint().is_some_and(|hint| hint.contains("permission")));
    }
}
