//! The directory of what was built last, from which the kernel takes it. It holds copies: cargo
//! writes to its own files whenever it likes.

use std::collections::BTreeMap;
use std::env::consts::DLL_EXTENSION;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use octa_loader::{ContentHash, FileRules};

use super::error::{DevError, ShelfError};

/// The directory, and what lies there.
#[derive(Debug)]
pub(crate) struct Shelf {
    directory: PathBuf,
    /// By package.
    lying: BTreeMap<String, Lying>,
}

/// A library that lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lying {
    plugin: String,
    hash: ContentHash,
}

/// What laying down a library has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Laid {
    /// The plugin in it.
    pub(crate) plugin: String,
    /// The hash of its content.
    pub(crate) hash: ContentHash,
    /// The plugin that lay there under the same package, if that was another one.
    pub(crate) instead_of: Option<String>,
}

impl Shelf {
    /// Opens the directory, empty: what an earlier run has left there is from other sources.
    pub(crate) fn open(directory: &Path) -> Result<Self, DevError> {
        clear(directory).map_err(|source| DevError::Shelf {
            path: directory.to_owned(),
            source,
        })?;
        Ok(Self {
            directory: directory.to_owned(),
            lying: BTreeMap::new(),
        })
    }

    /// Lays down what was built of a package.
    pub(crate) fn lay(&mut self, package: &str, built: &Path) -> Result<Laid, ShelfError> {
        // The kernel's rule for files that others may write to is kept by the copy.
        let rules = FileRules {
            require_private: false,
        };
        let inspection = octa_loader::inspect(built, rules)?;
        let lying = Lying {
            plugin: inspection.manifest.name,
            hash: inspection.hash,
        };
        let before = self.lying.get(package);
        let laid = Laid {
            plugin: lying.plugin.clone(),
            hash: lying.hash,
            instead_of: before
                .map(|before| before.plugin.clone())
                .filter(|before| *before != lying.plugin),
        };
        if before != Some(&lying) {
            let file = self.directory.join(format!("{package}.{DLL_EXTENSION}"));
            copy(built, &file).map_err(|source| ShelfError::Copy {
                from: built.to_owned(),
                to: file,
                source,
            })?;
            self.lying.insert(package.to_owned(), lying);
        }
        Ok(laid)
    }
}

fn clear(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// Copies so that there is the old file or the new one, whoever looks when.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let name = to.file_name().unwrap_or_default().to_string_lossy();
    let temporary = to.with_file_name(format!(".{name}"));
    // The permissions are copied as well, and those of a file that is replaced would stay.
    fs::copy(from, &temporary)?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))?;
    fs::rename(&temporary, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn leftovers_are_cleared_away() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("lamp.so"), "old").expect("a file");
        Shelf::open(directory.path()).expect("a shelf");
        assert!(!directory.path().join("lamp.so").exists());
        let error = Shelf::open(&directory.path().join("no/such")).expect_err("nothing is there");
        let told = Failure::from(error).to_string();
        assert!(
            told.contains("hint: name a directory that you may write"),
            "{told}"
        );
    }

    #[test]
    fn what_is_no_plugin_is_not_laid_down() {
        let directory = tempfile::tempdir().expect("a directory");
        let shelf_directory = directory.path().join("built");
        fs::create_dir(&shelf_directory).expect("a directory");
        let mut shelf = Shelf::open(&shelf_directory).expect("a shelf");
        let built = directory.path().join("liblamp.so");
        fs::write(&built, "no library").expect("a file");
        let error = shelf.lay("lamp", &built).expect_err("no plugin");
        let told = Failure::from(error).to_string();
        assert!(told.contains("is not a library"), "{told}");
        let left = fs::read_dir(&shelf_directory).expect("a directory");
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn a_copy_is_private_whatever_was_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let [from, to] = ["a", "b"].map(|name| directory.path().join(name));
        for (file, mode) in [(&from, 0o666), (&to, 0o444)] {
            fs::write(file, file.to_string_lossy().as_bytes()).expect("a file");
            fs::set_permissions(file, fs::Permissions::from_mode(mode)).expect("a mode");
        }
        copy(&from, &to).expect("a copy");
        let mode = fs::metadata(&to).expect("a file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(
            fs::read(&to).expect("a file"),
            from.to_string_lossy().as_bytes()
        );
    }
}
