//! The names beside a standby, and beside what was a primary before a takeover.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::sqlite::files::{self, beside};

/// What is behind the name of a former primary, with its epoch.
const FORMER: &str = ".former-";

/// Where a copy is made until it is whole.
pub(super) fn copying(path: &Path) -> PathBuf {
    beside(path, ".copying")
}

/// Where it stands how far a standby is.
pub(in crate::storage) fn progress(path: &Path) -> PathBuf {
    beside(path, ".progress")
}

/// The same while it is written.
pub(super) fn fresh_progress(path: &Path) -> PathBuf {
    beside(path, ".progress-new")
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
    let directory = files::directory(path);
    let (former, entries) = (former?, fs::read_dir(directory).ok()?);
    let former = former.as_encoded_bytes();
    let names = entries.flatten().map(|entry| entry.file_name());
    // A lock stays where a former primary was looked at and moved away.
    let names = names.filter(|name| {
        let name = name.as_encoded_bytes();
        name.starts_with(former) && !name.ends_with(b".lock")
    });
    // The first is a database rather than what is beside it.
    names.min().map(|name| directory.join(name))
}

/// Renames a former primary that is closed, with what may be beside it; answers its new name.
pub(super) fn set_aside(path: &Path, epoch: Option<u64>) -> io::Result<PathBuf> {
    let epoch = epoch.map_or_else(|| "unreadable".to_owned(), |epoch| epoch.to_string());
    let name = |more: &str| beside(path, &format!("{FORMER}{epoch}{more}"));
    let others = (2..).map(|n: u64| name(&format!("-{n}")));
    let aside = files::set_aside(path, [name("")].into_iter().chain(others))?;
    Ok(aside.ok_or(io::ErrorKind::NotFound)?)
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
}
