//! Finds what a configuration says to no effect, as it names what is not there or needs what is
//! not given.
//!
//! What is wrong whoever is there is refused when the text is read. Here nothing is: a plugin may
//! come later, and then it holds.

use octa_loader::{Manifest, Placement, policy::Policy};

use super::workers::placement;
use crate::{
    config::{Config, Containment, Limits, Path, PluginConfig, Sandbox},
    nearest::nearest,
    status::Problem,
};

const PLUGINS: &str = "`octa list` shows the plugins there are";
const CAPABILITIES: &str = "`octa services` shows the capabilities there are";

/// What a configuration says to no effect where these plugins are all there are.
pub(super) fn strays<'a>(
    config: &'a Config,
    plugins: impl Iterator<Item = &'a Manifest>,
) -> Vec<Problem> {
    let mut search = Search {
        config,
        plugins: plugins.collect(),
        found: Vec::new(),
    };
    for (name, plugin) in &config.plugins {
        search.plugin(name, plugin);
    }
    for (name, policy) in &config.capabilities {
        search.capability(name, policy);
    }
    for (name, steps) in &config.pipelines {
        let pipelines = Path::Root("pipelines");
        let pipeline = pipelines.key(name);
        for (index, step) in steps.iter().enumerate() {
            search.called(pipeline.index(index), step);
        }
    }
    search.found
}

/// Why a plugin may not live where it would: it is to be kept from the system strictly, and is
/// kept from nothing there.
pub(super) fn unconfined(manifest: &Manifest, containment: &Containment) -> Option<Problem> {
    let sandbox = &containment.sandbox;
    let is_apart = placement(manifest, containment) == Placement::Process;
    if is_apart || sandbox.off || !sandbox.strict {
        return None;
    }
    let name = &manifest.name;
    let message = format!(
        "plugin `{name}` runs in the kernel's own process, where its `sandbox` is not enforced, and `strict` is set there"
    );
    Some(Problem::new(
        "unsupported",
        message,
        Some(way_out(manifest)),
    ))
}

fn way_out(manifest: &Manifest) -> String {
    let name = &manifest.name;
    match manifest.placement {
        Placement::InProcess => {
            format!("take it out of `[plugins.{name}]`: the plugin runs nowhere else")
        }
        _ => {
            format!("give it a process of its own: `placement = \"process\"` in `[plugins.{name}]`")
        }
    }
}

struct Search<'a> {
    config: &'a Config,
    plugins: Vec<&'a Manifest>,
    found: Vec<Problem>,
}

impl<'a> Search<'a> {
    fn plugin(&mut self, name: &str, plugin: &PluginConfig) {
        let plugins = Path::Root("plugins");
        let path = plugins.key(name);
        let Some(manifest) = self.named(name) else {
            let hint = self.plugin_meant(name);
            return self.tell("not-found", path, "is of no plugin there is", hint);
        };
        let containment = &plugin.containment;
        if !plugin.enabled || placement(manifest, containment) == Placement::Process {
            return;
        }
        let Containment {
            limits,
            group,
            sandbox,
            ..
        } = containment;
        // A strict one keeps the plugin from running, and that is told.
        let is_open = sandbox.off || sandbox.strict || *sandbox == Sandbox::default();
        for (key, is_idle) in [
            ("group", group.is_some()),
            ("limits", *limits != Limits::default()),
            ("sandbox", !is_open),
        ] {
            if is_idle {
                let what = "has no effect: the plugin runs in the kernel's own process";
                self.tell("unsupported", path.key(key), what, way_out(manifest));
            }
        }
    }

    fn capability(&mut self, name: &str, policy: &Policy) {
        let capabilities = Path::Root("capabilities");
        let path = capabilities.key(name);
        if self.is_callable(name) {
            self.queue(path, name, policy);
        } else {
            let hint = self.capability_meant(name);
            let what = "is of a capability that no plugin offers";
            self.tell("not-found", path, what, hint);
        }
        let order = path.key("order");
        for (index, plugin) in policy.order.iter().enumerate() {
            self.choice(order.index(index), plugin, name);
        }
        if let Some(fallback) = &policy.fallback {
            self.called(path.key("fallback"), fallback);
        }
    }

    /// Those who wait, where none has to.
    fn queue(&mut self, path: Path<'_>, name: &str, policy: &Policy) {
        let is_limited = |policy: &Policy| policy.concurrency.is_some();
        if is_limited(policy) || self.offers(name).any(is_limited) {
            return;
        }
        let hint = format!("say how many calls there may be at once: `concurrency` in `[{path}]`");
        for (key, is_said) in [
            ("queue", policy.queue.is_some()),
            ("wait", policy.wait.is_some()),
        ] {
            if is_said {
                let what = "has no effect without `concurrency`, as no call waits";
                self.tell("unsupported", path.key(key), what, hint.clone());
            }
        }
    }

    /// A plugin that is to be asked for a capability.
    fn choice(&mut self, path: Path<'_>, plugin: &str, capability: &str) {
        let Some(manifest) = self.named(plugin) else {
            let hint = self.plugin_meant(plugin);
            let what = format!("is `{plugin}`, which is no plugin there is");
            return self.tell("not-found", path, &what, hint);
        };
        let mut offered = manifest.capabilities.iter();
        if self.is_callable(capability) && !offered.any(|it| it.name == capability) {
            let hint = format!("`octa why {capability}` shows who does");
            let what = format!("is `{plugin}`, which does not offer `{capability}`");
            self.tell("not-found", path, &what, hint);
        }
    }

    /// A capability that is called in the place of another.
    fn called(&mut self, path: Path<'_>, name: &str) {
        if !self.is_callable(name) {
            let hint = self.capability_meant(name);
            let what = format!("is `{name}`, which no plugin offers");
            self.tell("not-found", path, &what, hint);
        }
    }

    fn named(&self, name: &str) -> Option<&'a Manifest> {
        let mut plugins = self.plugins.iter();
        plugins.find(|manifest| manifest.name == name).copied()
    }

    /// How those who offer a capability want it to be called.
    fn offers(&self, name: &str) -> impl Iterator<Item = &Policy> {
        let all = self.plugins.iter().flat_map(|it| &it.capabilities);
        all.filter(move |it| it.name == name).map(|it| &it.policy)
    }

    fn is_callable(&self, name: &str) -> bool {
        self.config.pipelines.contains_key(name) || self.offers(name).next().is_some()
    }

    fn plugin_meant(&self, name: &str) -> String {
        let known = self.plugins.iter().map(|manifest| &*manifest.name);
        did_you_mean(nearest(name, known), PLUGINS)
    }

    fn capability_meant(&self, name: &str) -> String {
        let offered = self.plugins.iter().flat_map(|it| &it.capabilities);
        let pipelines = self.config.pipelines.keys().map(String::as_str);
        let known = offered.map(|it| &*it.name).chain(pipelines);
        did_you_mean(nearest(name, known), CAPABILITIES)
    }

    fn tell(&mut self, kind: &str, path: Path<'_>, what: &str, hint: String) {
        let path = path.to_string();
        let place = self.config.places.of(&path);
        let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
        let message = format!("{place}`{path}` {what}");
        self.found.push(Problem::new(kind, message, Some(hint)));
    }
}

fn did_you_mean(near: Option<&str>, otherwise: &str) -> String {
    near.map_or_else(
        || otherwise.to_owned(),
        |near| format!("did you mean `{near}`?"),
    )
}

#[cfg(test)]
mod tests;
