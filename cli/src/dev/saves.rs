//! Tells when sources were saved: one wake-up for all that is saved together, or while nobody
//! waits.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use notify::{Event, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::RwLock;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::error::DevError;
use super::project::{Project, Sources};

/// What is saved so close together is one save: an editor writes a file in several steps, and a
/// change of branch many files.
const TOGETHER: Duration = Duration::from_millis(50);
/// However much is saved, it is told after this time.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to look where the system does not tell of changes.
const POLL: Duration = Duration::from_millis(500);

/// What tells cargo of a package.
const MANIFEST: &str = "Cargo.toml";

/// Watches the sources of projects.
#[derive(Debug)]
pub(crate) struct Saves {
    watcher: Box<dyn Send + Watch>,
    sources: Arc<RwLock<Sources>>,
    saved: Arc<Notify>,
    /// Whether a manifest was among what was saved.
    manifests: Arc<AtomicBool>,
    /// Why it looks from time to time, if it does.
    pub(crate) polls: Option<String>,
}

/// What was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    /// Whether there were manifests among it, which say what belongs to the sources.
    pub(crate) manifests: bool,
}

/// A watcher of either kind.
trait Watch: std::fmt::Debug {
    fn add(&mut self, path: &Path, mode: RecursiveMode) -> notify::Result<()>;
}

impl<W: Watcher + std::fmt::Debug> Watch for W {
    fn add(&mut self, path: &Path, mode: RecursiveMode) -> notify::Result<()> {
        self.watch(path, mode)
    }
}

impl Saves {
    /// Watches from now on.
    pub(crate) fn listen(projects: &[Project]) -> Result<Self, DevError> {
        let sources = Arc::new(RwLock::new(Sources::default()));
        let (saved, manifests) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let on_event = {
            let (sources, saved) = (sources.clone(), saved.clone());
            let manifests = manifests.clone();
            move |event: notify::Result<Event>| {
                // An error may hide a change; to build in vain costs little.
                let hides = event.as_ref().map_or(true, Event::need_rescan);
                let paths = event.as_ref().map_or(&[][..], |event| saves_in(event));
                let mut paths = paths.iter().filter(|it| is_source(it, &sources.read()));
                let has_manifest = hides || paths.clone().any(|path| path.ends_with(MANIFEST));
                if hides || paths.next().is_some() {
                    manifests.fetch_or(has_manifest, Relaxed);
                    saved.notify_one();
                }
            }
        };
        let system = RecommendedWatcher::new(on_event.clone(), notify::Config::default());
        let (watcher, polls): (Box<dyn Send + Watch>, _) = match system {
            Ok(watcher) => (Box::new(watcher), None),
            Err(error) => {
                let config = notify::Config::default().with_poll_interval(POLL);
                let watcher = PollWatcher::new(on_event, config)?;
                (Box::new(watcher), Some(error.to_string()))
            }
        };
        let mut saves = Self {
            watcher,
            sources,
            saved,
            manifests,
            polls,
        };
        saves.follow(projects);
        Ok(saves)
    }

    /// Goes on with the sources as they lie now; a directory that was moved away and made anew is
    /// another one.
    pub(crate) fn follow(&mut self, projects: &[Project]) {
        let all = projects.iter().map(|project| project.sources.clone());
        let sources = all.fold(Sources::default(), |mut all, sources| {
            all.trees.extend(sources.trees);
            all.rooms.extend(sources.rooms);
            all
        });
        // The lock is not held while watching: what is told meanwhile would wait for it.
        *self.sources.write() = sources.clone();
        let rooms = sources.rooms.iter();
        let rooms = rooms.map(|room| (room, RecursiveMode::NonRecursive));
        let trees = sources.trees.iter();
        let trees = trees.map(|tree| (tree, RecursiveMode::Recursive));
        for (path, mode) in rooms.chain(trees) {
            // What is missing is seen when it comes, from the directory that it lies in.
            if path.is_dir()
                && let Err(error) = self.watcher.add(path, mode)
            {
                log::warn!(target: "octa", "saves in `{}` are not seen: {error}", path.display());
            }
        }
    }

