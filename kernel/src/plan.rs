//! Who can start, in which order, and why the others cannot: pure data from pure data.
//!
//! What a plugin's file says comes from the loader; acting on the plan is the manager's job.

mod blocker;
mod graph;
mod unmet;

use std::collections::{BTreeMap, BTreeSet};

use octa_loader::{Manifest, Need};
use semver::Version;

use graph::Graph;

pub use blocker::Blocker;
pub use unmet::{Lack, Unmet};

/// What the plan has to know of a plugin.
#[derive(Debug, Clone)]
pub struct Member {
    /// The plugin's name; of two members with one name the later counts.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// What it offers.
    pub capabilities: Vec<String>,
    /// What it depends on.
    pub needs: Vec<Need>,
    /// Whether it may run at all.
    pub standing: Standing,
}

/// Whether a plugin may run, its dependencies aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It may run, or runs.
    Ready,
    /// It is not wanted: disabled in the configuration, or stopped by hand.
    Disabled,
    /// It failed or is in quarantine.
    Failed,
    /// It waits for a permission or a configuration.
    Held,
}

impl Member {
    /// What a manifest says, and where the plugin stands.
    pub fn new(manifest: &Manifest, standing: Standing) -> Self {
        Member {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            capabilities: manifest
                .capabilities
                .iter()
                .map(|it| it.name.clone())
                .collect(),
            needs: manifest.needs.clone(),
            standing,
        }
    }
}

/// The order of start and stop, and the reasons of those who are left out.
#[derive(Debug)]
pub struct Plan {
    graph: Graph,
    /// By index of member: its dependencies can all be met.
    runnable: Vec<bool>,
    waves: Vec<Vec<usize>>,
    /// By index of member: its wave, if it has one.
    wave_of: Vec<Option<usize>>,
}

impl Plan {
    /// Works out the plan; whatever the order of the members, it is the same.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Self {
        let members: BTreeMap<String, Member> = members
            .into_iter()
            .map(|member| (member.name.clone(), member))
            .collect();
        let graph = Graph::new(members.into_values().collect());
        let runnable = graph.runnable(None);
        let waves = graph.waves(&runnable);
        let mut wave_of = vec![None; runnable.len()];
        for (number, wave) in waves.iter().enumerate() {
            wave.iter().for_each(|it| wave_of[*it] = Some(number));
        }
        Plan {
            graph,
            runnable,
            waves,
            wave_of,
        }
    }

    /// Who starts, wave after wave; the members of a wave do not depend on each other.
    ///
    /// A plugin comes after everything that it needs or would like.
    /// Where that goes in a circle of optional needs or spare providers, it comes after one
    /// provider of each required need.
    pub fn start_waves(&self) -> Vec<Vec<&str>> {
        self.waves.iter().map(|wave| self.names(wave)).collect()
    }

    /// Who stops, wave after wave: the mirror image of the start.
    pub fn stop_waves(&self) -> Vec<Vec<&str>> {
        let mut waves = self.start_waves();
        waves.reverse();
        waves
    }

    /// Who cannot start, and why: a reason for each need that is not met.
    pub fn blocked(&self) -> BTreeMap<&str, Vec<Blocker>> {
        let names = self.graph.members.iter().map(|member| member.name.as_str());
        names
            .map(|name| (name, self.blockers(name)))
            .filter(|(_, why)| !why.is_empty())
            .collect()
    }

    /// Why this plugin cannot start; nothing if it can, or is not known.
    pub fn blockers(&self, name: &str) -> Vec<Blocker> {
        self.graph
            .find(name)
            .map_or_else(Vec::new, |it| blocker::of(&self.graph, &self.runnable, it))
    }

    /// Every need of this plugin that nobody who can run meets, the optional ones too; whatever
    /// else keeps it from starting.
    pub fn unmet(&self, name: &str) -> Vec<Unmet<'_>> {
        self.graph
            .find(name)
            .map_or_else(Vec::new, |it| unmet::of(&self.graph, &self.runnable, it))
    }

    /// Each thing that is wrong between the plugins, once, at the plugin that it strikes first.
    pub fn causes(&self) -> Vec<Blocker> {
        let mut causes = Vec::new();
        for blocker in self.blocked().into_values().flatten() {
            if let Some(cause) = blocker.into_cause()
                && !causes.contains(&cause)
            {
                causes.push(cause);
            }
        }
        causes
    }

    /// Whom a plugin starts after: everybody who can run and offers what it needs or would like,
    /// unless they go in a circle.
    pub fn starts_after(&self, name: &str) -> BTreeSet<&str> {
        let Some((member, own)) = self
            .graph
            .find(name)
            .and_then(|it| Some((it, self.wave_of[it]?)))
        else {
            return BTreeSet::new();
        };
        let providers = self
            .graph
            .needs(member)
            .flat_map(|(_, providers)| providers);
        let earlier = providers.filter(|it| self.wave_of[**it].is_some_and(|wave| wave < own));
        earlier.map(|it| self.name(*it)).collect()
    }

    /// Everybody who depends on this plugin, directly or through others, optional needs aside.
    pub fn affected_by(&self, name: &str) -> BTreeSet<&str> {
        let start = self.graph.find(name);
        let mut affected: BTreeSet<usize> = start.into_iter().collect();
        while let Some(next) = (0..self.graph.members.len())
            .find(|it| !affected.contains(it) && self.graph.depends_on_any(*it, &affected))
        {
            affected.insert(next);
        }
        affected
            .into_iter()
            .filter(|it| Some(*it) != start)
            .map(|it| self.name(it))
            .collect()
    }

    /// Those of the affected who have nobody else to turn to, and so must stop with this plugin.
    pub fn lost_without(&self, name: &str) -> BTreeSet<&str> {
        let Some(gone) = self.graph.find(name) else {
            return BTreeSet::new();
        };
        let left = self.graph.runnable(Some(gone));
        let lost = (0..left.len()).filter(|it| *it != gone && self.runnable[*it] && !left[*it]);
        lost.map(|it| self.name(it)).collect()
    }

    fn names(&self, wave: &[usize]) -> Vec<&str> {
        wave.iter().map(|it| self.name(*it)).collect()
    }

    fn name(&self, member: usize) -> &str {
        &self.graph.members[member].name
    }
}

#[cfg(test)]
mod tests;
