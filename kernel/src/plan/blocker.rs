//! Why a plugin cannot start, with the whole chain from it to the cause.

use std::fmt;

use octa_loader::{Dependency, Need};
use semver::{Version, VersionReq};

use super::Standing;
use super::graph::Graph;

/// A reason why a plugin cannot start.
///
/// Each `chain` begins with that plugin and goes from need to need to the plugin where the cause
/// lies.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocker {
    /// Nobody offers what the last of the chain needs.
    Missing {
        /// What it needs.
        need: Dependency,
        /// The known name closest to it.
        nearest: Option<String>,
        /// The way there.
        chain: Vec<String>,
    },
    /// What the last of the chain needs is only there in other versions.
    VersionMismatch {
        /// What it needs.
        need: Dependency,
        /// The versions that would do.
        wanted: VersionReq,
        /// Who offers it, in which version.
        found: Vec<(String, Version)>,
        /// The way there.
        chain: Vec<String>,
    },
    /// The chain ends where it has been before.
    Cycle {
        /// The way into the cycle and once around; the last name is there twice.
        chain: Vec<String>,
    },
    /// The last of the chain failed.
    Failed {
        /// The way there.
        chain: Vec<String>,
    },
    /// The last of the chain is not wanted.
    Disabled {
        /// The way there.
        chain: Vec<String>,
    },
    /// The last of the chain waits for a permission or a configuration.
    Held {
        /// The way there.
        chain: Vec<String>,
    },
}

impl Blocker {
    /// The names from the blocked plugin to the cause.
    pub fn chain(&self) -> &[String] {
        match self {
            Blocker::Missing { chain, .. }
            | Blocker::VersionMismatch { chain, .. }
            | Blocker::Cycle { chain }
            | Blocker::Failed { chain }
            | Blocker::Disabled { chain }
            | Blocker::Held { chain } => chain,
        }
    }

    /// Says what to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Blocker::Missing {
                nearest: Some(name),
                ..
            } => Some(format!("did you mean `{name}`?")),
            Blocker::Missing { .. } => {
                Some("add a plugin that offers it to the plugin directory".into())
            }
            Blocker::VersionMismatch { wanted, .. } => Some(format!(
                "add a plugin that offers it in a version that meets `{wanted}`"
            )),
            Blocker::Cycle { .. } => Some("make one of these needs optional".into()),
            Blocker::Disabled { chain } => Some(format!(
                "`{}` must be enabled in the configuration and be started",
                last(chain)
            )),
            Blocker::Failed { .. } | Blocker::Held { .. } => None,
        }
    }

    /// The blocker itself if it strikes this plugin first; a cycle begins with its first name in
    /// the alphabet.
    pub(super) fn into_cause(self) -> Option<Blocker> {
        match self {
            Blocker::Cycle { mut chain } if chain.first() == chain.last() => {
                chain.pop();
                let first = (0..chain.len())
                    .min_by_key(|it| &chain[*it])
                    .unwrap_or_default();
                chain.rotate_left(first);
                chain.push(chain[0].clone());
                Some(Blocker::Cycle { chain })
            }
            Blocker::Cycle { .. } => None,
            Blocker::Missing { ref chain, .. } | Blocker::VersionMismatch { ref chain, .. } => {
                (chain.len() == 1).then_some(self)
            }
            _ => (self.chain().len() == 2).then_some(self),
        }
    }
}

impl fmt::Display for Blocker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Blocker::Missing { need, chain, .. } => {
                write_needs(f, chain, need)?;
                f.write_str(", which no plugin offers")
            }
            Blocker::VersionMismatch {
                need,
                wanted,
                found,
                chain,
            } => {
                write_needs(f, chain, need)?;
                write!(f, " in version `{wanted}`, found ")?;
                let found: Vec<String> = found
                    .iter()
                    .map(|(name, version)| format!("`{name}` `{version}`"))
                    .collect();
                f.write_str(&found.join(", "))
            }
            Blocker::Cycle { chain } => write_end(f, chain, "closes a cycle"),
            Blocker::Failed { chain } => write_end(f, chain, "failed"),
            Blocker::Disabled { chain } => write_end(f, chain, "is disabled or stopped"),
            Blocker::Held { chain } => {
                write_end(f, chain, "waits for a permission or a configuration")
            }
        }
    }
}