    /// Waits until sources were saved and nothing more comes.
    pub(crate) async fn next(&self) -> Saved {
        self.saved.notified().await;
        let quiet = async { while timeout(TOGETHER, self.saved.notified()).await.is_ok() {} };
        drop(timeout(PATIENCE, quiet).await);
        Saved {
            manifests: self.manifests.swap(false, Relaxed),
        }
    }
}

/// The files that an event tells a change of.
fn saves_in(event: &Event) -> &[PathBuf] {
    match event.kind {
        EventKind::Access(_) => &[],
        _ => &event.paths,
    }
}

/// Whether a file belongs to the sources, going by its path.
fn is_source(path: &Path, sources: &Sources) -> bool {
    let name = path.file_name().unwrap_or_default();
    if let Some(tree) = sources.trees.iter().find(|tree| path.starts_with(tree)) {
        let below = path.strip_prefix(tree).unwrap_or(path);
        return !below.iter().any(is_passing);
    }
    let is_root = path.extension() == Some(OsStr::new("rs"))
        || [MANIFEST, "rust-toolchain", "rust-toolchain.toml"]
            .map(OsStr::new)
            .contains(&name);
    is_root
        && !is_passing(name)
        && path
            .parent()
            .is_some_and(|room| sources.rooms.contains(room))
}

/// Whether a name is one that editors and other tools give to what does not stay.
fn is_passing(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") || name.starts_with(b"#") || name.ends_with(b"~")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::{fs, slice};

    use notify::event::{AccessKind, CreateKind};

    use super::*;

    fn sources() -> Sources {
        Sources {
            trees: BTreeSet::from([PathBuf::from("/w/lamp/src")]),
            rooms: BTreeSet::from(["/w", "/w/lamp"].map(PathBuf::from)),
        }
    }

    #[test]
    fn only_sources_are_told() {
        let saves = [
            "/w/Cargo.toml",
            "/w/lamp/Cargo.toml",
            "/w/lamp/build.rs",
            "/w/lamp/src",
            "/w/lamp/src/lib.rs",
            "/w/lamp/src/night/words.txt",
        ];
        let others = [
            "/w/Cargo.lock",
            "/w/target",
            "/w/target/debug/build.rs",
            "/w/.git/index",
            "/w/lamp/README.md",
            "/w/lamp/octa.toml",
            "/w/lamp/.build.rs",
            "/w/lamp/src/.lib.rs.swp",
            "/w/lamp/src/lib.rs~",
            "/w/lamp/src/.git/HEAD",
            "/w/desk/src/lib.rs",
        ];
        for path in saves {
            assert!(is_source(Path::new(path), &sources()), "{path}");
        }
        for path in others {
            assert!(!is_source(Path::new(path), &sources()), "{path}");
        }
    }

    #[test]
    fn reading_is_no_save() {
        let event = |kind| Event::new(kind).add_path("/w/lamp/src/lib.rs".into());
        let saves = |kind| saves_in(&event(kind)).len();
        assert_eq!(saves(EventKind::Create(CreateKind::File)), 1);
        assert_eq!(saves(EventKind::Access(AccessKind::Any)), 0);
    }

    #[test]
    fn saves_wake_who_waits() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = directory.path().to_owned();
        let (tree, source) = (root.join("src"), root.join("src/lib.rs"));
        let project = Project {
            paths: Vec::new(),
            root: root.clone(),
            target: root.join("target"),
            plugins: Vec::new(),
            sources: Sources {
                trees: BTreeSet::from([tree.clone()]),
                rooms: BTreeSet::from([root.clone()]),
            },
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build();
        runtime.expect("a runtime").block_on(async {
            let mut saves = Saves::listen(slice::from_ref(&project)).expect("a watcher");
            // Its directory was not there when the watching began.
            fs::create_dir(&tree).expect("a directory");
            saves.next().await;
            saves.follow(&[project]);
            for text in ["a", "b", "c"] {
                fs::write(&source, text).expect("a file");
            }
            assert!(!saves.next().await.manifests);
            fs::write(root.join(MANIFEST), "").expect("a file");
            while !saves.next().await.manifests {}
        });
    }
}
