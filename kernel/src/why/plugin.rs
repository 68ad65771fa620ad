//! The tree of one plugin: its state, and below it what each state can be explained by.

use super::{
    Cause, Facts, Scene, Why,
    blocking::blocking,
    broken::{failed, quarantined},
    build::builds,
    needs::obstacles,
    rest::{moved, turn},
    serving::{serving, still_mapped},
    trail::{Known, Trail},
};
use crate::{lifecycle::State, plan::Unmet};

/// An explanation in the making: every plugin and every capability is explained once.
pub(super) struct Tree<'a> {
    pub(super) scene: &'a Scene,
    plugins: Trail<'a>,
    pub(super) capabilities: Trail<'a>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        Self {
            scene,
            plugins: Trail::default(),
            capabilities: Trail::default(),
        }
    }

    /// Explains a plugin that there is, or says where it is explained.
    pub(super) fn plugin(&mut self, name: &'a str) -> Why {
        let facts = &self.scene.plugins[name];
        match self.plugins.enter(name) {
            Ok(()) => {}
            Err(Known::Round(ring)) => return cycle(ring),
            Err(Known::Told) => {
                let text = format!("`{name}` is explained above");
                return Why::new(Cause::SeeAbove, name, text);
            }
        }
        let causes = self.causes(facts);
        self.plugins.leave();
        let status = &facts.status;
        let text = format!("`{name}` {} is {}", status.version, status.state);
        Why {
            state: Some(status.state),
            ..Why::new(Cause::Standing, name, text)
        }
        .since(status.since)
        .because(causes)
    }

    /// At least one cause for every state there is.
    fn causes(&mut self, facts: &'a Facts) -> Vec<Why> {
        let mut causes = match facts.status.state {
            State::Started => serving(self, facts),
            State::Discovered | State::Loaded | State::Stopped | State::Unloaded => moved(facts),
            State::Blocked => [moved(facts), obstacles(self, facts)].concat(),
            State::Failed => [moved(facts), failed(facts)].concat(),
            State::Quarantined => [moved(facts), quarantined(facts)].concat(),
        };
        if causes.is_empty() {
            causes.push(turn(self, facts));
        }
        if facts.status.state == State::Unloaded {
            causes.extend(still_mapped(&facts.status));
        }
        causes.extend(blocking(&facts.status));
        causes.extend(builds(self.scene, facts));
        causes
    }

    /// The needs of a plugin that are not met.
    pub(super) fn unmet(&self, name: &str, optional: bool) -> Vec<Unmet<'a>> {
        let mut unmet = self.scene.plan.unmet(name);
        unmet.retain(|unmet| unmet.optional == optional);
        unmet
    }

    /// Whom a plugin starts after and who have not started.
    pub(super) fn not_yet_started(&self, name: &str) -> Vec<&'a str> {
        let before = self.scene.plan.starts_after(name).into_iter();
        let waited_for = |it: &&str| self.scene.plugins[*it].status.state != State::Started;
        before.filter(waited_for).collect()
    }
}

fn cycle(ring: &[&str]) -> Why {
    let first = ring[0];
    let next = ring.iter().cycle().skip(1);
    let links = ring
        .iter()
        .zip(next)
        .map(|(from, to)| format!("`{from}` needs `{to}`"));
    let links = links.collect::<Vec<_>>().join(", ");
    let text = format!("`{first}` again, which closes a cycle: {links}");
    Why::new(Cause::Cycle, first, text).hint("make one of these needs optional".to_owned())
}
