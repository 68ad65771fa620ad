//! The tree of a capability: whom a call of it goes to, how it is treated on its way, and who
//! answers when nobody there does.

use super::{
    Cause, Why,
    meant::capability_names,
    plugin::Tree,
    provider::{self, Provider},
    rules::{self, rules},
    trail::Known,
};
use crate::{nearest::nearest, services::ServiceStatus};

/// Explains a capability, or says where it is explained.
pub(super) fn capability<'a>(tree: &mut Tree<'a>, name: &'a str) -> Why {
    match tree.capabilities.enter(name) {
        Ok(()) => {}
        Err(Known::Round(ring)) => return round(ring),
        Err(Known::Told) => {
            let text = format!("the capability `{name}` is explained above");
            return Why::new(Cause::SeeAbove, name, text);
        }
    }
    let is_asked = tree.capabilities.is_at_root();
    let providers = provider::all(tree.scene, name);
    let service = tree.scene.services.get(name);
    let why = match service {
        Some(service) if !service.steps.is_empty() => pipeline(tree, service, &providers),
        _ => offered(tree, name, service, &providers),
    };
    let rules = service.map(|it| rules(it, is_asked)).unwrap_or_default();
    let fallback = service.and_then(|it| fallback(tree, it));
    tree.capabilities.leave();
    why.because(rules).because(fallback)
}

fn offered<'a>(
    tree: &mut Tree<'a>,
    name: &'a str,
    service: Option<&'a ServiceStatus>,
    providers: &[Provider<'a>],
) -> Why {
    let text = match providers.len() {
        0 => format!("the capability `{name}` is offered by no plugin"),
        1 => format!("the capability `{name}` is offered by one plugin"),
        number => format!("the capability `{name}` is offered by {number} plugins"),
    };
    let routing = service.and_then(|it| rules::routing(it, providers.len()));
    let explained = provider::explain(tree, service, providers);
    Why::new(Cause::Capability, name, text)
        .hint(providers.is_empty().then(|| way_out(tree, name)))
        .because(routing)
        .because(explained)
}

/// What to do where nobody offers it.
fn way_out(tree: &Tree<'_>, name: &str) -> String {
    let others = capability_names(tree.scene).filter(|other| *other != name);
    match nearest(name, others) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "add a plugin that offers it to the plugin directory".to_owned(),
    }
}

/// A pipeline answers also where plugins offer the same.
fn pipeline<'a>(
    tree: &mut Tree<'a>,
    service: &'a ServiceStatus,
    providers: &[Provider<'a>],
) -> Why {
    let (name, count) = (&service.name, service.steps.len());
    let text = match count {
        1 => format!("the capability `{name}` is a pipeline of one step"),
        _ => format!(
            "the capability `{name}` is a pipeline of {count} steps, each with what the one before answered"
        ),
    };
    let mut causes = Vec::with_capacity(count);
    for (number, step) in (1..).zip(&service.steps) {
        let text = format!("step {number} of {count} is `{step}`");
        causes.push(Why::new(Cause::Step, step, text).because([capability(tree, step)]));
    }
    let overruled = providers.iter().map(|provider| {
        let plugin = provider.name;
        let text = format!("`{plugin}` gets no calls: the pipeline answers in its place");
        Why::new(Cause::Overruled, plugin, text)
            .hint(format!("rename `{name}` under `[pipelines]`"))
    });
    Why::new(Cause::Capability, name, text)
        .because(causes)
        .because(overruled)
}

fn fallback<'a>(tree: &mut Tree<'a>, service: &'a ServiceStatus) -> Option<Why> {
    let name = service.policy.fallback.as_deref()?;
    let so_far = match service.counts.fallen_back {
        0 => "not needed so far".to_owned(),
        1 => "needed once so far".to_owned(),
        times => format!("needed {times} times so far"),
    };
    let text = format!(
        "`{name}` answers when no provider takes a call, or when one breaks down over a call that may be repeated, {}; {so_far}",
        rules::said(service, |policy| policy.fallback.is_some())
    );
    Some(Why::new(Cause::Fallback, name, text).because([capability(tree, name)]))
}

fn round(ring: &[&str]) -> Why {
    let first = ring[0];
    let links = ring.iter().map(|name| format!("`{name}` → "));
    let links: String = links.collect();
    let text = format!(
        "the capability `{first}` again: a call that comes back to it is refused as a cycle, {links}`{first}`"
    );
    Why::new(Cause::Cycle, first, text)
        .hint("take one of these out of its pipeline or its fallback".to_owned())
}
