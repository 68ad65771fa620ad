//! Where a path leads: the directory entries that decide it, link by link.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// As many as Linux follows.
const LINKS_MAX: usize = 40;

/// The way to a file or directory, which may not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    /// Directory and name of each link on the way, and of what is at its end, or of what is
    /// missing; the directories are free of links.
    pub(super) entries: Vec<(PathBuf, OsString)>,
    /// The end, free of links, if something is there.
    pub(super) end: Option<PathBuf>,
}

impl Route {
    pub(super) fn follow(path: &Path) -> Self {
        let mut route = Route::default();
        // Only the empty path has no absolute form, and nothing is there.
        let mut rest = std::path::absolute(path).unwrap_or_default();
        let mut at = PathBuf::new();
        let mut links = 0;
        loop {
            let mut components = rest.components();
            let Some(component) = components.next() else {
                route.end = Some(at);
                return route;
            };
            let tail = components.as_path().to_owned();
            let Component::Normal(name) = component else {
                match component {
                    Component::CurDir => {}
                    Component::ParentDir => drop(at.pop()),
                    root => at.push(root),
                }
                rest = tail;
                continue;
            };
            let next = at.join(name);
            let found = fs::symlink_metadata(&next);
            let is_link = found.as_ref().is_ok_and(|found| found.is_symlink());
            if is_link && links < LINKS_MAX {
                links += 1;
                route.entries.push((at.clone(), name.to_owned()));
                rest = fs::read_link(&next).unwrap_or_default().join(tail);
            } else if found.as_ref().is_ok_and(|found| found.is_dir()) && tail != Path::new("") {
                at = next;
                rest = tail;
            } else {
                route.entries.push((at, name.to_owned()));
                route.end = (found.is_ok() && tail == Path::new("")).then_some(next);
                return route;
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(route: &Route) -> Vec<String> {
        let name = |(_, name): &(PathBuf, OsString)| name.to_string_lossy().into_owned();
        route.entries.iter().map(name).collect()
    }

    #[test]
    fn the_way_goes_through_links() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("a directory");
        fs::create_dir_all(root.join("releases/2/plugins")).expect("directories");
        fs::write(root.join("releases/2/lib.so"), "").expect("a file");
        symlink("releases/2", root.join("current")).expect("a link");
        let link = root.join("releases/2/plugins/a.so");
        symlink("../lib.so", &link).expect("a link");
        let route = Route::follow(&root.join("current/plugins/a.so"));
        assert_eq!(names(&route), ["current", "a.so", "lib.so"]);
        let folders: Vec<_> = route.entries.iter().map(|(folder, _)| folder).collect();
        let second = root.join("releases/2");
        assert_eq!(folders, [&root, &second.join("plugins"), &second]);
        assert_eq!(route.end, Some(second.join("lib.so")));
    }

    #[test]
    fn the_way_ends_where_something_is_missing() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().canonicalize().expect("a directory");
        let route = Route::follow(&root.join("a/b/c"));
        assert_eq!(route.entries, [(root.clone(), OsString::from("a"))]);
        assert_eq!(route.end, None);
        symlink("round", root.join("round")).expect("a link");
        let route = Route::follow(&root.join("round"));
        assert_eq!(names(&route), vec!["round"; LINKS_MAX + 1]);
    }
}
