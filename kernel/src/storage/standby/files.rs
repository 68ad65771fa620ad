//! The names beside a database file, and how files are put there, set aside and removed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// What SQLite has beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// What is behind the name of a former primary, with its epoch.
const FORMER: &str = ".former-";

/// Where a copy is made until it is whole.
pub(super) fn copying(path: &Path) -> PathBuf {
    beside(path, ".copying")
}

/// Where changes wait that do not fit into memory.
pub(super) fn spill(path: &Path) -> PathBuf {
    beside(path, ".backlog")
}

/// Where it stands how far a standby is.
pub(super) fn progress(path: &Path) -> PathBuf {
    beside(path, ".progress")
}

/// The same while it is written.
pub(super) fn fresh_progress(path: &Path) -> PathBuf {
    beside(path, ".progress-new")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The directory that a file is in.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The one path of a file, whatever links lead there, as far as it can be told.
pub(super) fn resolve(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    match (directory(path).canonicalize(), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}

/// What keeps a database to one kernel.
pub(super) fn lock(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// A file beside the path of a missing database that shows that there was one.
pub(super) fn trace(path: &Path) -> Option<PathBuf> {
    let copying = copying(path);
    if copying.exists() {
        return Some(copying);
    }
    let former = path.file_name().map(|name| {
        let mut name = name.to_owned();
        name.push(FORMER);
        name
    });
    let (former, entries) = (former?, fs::read_dir(directory(path)).ok()?);
    let former = former.as_encoded_bytes();
    let names = entries.flatten().map(|entry| entry.file_name());
    // A lock stays where a former primary was looked at and moved away.
    let names = names.filter(|name| {
        let name = name.as_encoded_bytes();
        name.starts_with(former) && !name.ends_with(b".lock")
    });
    // The first is a database rather than what is beside it.
    names.min().map(|name| directory(path).join(name))
}

/// Removes a file, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes a database that is not needed, and what is beside it.
pub(super) fn remove_database(path: &Path) -> io::Result<()> {
    for companion in COMPANIONS.iter().chain([&".lock"]) {
        remove(&beside(path, companion))?;
    }
    remove(path)
}

/// Puts a closed database in the place of another one, or of none, so that at any moment one of them is there.
///
/// What SQLite left beside the old one would be taken for a part of the new one, and must not be there.
pub(super) fn replace(path: &Path, with: &Path) -> io::Result<()> {
    File::open(with)?.sync_all()?;
    for companion in COMPANIONS {
        remove(&beside(path, companion))?;
    }
    remove(&beside(with, ".lock"))?;
    fs::rename(with, path)?;
    sync_directory(path)
}

/// Renames a closed database, with what may be beside it, so that its place is free; answers its new name.
pub(super) fn set_aside(path: &Path, epoch: Option<u64>) -> io::Result<PathBuf> {
    let epoch = epoch.map_or_else(|| "unreadable".to_owned(), |epoch| epoch.to_string());
    let first = beside(path, &format!("{FORMER}{epoch}"));
    let others = (2..).map(|n: u64| beside(path, &format!("{FORMER}{epoch}-{n}")));
    let mut names = [first].into_iter().chain(others);
    let free = names.find(|name| fs::symlink_metadata(name).is_err());
    let free = free.ok_or(io::ErrorKind::AlreadyExists)?;
    // The database comes last: if this ends in between, the next one finds the same name for it.
    for companion in COMPANIONS {
        let from = beside(path, companion);
        if from.exists() {
            fs::rename(from, beside(&free, companion))?;
        }
    }
    fs::rename(path, &free)?;
    sync_directory(path)?;
    Ok(free)
}

/// Files for their owner only.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes the names in the directory of a file durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(directory(path))?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_aside_leaves_a_trace_and_is_never_overwritten() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("octa.db");
        assert_eq!(trace(&path), None);
        fs::write(home.path().join("octa.db.former-0.lock"), "").expect("a file");
        assert_eq!(trace(&path), None);
        for expect in [
            "octa.db.former-1",
            "octa.db.former-1-2",
            "octa.db.former-1-3",
        ] {
            fs::write(&path, expect).expect("a file");
            fs::write(beside(&path, "-wal"), "wal").expect("a file");
            let aside = set_aside(&path, Some(1)).expect("can be renamed");
            assert_eq!(aside, home.path().join(expect));
            assert_eq!(fs::read_to_string(&aside).expect("is there"), expect);
            assert!(beside(&aside, "-wal").exists());
            assert!(!path.exists() && !beside(&path, "-wal").exists());
        }
        assert_eq!(trace(&path), Some(home.path().join("octa.db.former-1")));
        assert_eq!(trace(&home.path().join("other.db")), None);
    }

    #[test]
    fn nothing_of_the_old_one_is_beside_the_new_one() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("octa.db");
        fs::write(&path, "old").expect("a file");
        fs::write(beside(&path, "-wal"), "old").expect("a file");
        fs::write(copying(&path), "new").expect("a file");
        replace(&path, &copying(&path)).expect("can be renamed");
        assert_eq!(fs::read_to_string(&path).expect("is there"), "new");
        assert!(!beside(&path, "-wal").exists() && !copying(&path).exists());
    }
}
