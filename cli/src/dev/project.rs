//! What cargo knows of the plugins that are developed: their packages, and where their sources lie.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{CrateType, DependencyKind, Metadata, Package, PackageId, Target};

use super::build::Cargo;
use super::error::DevError;

/// The dependency that makes a library a plugin.
const PLUGIN_API: &str = "octa-plugin-api";

/// A workspace with plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Project {
    /// The paths that it was found at.
    pub(crate) paths: Vec<PathBuf>,
    /// Its root.
    pub(crate) root: PathBuf,
    /// Where cargo builds.
    pub(crate) target: PathBuf,
    /// What is built.
    pub(crate) plugins: Vec<Plugin>,
    /// Where its sources lie.
    pub(crate) sources: Sources,
}

/// A package that is a plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Plugin {
    /// The name of the package.
    pub(crate) name: String,
    /// What cargo calls it.
    pub(crate) id: PackageId,
}

/// Directories with sources.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// Everything below belongs to the sources.
    pub(crate) trees: BTreeSet<PathBuf>,
    /// Single files may belong to them, such as `Cargo.toml`.
    pub(crate) rooms: BTreeSet<PathBuf>,
}

/// Finds the plugins of all paths; those of one workspace are built together.
pub(crate) fn find(paths: &[PathBuf], cargo: &Cargo) -> Result<Vec<Project>, DevError> {
    let mut projects = BTreeMap::<PathBuf, Project>::new();
    for path in paths {
        let found = of_metadata(path, &cargo.metadata(path)?);
        let found = found.ok_or_else(|| DevError::NoPlugin { path: path.clone() })?;
        match projects.get_mut(&found.root) {
            Some(project) => project.join(found),
            None => drop(projects.insert(found.root.clone(), found)),
        }
    }
    let projects: Vec<Project> = projects.into_values().collect();
    check_names(&projects)?;
    Ok(projects)
}

/// Where what belongs to no single plugin is put.
pub(crate) fn target(projects: &[Project]) -> &Path {
    projects.first().map_or(Path::new("."), |it| &it.target)
}

impl Project {
    fn join(&mut self, other: Self) {
        self.paths.extend(other.paths);
        self.plugins.extend(other.plugins);
        self.plugins.sort();
        self.plugins.dedup();
        self.sources.trees.extend(other.sources.trees);
        self.sources.rooms.extend(other.sources.rooms);
    }
}

/// What is built lies under the names of packages.
fn check_names(projects: &[Project]) -> Result<(), DevError> {
    let mut names = BTreeMap::new();
    for project in projects {
        for plugin in &project.plugins {
            if let Some(first) = names.insert(&plugin.name, &project.root) {
                return Err(DevError::Twice {
                    name: plugin.name.clone(),
                    first: first.clone(),
                    second: project.root.clone(),
                });
            }
        }
    }
    Ok(())
}

/// The plugins that were meant: the package itself, or else all in its workspace.
fn of_metadata(path: &Path, metadata: &Metadata) -> Option<Project> {
    let meant: Vec<&Package> = match metadata.root_package() {
        Some(package) if is_plugin(package) => vec![package],
        Some(package) if directory(package) != metadata.workspace_root.as_std_path() => vec![],
        _ => {
            let members = metadata.workspace_packages().into_iter();
            members.filter(|package| is_plugin(package)).collect()
        }
    };
    if meant.is_empty() {
        return None;
    }
    let mut plugins: Vec<Plugin> = meant
        .iter()
        .map(|package| Plugin {
            name: package.name.to_string(),
            id: package.id.clone(),
        })
        .collect();
    plugins.sort();
    Some(Project {
        paths: vec![path.to_owned()],
        root: metadata.workspace_root.clone().into(),
        target: metadata.target_directory.clone().into(),
        sources: Sources::of(metadata, plugins.iter().map(|plugin| &plugin.id)),
        plugins,
    })
}

fn is_plugin(package: &Package) -> bool {
    let is_library = |target: &Target| target.crate_types.contains(&CrateType::CDyLib);
    let mut dependencies = package.dependencies.iter();
    package.targets.iter().any(is_library)
        && dependencies.any(|it| it.name == PLUGIN_API && it.kind == DependencyKind::Normal)
}

fn directory(package: &Package) -> &Path {
    let manifest = package.manifest_path.as_std_path();
    manifest.parent().unwrap_or(manifest)
}

impl Sources {
    /// Those of some packages, and of all that they depend on as far as these are not downloaded.
    fn of<'a>(metadata: &'a Metadata, plugins: impl Iterator<Item = &'a PackageId>) -> Self {
        let mut sources = Self::default();
        let root = metadata.workspace_root.as_std_path();
        sources.rooms.insert(root.to_owned());
        for package in local(metadata, plugins) {
            let directory = directory(package);
            sources.rooms.insert(directory.to_owned());
            sources.trees.insert(directory.join("src"));
            for target in package.targets.iter().filter(|target| is_built(target)) {
                let parent = target.src_path.as_std_path().parent();
                let parent = parent.filter(|parent| *parent != directory);
                sources.trees.extend(parent.map(Path::to_owned));
            }
        }
        let trees = sources.trees.clone();
        let is_inside = |tree: &PathBuf| trees.iter().any(|it| it != tree && tree.starts_with(it));
        sources.trees.retain(|tree| !is_inside(tree));
        sources
    }
}

/// Whether a target is built with a plugin; examples and tests are not.
fn is_built(target: &Target) -> bool {
    target.is_lib() || target.is_cdylib() || target.is_custom_build() || target.is_proc_macro()
}

/// The packages that plugins are made of and that lie on this machine to be edited.
fn local<'a>(
    metadata: &'a Metadata,
    plugins: impl Iterator<Item = &'a PackageId>,
) -> Vec<&'a Package> {
    let nodes = metadata.resolve.iter().flat_map(|resolve| &resolve.nodes);
    let nodes: BTreeMap<_, _> = nodes.map(|node| (&node.id, node)).collect();
    let mut waiting: Vec<&PackageId> = plugins.collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if !reached.insert(id) {
            continue;
        }
        let needs = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        let is_built = |kinds: &[cargo_metadata::DepKindInfo]| {
            let is_for_tests = |kind: &DependencyKind| *kind == DependencyKind::Development;
            kinds.is_empty() || !kinds.iter().all(|info| is_for_tests(&info.kind))
        };
        let built = needs.filter(|needed| is_built(&needed.dep_kinds));
        waiting.extend(built.map(|needed| &needed.pkg));
    }
    let packages = metadata.packages.iter();
    packages
        .filter(|package| package.source.is_none() && reached.contains(&package.id))
        .collect()
}

#[cfg(test)]
mod tests;
