//! The names beside a database file, and how files are made there, put in place, set aside and removed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// What SQLite has beside a database: it takes them for a part of whatever file has that name.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The name of something that belongs beside a file.
pub(in crate::storage) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Where SQLite has the log of a database.
pub(in crate::storage) fn log(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// What keeps a database to one kernel.
pub(in crate::storage) fn lock(path: &Path) -> PathBuf {
    beside(path, ".lock")
}

/// Whether a path is that of a database, or of what belongs beside it, whatever links lead there.
pub(super) fn is_part(database: &Path, path: &Path) -> bool {
    let (database, path) = (resolve(database), resolve(path));
    let companions = COMPANIONS.map(|it| beside(&database, it));
    path == database || path == lock(&database) || companions.contains(&path)
}

/// The directory that a file is in.
pub(in crate::storage) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The one path of a file, whatever links lead there, as far as it can be told.
pub(in crate::storage) fn resolve(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    match (directory(path).canonicalize(), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}

/// What is made this way is for its owner only; SQLite gives its files beside it the same mode.
pub(in crate::storage) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes a directory, and those above it; a file is durable only if the directories that lead to it are.
pub(super) fn create_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for above in directory.canonicalize()?.ancestors() {
        // One that was there before may be closed to us.
        drop(sync_names(above));
    }
    Ok(())
}

/// Whether there is something at a path, be it a link to nowhere.
pub(in crate::storage) fn is_taken(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether an error says that there is nothing at a path.
pub(in crate::storage) fn is_absent(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Whether a database has left what is not in its file.
pub(in crate::storage) fn has_rest(path: &Path) -> bool {
    let rests = ["-wal", "-journal"].map(|it| beside(path, it));
    let has = |rest: &PathBuf| fs::metadata(rest).is_ok_and(|it| it.len() > 0);
    rests.iter().any(has)
}

/// Removes a file, if it is there.
pub(in crate::storage) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Removes what SQLite has left beside a database, or beside the place of one.
fn remove_companions(path: &Path) -> io::Result<()> {
    COMPANIONS
        .iter()
        .try_for_each(|it| remove(&beside(path, it)))
}

/// Removes a closed database, if it is there, and what SQLite has left beside it.
pub(in crate::storage) fn remove_database(path: &Path) -> io::Result<()> {
    remove_companions(path)?;
    remove(path)
}

/// Puts a closed database in the place of another one, or of none, so that at any moment one of them is there.
///
/// What SQLite has left beside the old one would be taken for a part of the new one, and is removed.
pub(in crate::storage) fn replace(path: &Path, with: &Path) -> io::Result<()> {
    // Some systems sync only what is open for writing.
    File::options().write(true).open(with)?.sync_all()?;
    remove_companions(path)?;
    remove(&lock(with))?;
    fs::rename(with, path)?;
    sync_names(directory(path))
}

/// Gives what there is of a closed database the first name that is free; answers it, or nothing if there is nothing.
///
/// Where only something beside it is there, its new name is answered. If one of them cannot be renamed, all have
/// their old names.
pub(in crate::storage) fn set_aside(
    path: &Path,
    names: impl IntoIterator<Item = PathBuf>,
) -> io::Result<Option<PathBuf>> {
    let rename = |from: &Path, to: &Path| fs::rename(from, to);
    name_anew(path, names, rename, |from, to| fs::rename(to, from))
}

/// The same, but the old names stay, for a new database to take them: at no moment is none there.
///
/// A file system that gives no file two names gives them one after the other.
pub(in crate::storage) fn keep_aside(
    path: &Path,
    names: impl IntoIterator<Item = PathBuf> + Clone,
) -> io::Result<Option<PathBuf>> {
    let link = |from: &Path, to: &Path| fs::hard_link(from, to);
    let kept = name_anew(path, names.clone(), link, |_, to| fs::remove_file(to));
    kept.or_else(|_| set_aside(path, names))
}

/// Gives a database and what is beside it another name, or takes it back from all of them.
fn name_anew(
    path: &Path,
    names: impl IntoIterator<Item = PathBuf>,
    give: impl Fn(&Path, &Path) -> io::Result<()>,
    take_back: impl Fn(&Path, &Path) -> io::Result<()>,
) -> io::Result<Option<PathBuf>> {
    // The log first: without it the file would seem to be whole.
    let all = || COMPANIONS.into_iter().chain([""]);
    let is_free = |name: &PathBuf| !all().any(|it| is_taken(&beside(name, it)));
    let aside = names.into_iter().find(is_free);
    let aside = aside.ok_or(io::ErrorKind::AlreadyExists)?;
    let mut named = Vec::new();
    for suffix in all() {
        let (from, to) = (beside(path, suffix), beside(&aside, suffix));
        match give(&from, &to) {
            Ok(()) => named.push((from, to)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                for (from, to) in named.iter().rev() {
                    drop(take_back(from, to));
                }
                return Err(error);
            }
        }
    }
    if named.is_empty() {
        return Ok(None);
    }
    sync_names(directory(path))?;
    let database = named.iter().position(|(_, to)| *to == aside);
    Ok(Some(named.swap_remove(database.unwrap_or(0)).1))
}

/// Makes the names in a directory durable, where the system asks for it.
fn sync_names(directory: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(directory)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = directory;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::write(path, text).expect("a file");
    }

    #[test]
    fn what_is_set_aside_is_whole_and_overwrites_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.db");
        let names = || (1..4).map(|n| beside(&path, &format!(".old-{n}")));
        assert_eq!(set_aside(&path, names()).expect("nothing fails"), None);
        // A log would be taken for that of whatever comes to lie beside it.
        write(&beside(&path, ".old-1-wal"), "other");
        write(&path, "database");
        write(&log(&path), "log");
        let aside = set_aside(&path, names()).expect("it can be renamed");
        let aside = aside.expect("it was there");
        assert_eq!(aside, beside(&path, ".old-2"));
        let kept = [aside.clone(), log(&aside)];
        let kept = kept.map(|it| fs::read_to_string(it).expect("it is kept"));
        assert_eq!(kept, ["database", "log"]);
        assert!(!is_taken(&path) && !is_taken(&log(&path)));
        // A log that is alone, and then no name.
        write(&log(&path), "log");
        let aside = set_aside(&path, names()).expect("it can be renamed");
        assert_eq!(aside, Some(beside(&path, ".old-3-wal")));
        write(&path, "database");
        let error = set_aside(&path, names()).expect_err("no name is free");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(is_taken(&path));
    }

    #[test]
    fn what_is_kept_aside_has_both_names() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.db");
        write(&path, "database");
        write(&log(&path), "log");
        let aside = keep_aside(&path, [beside(&path, ".old")]).expect("it can be linked");
        let aside = aside.expect("it was there");
        let all = [&path, &log(&path), &aside, &log(&aside)];
        let all = all.map(|it| fs::read_to_string(it).expect("it is there"));
        assert_eq!(all, ["database", "log", "database", "log"]);
        let new = home.path().join("new");
        write(&new, "new");
        replace(&path, &new).expect("it can be renamed");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "new");
        let kept = fs::read_to_string(&aside).expect("it is kept");
        assert_eq!(kept, "database");
        assert!(!is_taken(&log(&path)) && is_taken(&log(&aside)));
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_set_aside_whole_stays() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.db");
        write(&log(&path), "log");
        // As long as a name may be: what is beside it in the end has no room.
        let longest = home.path().join("n".repeat(255 - "-wal".len()));
        write(&beside(&path, "-journal"), "journal");
        set_aside(&path, [longest]).expect_err("its journal has too long a name");
        let kept = fs::read_to_string(log(&path)).expect("it is back");
        assert_eq!(kept, "log");
    }

    #[test]
    fn nothing_of_the_old_one_is_beside_the_new_one() {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("a.db");
        let new = beside(&path, ".copying");
        write(&path, "old");
        write(&log(&path), "old");
        write(&new, "new");
        write(&lock(&new), "");
        replace(&path, &new).expect("it can be renamed");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "new");
        assert!(![log(&path), lock(&new), new].iter().any(|it| it.exists()));
    }

    #[cfg(unix)]
    #[test]
    fn a_part_of_a_database_is_known_behind_links() {
        let home = tempfile::tempdir().expect("a directory");
        let [real, link] = ["real", "link"].map(|name| home.path().join(name));
        fs::create_dir(&real).expect("a directory");
        std::os::unix::fs::symlink(&real, &link).expect("a link");
        let database = real.join("a.db");
        for part in ["a.db", "a.db-wal", "a.db-shm", "a.db-journal", "a.db.lock"] {
            assert!(is_part(&database, &link.join(part)), "{part}");
        }
        for other in ["b.db", "a.db.bak", "a.db-wal-2"] {
            assert!(!is_part(&database, &link.join(other)), "{other}");
        }
    }
}
