//! Why a plugin is not wanted started, or not there yet.

use super::{Asked, Cause, Facts, Rest, Why, plugin::Tree};
use crate::manager::Doing;

/// What is being done with a plugin, and why it is not wanted started.
pub(super) fn moved(facts: &Facts) -> Vec<Why> {
    under_way(facts).into_iter().chain(rest(facts)).collect()
}

/// What is being done with a plugin.
pub(super) fn under_way(facts: &Facts) -> Option<Why> {
    let text = match facts.doing {
        Some(Doing::Opening) => "it is being opened now",
        Some(Doing::Starting) => "it is being started now",
        Some(Doing::Reloading) => "another generation is being brought up beside it now",
        Some(Doing::Falling) => "it broke down, and what it had in hand is being ended now",
        Some(Doing::Stopping) => "it is being stopped now",
        Some(Doing::Closing) => "its instance is being destroyed now",
        None if facts.gives_way => "another build takes its place next",
        None => return None,
    };
    Some(Why::new(Cause::UnderWay, &facts.status.name, text))
}

/// Why a plugin is not wanted started.
pub(super) fn rest(facts: &Facts) -> Option<Why> {
    let name = &facts.status.name;
    let start = format!("`octa start {name}` starts it");
    let (cause, text, hint) = match facts.rest? {
        Rest::Disabled => (
            Cause::Disabled,
            "it is disabled in the configuration",
            format!("set `enabled = true` under `[plugins.{name}]`"),
        ),
        Rest::NotAsked => (Cause::NotAsked, "nobody has asked for it so far", start),
        Rest::Request(asked) => (Cause::Request, requested(asked), start),
        Rest::KernelStopped => (
            Cause::KernelStopped,
            "the kernel has stopped all plugins",
            "start the kernel again".to_owned(),
        ),
        Rest::FileRemoved => (
            Cause::FileRemoved,
            "its file was removed from the plugin directory",
            "put the file back".to_owned(),
        ),
    };
    Some(Why::new(cause, name, text).hint(hint))
}

fn requested(asked: Asked) -> &'static str {
    match asked {
        Asked::Load => "a request asked for it to be loaded, and no more",
        Asked::Stop => "a request asked for it to be stopped",
        Asked::Unload => "a request asked for it to be unloaded",
    }
}

/// Nothing keeps it: it goes on as soon as those have started that start before it.
pub(super) fn turn(tree: &mut Tree<'_>, facts: &Facts) -> Why {
    let name = &facts.status.name;
    let before = tree.not_yet_started(name);
    if before.is_empty() {
        return Why::new(Cause::Turn, name, "nothing keeps it: it is about to go on");
    }
    let text = "it starts after those that it needs or would like";
    let causes = before.into_iter().map(|other| tree.plugin(other));
    Why::new(Cause::Turn, name, text).because(causes)
}
