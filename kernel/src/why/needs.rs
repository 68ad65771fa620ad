//! What a plugin waits for: permissions, a configuration, and others with their own causes.

use octa_loader::Dependency;

use super::{Cause, Facts, Why, plugin::Tree};
use crate::{
    plan::{Lack, Unmet},
    status::Problem,
};

/// Everything that keeps a plugin from starting, others included.
pub(super) fn obstacles<'a>(tree: &mut Tree<'a>, facts: &'a Facts) -> Vec<Why> {
    let name = &facts.status.name;
    let mut causes: Vec<Why> = facts.held.iter().map(|it| held(name, it)).collect();
    for unmet in tree.unmet(name, false) {
        causes.push(need(tree, &unmet));
    }
    causes
}

/// What a started plugin does without.
pub(super) fn absent<'a>(tree: &mut Tree<'a>, facts: &'a Facts) -> Vec<Why> {
    let unmet = tree.unmet(&facts.status.name, true);
    unmet.iter().map(|unmet| need(tree, unmet)).collect()
}

fn held(name: &str, problem: &Problem) -> Why {
    let cause = match problem.kind.as_str() {
        "denied" => Cause::Permission,
        "invalid-input" => Cause::Configuration,
        // Nothing else holds a plugin but where it is to live.
        _ => Cause::Placement,
    };
    Why::new(cause, name, &problem.message).hint(problem.hint.clone())
}

fn need<'a>(tree: &mut Tree<'a>, unmet: &Unmet<'a>) -> Why {
    let (what, subject, is_plugin) = match unmet.need {
        Dependency::Capability(name) => (format!("the capability `{name}`"), name, false),
        Dependency::Plugin(name) => (format!("the plugin `{name}`"), name, true),
    };
    let (cause, lack) = match &unmet.lack {
        Lack::Missing { .. } if is_plugin => (Cause::Missing, ", and there is none".to_owned()),
        Lack::Missing { .. } => (Cause::Missing, ", which no plugin offers".to_owned()),
        Lack::OtherVersions { wanted, found } => {
            let found = found
                .iter()
                .map(|(name, version)| format!("`{name}` {version}"));
            let found = found.collect::<Vec<_>>().join(", ");
            let text = format!(" in version `{wanted}`, found {found}");
            (Cause::OtherVersion, text)
        }
        Lack::NotRunning { .. } if is_plugin => {
            (Cause::Dependency, ", which does not run".to_owned())
        }
        Lack::NotRunning { .. } => (Cause::Dependency, ", which nobody offers now".to_owned()),
    };
    let (cause, verb) = match unmet.optional {
        true => (Cause::Without, "it does without"),
        false => (cause, "it needs"),
    };
    let providers: &[&str] = match &unmet.lack {
        Lack::NotRunning { providers } => providers,
        Lack::Missing { .. } | Lack::OtherVersions { .. } => &[],
    };
    Why::new(cause, subject, format!("{verb} {what}{lack}"))
        .hint(way_out(&unmet.lack))
        .because(providers.iter().map(|provider| tree.plugin(provider)))
}

/// What to do about a lack that is not explained by others.
fn way_out(lack: &Lack<'_>) -> Option<String> {
    match lack {
        Lack::Missing {
            nearest: Some(near),
        } => Some(format!("did you mean `{near}`?")),
        Lack::Missing { nearest: None } => {
            Some("add a plugin that offers it to the plugin directory".to_owned())
        }
        Lack::OtherVersions { wanted, .. } => Some(format!(
            "add a plugin that offers it in a version that meets `{wanted}`"
        )),
        Lack::NotRunning { .. } => None,
    }
}