/// `a` needs `b`, `b` needs the capability `c`
fn write_needs(f: &mut fmt::Formatter<'_>, chain: &[String], need: &Dependency) -> fmt::Result {
    for link in chain.windows(2) {
        write!(f, "`{}` needs `{}`, ", link[0], link[1])?;
    }
    write!(f, "`{}` needs ", last(chain))?;
    match need {
        Dependency::Capability(name) => write!(f, "the capability `{name}`"),
        Dependency::Plugin(name) => write!(f, "the plugin `{name}`"),
    }
}

/// `a` needs `b`, `b` needs `c`, which failed
fn write_end(f: &mut fmt::Formatter<'_>, chain: &[String], end: &str) -> fmt::Result {
    if chain.len() < 2 {
        return write!(f, "`{}` {end}", last(chain));
    }
    for link in chain.windows(2) {
        write!(f, "`{}` needs `{}`, ", link[0], link[1])?;
    }
    write!(f, "which {end}")
}

fn last(chain: &[String]) -> &str {
    chain.last().map_or("", String::as_str)
}

/// All reasons of one member.
pub(super) fn of(graph: &Graph, runnable: &[bool], member: usize) -> Vec<Blocker> {
    if runnable[member] {
        return Vec::new();
    }
    let walk = Walk { graph, runnable };
    match graph.members[member].standing {
        Standing::Ready => {
            let unmet = walk.unmet(member);
            unmet
                .map(|(need, providers)| walk.follow(vec![member], need, providers))
                .collect()
        }
        standing => vec![walk.ended(standing, &[member])],
    }
}

#[derive(Clone, Copy)]
struct Walk<'a> {
    graph: &'a Graph,
    runnable: &'a [bool],
}

impl<'a> Walk<'a> {
    /// Required needs that nobody who can run meets.
    fn unmet(self, member: usize) -> impl Iterator<Item = (&'a Need, &'a [usize])> {
        let met = move |it: &usize| *it == member || self.runnable[*it];
        self.graph
            .required(member)
            .filter(move |(_, providers)| !providers.iter().any(met))
    }

    /// Goes from need to need until the cause is found; every step leads to a member that cannot
    /// run.
    fn follow(self, mut chain: Vec<usize>, need: &'a Need, providers: &'a [usize]) -> Blocker {
        let (mut need, mut providers) = (need, providers);
        loop {
            let Some(next) = providers.first().copied() else {
                return self.nobody(need, &chain);
            };
            let before = chain.contains(&next);
            chain.push(next);
            if before {
                return Blocker::Cycle {
                    chain: self.names(&chain),
                };
            }
            match (self.graph.members[next].standing, self.unmet(next).next()) {
                (Standing::Ready, Some(unmet)) => (need, providers) = unmet,
                (standing, _) => return self.ended(standing, &chain),
            }
        }
    }

    fn ended(self, standing: Standing, chain: &[usize]) -> Blocker {
        let chain = self.names(chain);
        match standing {
            Standing::Disabled => Blocker::Disabled { chain },
            Standing::Held => Blocker::Held { chain },
            Standing::Failed | Standing::Ready => Blocker::Failed { chain },
        }
    }

    fn nobody(self, need: &Need, chain: &[usize]) -> Blocker {
        let chain = self.names(chain);
        let offering = self.graph.offering(&need.dependency);
        let found: Vec<_> = offering
            .map(|member| (member.name.clone(), member.version.clone()))
            .collect();
        if !found.is_empty() {
            let (need, wanted) = (need.dependency.clone(), need.version.clone());
            return Blocker::VersionMismatch {
                need,
                wanted,
                found,
                chain,
            };
        }
        Blocker::Missing {
            need: need.dependency.clone(),
            nearest: self.graph.nearest(&need.dependency).map(str::to_owned),
            chain,
        }
    }

    fn names(self, chain: &[usize]) -> Vec<String> {
        chain
            .iter()
            .map(|it| self.graph.members[*it].name.clone())
            .collect()
    }
}
