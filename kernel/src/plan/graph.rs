//! Members and the edges between them, resolved to indices once.

use std::collections::{BTreeMap, BTreeSet};

use octa_loader::{Dependency, Need};
use semver::VersionReq;

use super::{Member, Standing};
use crate::nearest::nearest;

/// Members by name, and who can meet each of their needs.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) members: Vec<Member>,
    /// By member and need: everybody who offers it in a version that will do.
    providers: Vec<Vec<Vec<usize>>>,
}

impl Graph {
    /// Takes members sorted by name, each name once.
    pub(super) fn new(members: Vec<Member>) -> Self {
        let mut offers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, member) in members.iter().enumerate() {
            for capability in BTreeSet::from_iter(&member.capabilities) {
                offers.entry(capability).or_default().push(index);
            }
        }
        let named = |name: &String| members.binary_search_by(|it| it.name.cmp(name)).ok();
        let meets = |need: &Need| -> Vec<usize> {
            let offering = match &need.dependency {
                Dependency::Capability(name) => {
                    offers.get(name.as_str()).cloned().unwrap_or_default()
                }
                Dependency::Plugin(name) => named(name).into_iter().collect(),
            };
            offering
                .into_iter()
                .filter(|it| will_do(&need.version, &members[*it]))
                .collect()
        };
        let providers = members
            .iter()
            .map(|member| member.needs.iter().map(meets).collect())
            .collect();
        Graph { members, providers }
    }

    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.members
            .binary_search_by(|member| member.name.as_str().cmp(name))
            .ok()
    }

    /// A member's needs, each with those who can meet it.
    pub(super) fn needs(&self, member: usize) -> impl Iterator<Item = (&Need, &[usize])> {
        let providers = self.providers[member].iter().map(Vec::as_slice);
        self.members[member].needs.iter().zip(providers)
    }

    /// Everybody who offers this, in whatever version.
    pub(super) fn offering(&self, dependency: &Dependency) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |member| match dependency {
            Dependency::Capability(name) => member.capabilities.contains(name),
            Dependency::Plugin(name) => member.name == *name,
        })
    }

    /// The known name closest to what nobody offers.
    pub(super) fn nearest(&self, dependency: &Dependency) -> Option<&str> {
        let members = self.members.iter();
        match dependency {
            Dependency::Capability(name) => {
                let capabilities = members.flat_map(|member| &member.capabilities);
                nearest(name, capabilities.map(String::as_str))
            }
            Dependency::Plugin(name) => nearest(name, members.map(|it| it.name.as_str())),
        }
    }

    /// The needs without which a member cannot run.
    pub(super) fn required(&self, member: usize) -> impl Iterator<Item = (&Need, &[usize])> {
        self.needs(member).filter(|(need, _)| !need.optional)
    }

    /// Whether one of `others` can meet a required need of the member.
    pub(super) fn depends_on_any(&self, member: usize, others: &BTreeSet<usize>) -> bool {
        self.required(member)
            .any(|(_, providers)| providers.iter().any(|it| others.contains(it)))
    }

    /// Who can run, starting from those who need nobody; so whoever is on a cycle never gets in.
    pub(super) fn runnable(&self, without: Option<usize>) -> Vec<bool> {
        let mut runnable = vec![false; self.members.len()];
        loop {
            let ready = |it: &usize| {
                let standing = self.members[*it].standing;
                !runnable[*it]
                    && Some(*it) != without
                    && standing == Standing::Ready
                    && self.is_met(*it, &runnable)
            };
            let next: Vec<usize> = (0..runnable.len()).filter(ready).collect();
            if next.is_empty() {
                return runnable;
            }
            for member in next {
                runnable[member] = true;
            }
        }
    }

    /// Whether each required need of a member is met by one of those who are there, or by itself.
    fn is_met(&self, member: usize, there: &[bool]) -> bool {
        self.required(member)
            .all(|(_, providers)| providers.iter().any(|it| *it == member || there[*it]))
    }

    /// Orders the runnable members, each after everybody who offers what it needs or would like.
    pub(super) fn waves(&self, runnable: &[bool]) -> Vec<Vec<usize>> {
        let mut placed = vec![false; runnable.len()];
        let mut waves = Vec::new();
        loop {
            let open: Vec<usize> = (0..runnable.len())
                .filter(|it| runnable[*it] && !placed[*it])
                .collect();
            let mut wave = open.clone();
            wave.retain(|it| self.awaited(*it, runnable, &placed).is_empty());
            if wave.is_empty() {
                wave.extend(self.first_of_circle(&open, runnable, &placed));
            }
            if wave.is_empty() {
                return waves;
            }
            for member in &wave {
                placed[*member] = true;
            }
            waves.push(wave);
        }
    }

    /// Whom a member should still wait for.
    fn awaited(&self, member: usize, runnable: &[bool], placed: &[bool]) -> BTreeSet<usize> {
        let providers = self
            .needs(member)
            .flat_map(|(_, providers)| providers.iter().copied());
        providers
            .filter(|it| *it != member && runnable[*it] && !placed[*it])
            .collect()
    }

    /// When all wait for each other, somebody who can do without, and waits for nobody outside the
    /// circle.
    ///
    /// There always is one: of a circle with no way out, the member that became runnable first
    /// was made so by members outside, and those are placed.
    fn first_of_circle(&self, open: &[usize], runnable: &[bool], placed: &[bool]) -> Option<usize> {
        let reach: BTreeMap<usize, BTreeSet<usize>> = open
            .iter()
            .map(|it| (*it, self.reach(*it, runnable, placed)))
            .collect();
        let closed = |it: &&usize| reach[*it].iter().all(|other| reach[other].contains(*it));
        open.iter()
            .filter(closed)
            .find(|it| self.is_met(**it, placed))
            .copied()
    }

    /// Everybody whom a member waits for, directly or through others.
    fn reach(&self, member: usize, runnable: &[bool], placed: &[bool]) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut open = vec![member];
        while let Some(next) = open.pop() {
            for other in self.awaited(next, runnable, placed) {
                if reached.insert(other) {
                    open.push(other);
                }
            }
        }
        reached
    }
}

/// `*` takes every version; semver itself leaves pre-releases out of it.
fn will_do(wanted: &VersionReq, member: &Member) -> bool {
    *wanted == VersionReq::STAR || wanted.matches(&member.version)
}
