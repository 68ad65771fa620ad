//! A need that is not met, with everybody who might have met it.

use octa_loader::{Dependency, Need};
use semver::{Version, VersionReq};

use super::graph::Graph;

/// A need of a plugin that nobody who can run meets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmet<'a> {
    /// What is needed.
    pub need: &'a Dependency,
    /// Whether the plugin runs without it.
    pub optional: bool,
    /// Why nobody meets it.
    pub lack: Lack<'a>,
}

/// Why nobody meets a need.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lack<'a> {
    /// Nobody offers it.
    Missing {
        /// The known name closest to it.
        nearest: Option<&'a str>,
    },
    /// It is only there in other versions.
    OtherVersions {
        /// The versions that would do.
        wanted: &'a VersionReq,
        /// Who offers it, in which version.
        found: Vec<(&'a str, &'a Version)>,
    },
    /// Those who offer it cannot run.
    NotRunning {
        /// Their names, at least one.
        providers: Vec<&'a str>,
    },
}

/// All unmet needs of one member.
pub(super) fn of<'a>(graph: &'a Graph, runnable: &[bool], member: usize) -> Vec<Unmet<'a>> {
    let is_met = |it: &usize| *it == member || runnable[*it];
    let needs = graph.needs(member);
    needs
        .filter(|(_, providers)| !providers.iter().any(is_met))
        .map(|(need, providers)| Unmet {
            need: &need.dependency,
            optional: need.optional,
            lack: lack(graph, need, providers),
        })
        .collect()
}

fn lack<'a>(graph: &'a Graph, need: &'a Need, providers: &[usize]) -> Lack<'a> {
    if !providers.is_empty() {
        let names = providers.iter().map(|it| graph.members[*it].name.as_str());
        return Lack::NotRunning {
            providers: names.collect(),
        };
    }
    let offering = graph.offering(&need.dependency);
    let found: Vec<_> = offering.map(|it| (it.name.as_str(), &it.version)).collect();
    if found.is_empty() {
        return Lack::Missing {
            nearest: graph.nearest(&need.dependency),
        };
    }
    Lack::OtherVersions {
        wanted: &need.version,
        found,
    }
}
