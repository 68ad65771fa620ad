//! Which directories matter, and what in each of them does.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::route::Route;
use super::stamp::Identity;

/// Directories, each once: of one that has two paths, as bind mounts make it, the system tells by
/// one of them only.
#[derive(Debug, Default)]
pub(super) struct Interests {
    by_path: HashMap<PathBuf, Interest>,
    first: HashMap<Identity, PathBuf>,
}

/// What matters in a directory.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// If it is that of the plugins: its path as it was given.
    pub(super) plugins: Option<PathBuf>,
    /// Entries by their name, and what leads through them.
    pub(super) entries: HashMap<OsString, HashSet<Subject>>,
}

/// What a directory entry leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The directory of the plugins.
    Directory,
    /// A file, by the path that it is told by.
    File(PathBuf),
}

impl Interests {
    /// For the directory of the plugins, which is followed now, and files with their routes.
    pub(super) fn of(
        plugins: Option<&Path>,
        files: impl Iterator<Item = (Subject, Route)>,
    ) -> Self {
        let mut interests = Interests::default();
        if let Some(plugins) = plugins {
            let route = Route::follow(plugins);
            if let Some(interest) = route.end.as_deref().and_then(|end| interests.at(end)) {
                interest.plugins = Some(plugins.to_owned());
            }
            interests.add(&Subject::Directory, route);
        }
        for (subject, route) in files {
            interests.add(&subject, route);
        }
        interests
    }

    fn add(&mut self, subject: &Subject, route: Route) {
        for (directory, name) in route.entries {
            if let Some(interest) = self.at(&directory) {
                let subjects = interest.entries.entry(name).or_default();
                subjects.insert(subject.clone());
            }
        }
    }

    /// `None` if there is no such directory any more.
    fn at(&mut self, directory: &Path) -> Option<&mut Interest> {
        let first = self.first.entry(Identity::of(directory).ok()?);
        let path = first.or_insert_with(|| directory.to_owned());
        Some(self.by_path.entry(path.clone()).or_default())
    }

    pub(super) fn within(&self, directory: &Path) -> Option<&Interest> {
        self.by_path.get(directory)
    }

    pub(super) fn has(&self, directory: &Path) -> bool {
        self.by_path.contains_key(directory)
    }

    /// What to watch.
    pub(super) fn directories(&self) -> HashMap<PathBuf, Identity> {
        let known = self.first.iter();
        known
            .map(|(identity, path)| (path.clone(), identity.clone()))
            .collect()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn one_directory_under_two_paths_is_one() {
        let root = tempfile::tempdir().expect("a directory");
        let (real, alias) = (root.path().join("real"), root.path().join("alias"));
        std::fs::create_dir(&real).expect("a directory");
        std::os::unix::fs::symlink("real", &alias).expect("a link");
        let mut interests = Interests::default();
        for (directory, name) in [
            (&real, "a"),
            (&alias, "b"),
            (&root.path().join("gone"), "c"),
        ] {
            let entries = vec![(directory.clone(), OsString::from(name))];
            interests.add(&Subject::Directory, Route { entries, end: None });
        }
        assert!(interests.directories().keys().eq([&real]));
        let interest = interests.within(&real).expect("it matters");
        let mut names: Vec<_> = interest.entries.keys().collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "b"]);
        assert!(!interests.has(&alias));
    }
}
