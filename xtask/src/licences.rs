//! Holds the dependency tree against `deny.toml`: licences, and crates that only named others may use.
//! It understands a part of cargo-deny's format and refuses the rest, so that nothing written there goes unchecked.
//! Known vulnerabilities are cargo-deny's business: they need its database.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Context, Result, bail};
use cargo_metadata::Metadata;
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::workspace::Workspace;

/// The part of `deny.toml` that is understood here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    licenses: Licenses,
    advisories: Advisories,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advisories {
    ignore: Vec<Ignored>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ignored {
    id: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    wrappers: BTreeSet<String>,
    reason: String,
}

/// One package of the tree: what it says of its licence, and who depends on it.
#[derive(Debug, Default)]
struct Dependency {
    name: String,
    license: Option<String>,
    users: BTreeSet<String>,
}

/// Checks everything that the workspace depends on.
pub(crate) fn check_workspace(workspace: &Workspace) -> Result<()> {
    let path = workspace.root().join("deny.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read `{path}`"))?;
    let policy: Policy =
        toml::from_str(&text).with_context(|| format!("cannot understand `{path}`"))?;
    let tree = tree(&workspace.dependencies()?);
    let problems = problems(&policy, &tree);
    if problems.is_empty() {
        println!("{} packages: every licence is allowed", tree.len());
        return Ok(());
    }
    bail!("{}", problems.join("\n"))
}

fn tree(metadata: &Metadata) -> Vec<Dependency> {
    let names: BTreeMap<_, _> = metadata
        .packages
        .iter()
        .map(|package| (&package.id, package.name.to_string()))
        .collect();
    let mut users: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for node in metadata.resolve.iter().flat_map(|resolve| &resolve.nodes) {
        for used in &node.dependencies {
            users
                .entry(used)
                .or_default()
                .insert(names[&node.id].clone());
        }
    }
    let dependency = |package: &cargo_metadata::Package| Dependency {
        name: package.name.to_string(),
        license: package.license.clone(),
        users: users.remove(&package.id).unwrap_or_default(),
    };
    metadata.packages.iter().map(dependency).collect()
}

fn problems(policy: &Policy, tree: &[Dependency]) -> Vec<String> {
    let licences = tree
        .iter()
        .filter_map(|package| licence_problem(&policy.licenses, package));
    let bans = policy
        .bans
        .deny
        .iter()
        .flat_map(|ban| ban_problems(ban, tree));
    let advisories = policy.advisories.ignore.iter().filter_map(advisory_problem);
    licences.chain(bans).chain(advisories).collect()
}

fn licence_problem(licenses: &Licenses, package: &Dependency) -> Option<String> {
    let name = &package.name;
    let Some(license) = &package.license else {
        return Some(format!("`{name}` declares no licence"));
    };
    // Old crates write `MIT/Apache-2.0`.
    let Ok(expression) = Expression::parse_mode(license, ParseMode::LAX) else {
        return Some(format!(
            "`{name}` declares `{license}`, which is no SPDX expression"
        ));
    };
    let excepted = licenses
        .exceptions
        .iter()
        .filter(|exception| exception.name == *name);
    let allowed: Vec<_> = excepted
        .flat_map(|exception| &exception.allow)
        .chain(&licenses.allow)
        .collect();
    let satisfied = expression.evaluate(|required| {
        allowed.iter().any(|allowed| {
            Licensee::parse(allowed).is_ok_and(|licensee| licensee.satisfies(required))
        })
    });
    (!satisfied)
        .then(|| format!("`{name}` is licensed `{license}`, which `deny.toml` does not allow"))
}

fn ban_problems(ban: &Ban, tree: &[Dependency]) -> Vec<String> {
    let Ban {
        name,
        wrappers,
        reason,
    } = ban;
    if reason.is_empty() {
        return vec![format!("the ban of `{name}` has no reason")];
    }
    let users: BTreeSet<_> = tree
        .iter()
        .filter(|package| package.name == *name)
        .flat_map(|package| &package.users)
        .collect();
    let intruders = users.iter().filter(|user| !wrappers.contains(**user));
    let mut problems: Vec<_> = intruders
        .map(|user| format!("`{user}` depends on `{name}`, which is banned: {reason}"))
        .collect();
    if users.is_empty() {
        problems.push(format!(
            "`{name}` is no longer in the tree: remove its ban and its exceptions"
        ));
    }
    problems
}

fn advisory_problem(ignored: &Ignored) -> Option<String> {
    ignored
        .reason
        .is_empty()
        .then(|| format!("`{}` is ignored without a reason", ignored.id))
}

#[cfg(test)]
mod tests;
