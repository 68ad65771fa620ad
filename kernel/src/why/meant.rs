//! Finds out what is asked about: a plugin, a file that was rejected, or a capability.

use std::path::Path;

use super::{Scene, Why, file, plugin::Tree, service::capability};
use crate::{nearest::nearest, status::Problem};

/// Explains what is called `subject`.
///
/// # Errors
///
/// If nothing is called so; names the nearest known.
pub(crate) fn explain(scene: &Scene, subject: &str) -> Result<Why, Problem> {
    if scene.plugins.contains_key(subject) {
        return Ok(Tree::new(scene).plugin(subject));
    }
    let mut rejected = scene.rejected.iter();
    if let Some(rejected) = rejected.find(|it| is_called(&it.path, subject)) {
        return Ok(file::rejected(rejected));
    }
    let from_file = scene.plugins.values().find(|facts| {
        let path = facts.status.path.as_deref();
        path.is_some_and(|path| is_called(path, subject))
    });
    if let Some(facts) = from_file {
        return Ok(Tree::new(scene).plugin(&facts.status.name));
    }
    let name = capability_name(scene, subject).ok_or_else(|| unknown(scene, subject))?;
    Ok(capability(&mut Tree::new(scene), name))
}

/// Whether a file is meant: by its path, by its name, or by the name that its plugin would have
/// by the custom of libraries, `libred_lamp.so` for `red-lamp`.
fn is_called(path: &Path, subject: &str) -> bool {
    if path == Path::new(subject) || path.file_name().is_some_and(|name| name == subject) {
        return true;
    }
    plugin_of(path).is_some_and(|name| name == subject)
}

/// The name that a plugin has by the name of its file.
fn plugin_of(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?;
    let stem = stem.strip_prefix("lib").unwrap_or(stem);
    Some(stem.replace('_', "-"))
}

/// The name of a capability that somebody offers or would, or that is configured.
fn capability_name<'a>(scene: &'a Scene, subject: &str) -> Option<&'a str> {
    let mut names = capability_names(scene);
    names.find(|name| *name == subject)
}

pub(super) fn capability_names(scene: &Scene) -> impl Iterator<Item = &str> {
    let plugins = scene.plugins.values();
    let offered = plugins.flat_map(|facts| &facts.status.capabilities);
    offered.chain(scene.services.keys()).map(String::as_str)
}

fn unknown(scene: &Scene, subject: &str) -> Problem {
    let files = scene.rejected.iter().filter_map(|it| plugin_of(&it.path));
    let plugins = scene.plugins.keys().map(String::as_str);
    let files: Vec<String> = files.collect();
    let known = plugins
        .chain(capability_names(scene))
        .chain(files.iter().map(String::as_str));
    let near = nearest(subject, known);
    let hint = near.map_or_else(
        || "`octa list` shows the plugins and files there are, `octa capabilities` what can be called".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let message = format!("there is no plugin, no rejected file and no capability `{subject}`");
    Problem::new("not-found", message, Some(hint))
}
