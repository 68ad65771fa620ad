//! What one publisher remembers of its topics, so that a known topic costs no search; the search
//! is the job of `matcher`.

use std::collections::HashMap;
use std::sync::Arc;

use octa_loader::{NameError, NameKind};

use super::hub::Hub;
use super::queue::Queue;

/// How many topics a publisher remembers; beyond, any of them makes room.
const KEPT: usize = 1024;

/// The subscriptions of the topics published on, as of one version of the hub.
#[derive(Debug, Default)]
pub(super) struct Routes {
    version: u64,
    known: Vec<Route>,
    indices: HashMap<Arc<str>, usize>,
    /// The one used last: many publishers stay with a topic for a while.
    last: usize,
    /// Decides which makes room. By chance, so that no order of topics forgets them all.
    chance: u64,
}

/// A valid topic and the subscriptions that match it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) topic: Arc<str>,
    pub(super) queues: Vec<Arc<Queue>>,
}

impl Routes {
    /// Where an event on this topic goes, no older than the last change of subscriptions.
    pub(super) fn find(&mut self, hub: &Hub, topic: &str) -> Result<&Route, NameError> {
        let version = hub.version();
        if self.version != version {
            self.forget();
            self.version = version;
        }
        let last = self.known.get(self.last);
        if last.is_none_or(|route| *route.topic != *topic) {
            self.last = match self.indices.get(topic) {
                Some(index) => *index,
                None => self.add(hub, topic)?,
            };
        }
        Ok(&self.known[self.last])
    }

    #[cold]
    fn add(&mut self, hub: &Hub, topic: &str) -> Result<usize, NameError> {
        NameKind::Topic.check(topic)?;
        let topic: Arc<str> = topic.into();
        let queues = hub.matches(&topic);
        let route = Route {
            topic: Arc::clone(&topic),
            queues,
        };
        let index = if self.known.len() < KEPT {
            self.known.push(route);
            self.known.len() - 1
        } else {
            self.replace(route)
        };
        self.indices.insert(topic, index);
        Ok(index)
    }

    /// Puts a route in the place of another.
    fn replace(&mut self, route: Route) -> usize {
        // Knuth's generator of 64 bits; its high ones are the random ones.
        let next = self.chance.wrapping_mul(6_364_136_223_846_793_005);
        self.chance = next.wrapping_add(1_442_695_040_888_963_407);
        let index = (self.chance >> 33) as usize % KEPT;
        let before = std::mem::replace(&mut self.known[index], route);
        self.indices.remove(&before.topic);
        index
    }

    fn forget(&mut self) {
        self.known.clear();
        self.indices.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Hub {
        Hub::new(Arc::new(|| 0))
    }

    /// Finds topics; answers how many were not remembered.
    fn find(routes: &mut Routes, hub: &Hub, topics: impl Iterator<Item = usize>) -> usize {
        let topics = topics.map(|number| format!("t.{number}"));
        let searched = topics.filter(|topic| {
            let is_known = routes.indices.contains_key(&**topic);
            let route = routes.find(hub, topic).expect("a topic");
            assert_eq!(*route.topic, **topic);
            !is_known
        });
        searched.count()
    }

    #[test]
    fn many_topics_do_not_forget_each_other() {
        let (hub, mut routes) = (hub(), Routes::default());
        let topics = KEPT + KEPT / 8;
        let rounds = 20;
        let all = (0..rounds).flat_map(|_| 0..topics);
        let searched = find(&mut routes, &hub, all);
        assert!(searched < topics * rounds / 3, "{searched}");
        assert_eq!((routes.known.len(), routes.indices.len()), (KEPT, KEPT));
    }

    #[test]
    fn a_few_topics_are_remembered_beside_very_many_others() {
        let (hub, mut routes) = (hub(), Routes::default());
        let mut searched = 0;
        for round in 0..10_000 {
            searched += find(&mut routes, &hub, 0..10);
            find(&mut routes, &hub, std::iter::once(10 + round));
        }
        assert!(searched < 10_000 * 10 / 50, "{searched}");
    }
}
