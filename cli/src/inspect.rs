//! Tells what is in a plugin file and whether this host may run it, without loading it.

use octa_loader::{FileRules, HostFacts, InspectFault, Inspection, Manifest, SourceError};
use serde_json::{Value, json};

use crate::answer::{Answer, ErrorBody, Meta, raw};
use crate::args;
use crate::failure::Failure;
use crate::{output, show};

/// Looks into the file.
pub(crate) fn inspect(typed: &args::Inspect, json: bool) -> Result<(), Failure> {
    let (inspection, verdict) = look(typed)?;
    if json {
        let data = raw(&data(&inspection, verdict.as_ref()))?;
        output::print(&Answer::of(data, Meta::local()).to_line())?;
        return verdict.map_or(Ok(()), |failure| Err(Failure::told(failure.kind())));
    }
    output::print(&text(&inspection, verdict.is_none()))?;
    verdict.map_or(Ok(()), Err)
}

/// What the file is, and why it may not run here, if it may not.
fn look(typed: &args::Inspect) -> Result<(Inspection, Option<Failure>), Failure> {
    let path = &typed.file;
    match octa_loader::inspect(path, FileRules::default()) {
        Ok(inspection) => {
            let host = HostFacts::in_process(octa_loader::ABI_MAJOR);
            let refusal = inspection.verdict(&host).err();
            Ok((inspection, refusal.map(Failure::from)))
        }
        // Looking is no danger; only running it would be.
        Err(error) if is_exposed(&error.fault) => {
            let rules = FileRules {
                require_private: false,
            };
            let inspection = octa_loader::inspect(path, rules)?;
            Ok((inspection, Some(error.into())))
        }
        Err(error) => Err(error.into()),
    }
}

fn is_exposed(fault: &InspectFault) -> bool {
    matches!(fault, InspectFault::Source(SourceError::Exposed { .. }))
}

fn data(inspection: &Inspection, verdict: Option<&Failure>) -> Value {
    json!({
        "path": inspection.path,
        "hash": inspection.hash.to_string(),
        "size": inspection.size,
        "machine": inspection.machine.to_string(),
        "manifest": inspection.manifest,
        "verdict": {
            "accepted": verdict.is_none(),
            "error": verdict.map(Failure::body).map(|error: ErrorBody| json!(error)),
        },
    })
}

fn text(inspection: &Inspection, accepted: bool) -> String {
    let manifest = &inspection.manifest;
    let mut lines = vec![format!("{} {}", manifest.name, manifest.version)];
    lines.extend(
        Some(&manifest.description)
            .filter(|it| !it.is_empty())
            .cloned(),
    );
    let mut fact = |name: &str, value: String| lines.push(format!("  {name:<13} {value}"));
    fact("file", inspection.path.display().to_string());
    fact("size", format!("{} bytes", inspection.size));
    fact("hash", inspection.hash.to_string());
    fact("machine", inspection.machine.to_string());
    fact("target", manifest.target.clone());
    fact("compiler", manifest.compiler.clone());
    fact("abi", manifest.abi.to_string());
    fact("license", manifest.license.clone());
    for (name, values) in lists(manifest) {
        for (index, value) in values.into_iter().enumerate() {
            fact(if index == 0 { name } else { "" }, value);
        }
    }
    let verdict = if accepted { "accepted" } else { "refused" };
    fact("verdict", format!("{verdict} by this host"));
    let shown: Vec<_> = lines.iter().map(|line| show::one_line(line)).collect();
    shown.join("\n")
}

fn lists(manifest: &Manifest) -> Vec<(&'static str, Vec<String>)> {
    let texts = |list: &[octa_loader::Pattern]| -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    };
    let permissions = &manifest.permissions;
    let capabilities = manifest.capabilities.iter().map(|capability| {
        let description = capability.description.lines().next().unwrap_or_default();
        format!("{}  {description}", capability.name)
    });
    let subscriptions = manifest.subscriptions.iter().map(|subscription| {
        let description = subscription.description.lines().next().unwrap_or_default();
        format!("{}  {description}", subscription.pattern)
    });
    let needs = manifest.needs.iter().map(|need| {
        let optional = if need.optional { ", optional" } else { "" };
        match &need.dependency {
            octa_loader::Dependency::Capability(name) => {
                format!("capability {name} {}{optional}", need.version)
            }
            octa_loader::Dependency::Plugin(name) => {
                format!("plugin {name} {}{optional}", need.version)
            }
        }
    });
    vec![
        ("capabilities", capabilities.collect()),
        (
            "subscribes",
            subscriptions.chain(texts(&permissions.subscribe)).collect(),
        ),
        ("needs", needs.collect()),
        ("publishes", texts(&permissions.publish)),
        ("calls", texts(&permissions.call)),
        ("storage", permissions.storage.clone()),
        ("state", permissions.state.clone()),
    ]
}
